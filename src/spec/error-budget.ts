/**
 * Some target systems count errors, and block a key that has met too many at one endpoint. How many there were is in the
 * store, per connection and endpoint, so that it holds across resources, Workflows and Workers. Pure.
 */
import type { LeaseWanted } from './lease.js';
import { countOne, freeAt, nameOf } from './pace.js';
import type { PaceState } from './pace.js';
import type { ErrorLimit } from './target-systems.js';

/** Half of the limit: whoever else uses the same login (another integration, the end user) makes errors too. */
export function errorsAllowed({ requests }: ErrorLimit): number {
  return Math.floor(requests / 2);
}

/** What errors of this endpoint are counted under. */
export function errorScope(connectionId: string, endpoint: string): string {
  return `errors/${connectionId}/${endpoint}`;
}

/** When errors leave room there: `nowMs`, or when enough of them are long enough ago. */
export function errorBudgetAt(state: PaceState, limit: ErrorLimit, nowMs: number): number {
  return freeAt(state.used[nameOf(limit)], { ...limit, requests: errorsAllowed(limit) }, nowMs);
}

export interface ErrorRoom {
  readonly state: PaceState;
  /** `false`: it is spent, or what is under way may yet spend it. */
  readonly granted: boolean;
}

/** Room for the error that a request may bring: as many may be under way as errors are left. A Worker that dies keeps its room for `forMs`. */
export function takeErrorRoom(
  state: PaceState,
  limit: ErrorLimit,
  { holder, forMs }: LeaseWanted,
  nowMs: number,
): ErrorRoom {
  const inFlight = Object.entries(state.inFlight ?? {}).filter(([, until]) => until > nowMs);
  const left = errorsAllowed(limit) - inFlight.length;
  const granted = left > 0 && freeAt(state.used[nameOf(limit)], { ...limit, requests: left }, nowMs) <= nowMs;
  if (!granted) return { state, granted };
  return { state: { ...state, inFlight: { ...Object.fromEntries(inFlight), [holder]: nowMs + forMs } }, granted };
}

/** The request is over, and brought an error or not. */
export function giveErrorRoom(
  state: PaceState,
  limit: ErrorLimit,
  { holder, isError }: { readonly holder: string; readonly isError: boolean },
  nowMs: number,
): PaceState {
  const { [holder]: _, ...inFlight } = state.inFlight ?? {};
  const name = nameOf(limit);
  const used = isError ? { ...state.used, [name]: countOne(state.used[name], limit.perMs, nowMs, nowMs) } : state.used;
  return { ...state, used, inFlight };
}

/** Whether the target system counts this answer: that it is asked too fast is another matter. */
export function isCountedError(status: number | undefined): boolean {
  return status !== undefined && status >= 400 && status < 500 && status !== 429;
}
