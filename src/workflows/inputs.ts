/** An Update can come from anybody who reaches the Temporal server. */
import { ApplicationFailure } from '@temporalio/workflow';

export function isText(value: unknown): value is string {
  return typeof value === 'string' && value.length > 0 && value.length <= 500;
}

export function isOneOf(value: unknown, known: readonly string[]): boolean {
  return typeof value === 'string' && known.includes(value);
}

export function refuseIf(refused: boolean, type: string, message: string): void {
  if (refused) throw ApplicationFailure.nonRetryable(message, type);
}

/** As large as the store can hold. */
export function isCount(value: unknown): value is number {
  return Number.isInteger(value) && Number(value) >= 0 && Number(value) < 2 ** 31;
}
