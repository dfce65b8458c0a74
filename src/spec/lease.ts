/**
 * Who may ask a target system that runs one request at a time. First come, first served: whoever waits asks again and
 * again, and keeps its place in the queue as long as it does. A holder that is heard of no more loses it. Pure.
 */
export interface LeaseState {
  /** Absent: free. */
  readonly holder?: string | undefined;
  /** When it is free again although nobody gave it back, in milliseconds since 1970. */
  readonly until: number;
  readonly queue: readonly { readonly holder: string; readonly seenAt: number }[];
}

export const FREE_LEASE: LeaseState = { until: 0, queue: [] };

/** Several times as long as a waiter sleeps: one that is not seen for so long has gone. */
export const WAITER_GONE_AFTER_MS = 5_000;

export interface LeaseWanted {
  readonly holder: string;
  readonly forMs: number;
}

export interface LeaseTaken {
  readonly state: LeaseState;
  readonly granted: boolean;
}

/** Takes the lease, extends it for who holds it already, or takes a place in the queue. */
export function takeLease(given: LeaseState, { holder, forMs }: LeaseWanted, nowMs: number): LeaseTaken {
  const isFree = given.holder === undefined || given.until <= nowMs;
  const waiting = given.queue.filter((one) => one.holder === holder || one.seenAt > nowMs - WAITER_GONE_AFTER_MS);
  const isFirst = waiting[0] === undefined || waiting[0].holder === holder;
  if (given.holder === holder || (isFree && isFirst)) {
    const queue = waiting.filter((one) => one.holder !== holder);
    return { state: { holder, until: nowMs + forMs, queue }, granted: true };
  }
  const seen = { holder, seenAt: nowMs };
  const queue = waiting.some((one) => one.holder === holder)
    ? waiting.map((one) => (one.holder === holder ? seen : one))
    : [...waiting, seen];
  return { state: { ...given, queue }, granted: false };
}

/** The holder lasts longer than was thought. Changes nothing for one that has lost it. */
export function extendLease(given: LeaseState, { holder, forMs }: LeaseWanted, nowMs: number): LeaseState {
  return given.holder === holder ? { ...given, until: nowMs + forMs } : given;
}

/** Gives it back, or on to `next`. Changes nothing for one that has lost it. */
export function passLease(given: LeaseState, holder: string, next: LeaseWanted | undefined, nowMs: number): LeaseState {
  if (given.holder !== holder) return given;
  if (next === undefined) return { until: 0, queue: given.queue };
  return { holder: next.holder, until: nowMs + next.forMs, queue: given.queue };
}
