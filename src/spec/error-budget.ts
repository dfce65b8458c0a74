/**
 * Some target systems count errors, and block a key that has met too many at one endpoint. How many there were is in the
 * store, per connection and endpoint, so that it holds across resources, Workflows and Workers. Pure.
 */
import { NEW_PACE, countOne, freeAt, nameOf } from './pace.js';
import type { PaceState } from './pace.js';
import type { ErrorLimit } from './target-systems.js';

/**
 * Half of the limit: whoever else uses the same login (another integration, the end user) makes errors too, and of
 * requests that are in flight together each may bring one.
 */
export function errorsAllowed({ requests }: ErrorLimit): number {
  return Math.floor(requests / 2);
}

/** What errors of this endpoint are counted under. */
export function errorScope(connectionId: string, endpoint: string): string {
  return `errors/${connectionId}/${endpoint}`;
}

/** When the next request may be sent there: `nowMs`, or when enough of the errors are long enough ago. */
export function errorBudgetAt(state: PaceState | undefined, limit: ErrorLimit, nowMs: number): number {
  const allowed = { ...limit, requests: errorsAllowed(limit) };
  return freeAt((state ?? NEW_PACE).used[nameOf(limit)], allowed, nowMs);
}

export function countError(state: PaceState, limit: ErrorLimit, nowMs: number): PaceState {
  const name = nameOf(limit);
  return { ...state, used: { ...state.used, [name]: countOne(state.used[name], limit.perMs, nowMs, nowMs) } };
}

/** Whether the target system counts this answer: that it is asked too fast is another matter. */
export function isCountedError(status: number | undefined): boolean {
  return status !== undefined && status >= 400 && status < 500 && status !== 429;
}
