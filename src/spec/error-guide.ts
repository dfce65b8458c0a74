/**
 * Maesn's error guide as data. Everything that depends on an answer's status is derived from this table:
 * the failure type an Activity throws, its retry policy, its delay, the README's table and the tests.
 */
import { keysOf } from './table.js';

/** What a failure leads to. `reauthorize` = only the end user can help, by signing in again. */
export type Action = 'retry' | 'reauthorize' | 'fail';

export interface ErrorRule {
  /** The HTTP statuses of this row: single ones, or an inclusive range. Empty: not an HTTP answer. */
  readonly statuses: readonly (number | readonly [from: number, to: number])[];
  readonly action: Action;
  /** Delay before the first retry: a fixed number, or a range from which every delay is drawn (jitter). */
  readonly initialIntervalMs?: number | readonly [min: number, max: number];
  /** How many failures of this type in a row, without progress in between, before the step is given up. Absent: never. */
  readonly maximumAttempts?: number;
  /** What the reader of the failure should do, in one sentence. */
  readonly advice: string;
}

const MINUTE_MS = 60_000;

/** 500 asks for a first retry after 15 to 30 seconds. The guide names no other 5xx and no silence: they are treated alike. */
const SERVER_SIDE_INTERVAL = [15_000, 30_000] as const;

/**
 * Single statuses win over ranges, so that the order of rows carries no meaning.
 * A 500 can be about one record or one resource ("invalid GL account reference" from the target system): after
 * 12 in a row (about 6 hours) that resource is given up, so that it does not hold up all others. An outage
 * (502, 503, no answer) is about everything: it is waited for without end, and so is a rate limit.
 */
export const ERROR_GUIDE = {
  BadRequest: {
    statuses: [400],
    action: 'fail',
    advice:
      'Check that the target system supports this endpoint and holds the data, and that its client credentials are configured in Maesn.',
  },
  Unauthorized: {
    statuses: [401],
    action: 'reauthorize',
    advice: 'The account key is missing, expired or revoked: the end user must reconnect.',
  },
  Forbidden: {
    statuses: [403],
    action: 'fail',
    advice: 'Check MAESN_API_KEY; on a v2 endpoint the end user’s account may be inactive.',
  },
  NotFound: {
    statuses: [404],
    action: 'fail',
    advice: 'The endpoint is not available for this target system, or the base URL is wrong.',
  },
  MethodNotAllowed: {
    statuses: [405],
    action: 'fail',
    advice: 'The target system does not support this operation.',
  },
  ClientError: {
    statuses: [[400, 499]],
    action: 'fail',
    advice: 'Maesn refused the request; the same request will be refused again.',
  },
  TooManyRequests: {
    statuses: [429],
    action: 'retry',
    initialIntervalMs: MINUTE_MS,
    advice: 'The target system’s rate limit is used up; it goes on by itself.',
  },
  InternalServerError: {
    statuses: [500],
    action: 'retry',
    initialIntervalMs: SERVER_SIDE_INTERVAL,
    maximumAttempts: 12,
    advice: 'Read downstreamErrors for what the target system said; ask Maesn’s support if it persists.',
  },
  ServerError: {
    statuses: [[500, 599]],
    action: 'retry',
    initialIntervalMs: SERVER_SIDE_INTERVAL,
    advice: 'Maesn or the target system is unavailable; it goes on by itself.',
  },
  ErrorBudgetSpent: {
    statuses: [],
    action: 'retry',
    // Never below what the budget asks for, which is told like a Retry-After.
    initialIntervalMs: MINUTE_MS,
    advice:
      'So many errors were met at this endpoint that the target system might block the key; it goes on by itself.',
  },
  NoResponse: {
    statuses: [],
    action: 'retry',
    initialIntervalMs: SERVER_SIDE_INTERVAL,
    advice: 'Maesn did not answer; check the network and MAESN_BASE_URL if it persists.',
  },
  InvalidResponse: {
    statuses: [[100, 399]],
    action: 'retry',
    initialIntervalMs: SERVER_SIDE_INTERVAL,
    maximumAttempts: 12,
    advice: 'The answer is not Maesn’s envelope; check MAESN_BASE_URL, then ask Maesn’s support.',
  },
} as const satisfies Record<string, ErrorRule>;

/** `ApplicationFailure.type` of everything that can go wrong with a request to Maesn. */
export type FailureType = keyof typeof ERROR_GUIDE;

export const FAILURE_TYPES = keysOf(ERROR_GUIDE);

/** Growth of the delay from one failure of a type to the next. */
export const BACKOFF_COEFFICIENT = 2;

/** No delay of our own is longer than this; only a `Retry-After` can ask for more. */
export const MAXIMUM_INTERVAL_MS = 60 * MINUTE_MS;

/** A `Retry-After` beyond this is taken for a mistake of the sender and cut to it. */
export const MAXIMUM_RETRY_AFTER_MS = 24 * 60 * MINUTE_MS;

/** Temporal ends an Activity whose `nextRetryDelay` is 0, so no delay is ever shorter than this. */
export const MINIMUM_DELAY_MS = 1_000;

/** The row of a failure type, typed as a row. */
export function errorRule(type: FailureType): ErrorRule {
  return ERROR_GUIDE[type];
}

/** The failure type of a status. Only for answers that are not a success; a 2xx or 3xx here is an answer that cannot be used. */
export function classifyStatus(status: number): FailureType {
  const exact = FAILURE_TYPES.find((type) => errorRule(type).statuses.includes(status));
  if (exact !== undefined) return exact;
  const inRange = FAILURE_TYPES.find((type) =>
    errorRule(type).statuses.some((range) => typeof range !== 'number' && status >= range[0] && status <= range[1]),
  );
  return inRange ?? 'InvalidResponse';
}

export function isFailureType(type: unknown): type is FailureType {
  return typeof type === 'string' && Object.hasOwn(ERROR_GUIDE, type);
}
