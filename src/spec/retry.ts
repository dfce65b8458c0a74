/** The pure functions over the error guide: when to try again, and what Temporal is told about it. */
import {
  BACKOFF_COEFFICIENT,
  FAILURE_TYPES,
  MAXIMUM_INTERVAL_MS,
  MAXIMUM_RETRY_AFTER_MS,
  MINIMUM_DELAY_MS,
  errorRule,
} from './error-guide.js';
import type { FailureType } from './error-guide.js';

export interface RetryDelayInput {
  readonly type: FailureType;
  /** Which failure of this type in a row this is, from 1. Progress starts it anew. */
  readonly failureCount: number;
  /** What `Retry-After` asked for. */
  readonly retryAfterMs?: number | undefined;
  /** In [0, 1): where in the guide's range the delay is drawn. */
  readonly random: number;
  /** Divides every delay, for the demo. 1 = real time. */
  readonly timeScale?: number | undefined;
}

/**
 * Milliseconds to wait before the next attempt:
 * `initial interval x 2^(failureCount - 1)`, at most an hour, never below `Retry-After`, never below a second.
 * The draw is made anew for every failure: a range that is twice as wide as its start still grows with every step.
 */
export function retryDelayMs(input: RetryDelayInput): number {
  const { initialIntervalMs } = errorRule(input.type);
  if (initialIntervalMs === undefined) throw new RangeError(`${input.type} is not retried`);
  const initial =
    typeof initialIntervalMs === 'number'
      ? initialIntervalMs
      : initialIntervalMs[0] + input.random * (initialIntervalMs[1] - initialIntervalMs[0]);
  // 2^1024 is Infinity, which Math.min still orders: no failure count can break the cap.
  const backoff = Math.min(initial * BACKOFF_COEFFICIENT ** (input.failureCount - 1), MAXIMUM_INTERVAL_MS);
  const delay = Math.max(backoff, Math.min(input.retryAfterMs ?? 0, MAXIMUM_RETRY_AFTER_MS));
  return Math.max(MINIMUM_DELAY_MS, Math.round(delay / (input.timeScale ?? 1)));
}

/** Milliseconds until an event that was not taken for the n-th time is sent again. */
export function deliveryDelayMs(failureCount: number): number {
  const { initialInterval, backoffCoefficient, maximumInterval } = DELIVERY_RETRY_POLICY;
  return Math.min(initialInterval * backoffCoefficient ** (failureCount - 1), maximumInterval);
}

/** Of events, and without `maximumAttempts`: none is given up. */
export const DELIVERY_RETRY_POLICY = {
  // A receiver that is being deployed is back in seconds.
  initialInterval: 5_000,
  backoffCoefficient: 2,
  // Whoever has repaired the receiver sees within ten minutes that it works.
  maximumInterval: 10 * 60_000,
};

/** `ApplicationFailure.type` of an attempt that has asked nothing, since a rate limit has no room for it yet. */
export const RATE_LIMIT_SPENT = 'RateLimitSpent';

/** As many failures in a row, of whatever type, and a person may want to know. */
export const STUCK_AFTER = 3;

/** And so after the first, when the next attempt is so far away: a `Retry-After`, or an error budget. */
export const LONG_WAIT_MS = 5 * 60_000;

export function isStuck(failuresInARow: number): boolean {
  return failuresInARow >= STUCK_AFTER;
}

/** Whether the n-th failure in a row of this type is tried again at all. */
export function isRetried(type: FailureType, failureCount: number): boolean {
  const rule = errorRule(type);
  return rule.action === 'retry' && failureCount < (rule.maximumAttempts ?? Infinity);
}

/**
 * `Retry-After` in both of its forms (RFC 9110, 10.2.3): delay-seconds, or an HTTP date.
 * Anything else, and a date that has passed, is as if it were absent.
 */
export function parseRetryAfter(value: string | null | undefined, nowMs: number): number | undefined {
  const text = value?.trim() ?? '';
  if (/^\d+$/.test(text)) return Number(text) * 1000;
  // Date.parse accepts far more than HTTP dates ("2", "May"): only the three forms of RFC 9110 pass.
  if (!/^(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun)[a-z]*,? /.test(text)) return undefined;
  // The obsolete asctime form carries no zone; all three are GMT.
  const date = Date.parse(text.endsWith('GMT') ? text : `${text} GMT`);
  return Number.isNaN(date) || date <= nowMs ? undefined : date - nowMs;
}

/** The failure types that no attempt can mend; Temporal shows them with the retry policy. */
export const NON_RETRYABLE_ERROR_TYPES: readonly string[] = FAILURE_TYPES.filter(
  (type) => errorRule(type).action !== 'retry',
);

/**
 * The retry policy of every Activity that calls Maesn. A failure that Maesn answered with carries its own
 * `nextRetryDelay`, which beats this policy; the intervals here are what holds when no answer was seen at all
 * (a Worker that died, an Activity that timed out), which the guide's 500 row covers.
 */
export const MAESN_RETRY_POLICY = {
  initialInterval: 15_000,
  backoffCoefficient: BACKOFF_COEFFICIENT,
  maximumInterval: MAXIMUM_INTERVAL_MS,
  nonRetryableErrorTypes: [...NON_RETRYABLE_ERROR_TYPES],
};
