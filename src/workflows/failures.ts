/** Reading in a Workflow what an Activity threw. */
import { ActivityFailure, ApplicationFailure, isCancellation } from '@temporalio/workflow';
import { isFailureDetails } from './messages.js';
import type { FailureDetails } from './messages.js';

export interface FailureCause {
  /** `ApplicationFailure.type`: a row of the error guide, or one of ours. */
  readonly type: string;
  readonly message: string;
  /** What Maesn said; absent when the failure is not an answer of Maesn. */
  readonly details?: FailureDetails;
}

export function causeOf(error: unknown): FailureCause {
  const cause = thrownBy(error);
  if (!(cause instanceof ApplicationFailure)) {
    return { type: 'Unexpected', message: cause instanceof Error ? cause.message : 'unknown' };
  }
  const [details] = cause.details ?? [];
  return {
    type: cause.type ?? 'Unexpected',
    message: cause.message,
    ...(isFailureDetails(details) ? { details } : {}),
  };
}

/**
 * Whether an Activity ended because it was cancelled. One that fails after that, for whatever reason, is not tried
 * again, and arrives as that failure.
 */
export function endedByCancellation(error: unknown): boolean {
  return isCancellation(error) || (error instanceof ActivityFailure && error.retryState === 'CANCEL_REQUESTED');
}

/** A Local Activity's failure comes as it was thrown. */
function thrownBy(error: unknown): unknown {
  return error instanceof ActivityFailure ? error.cause : error;
}
