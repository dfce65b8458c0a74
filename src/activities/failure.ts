/** The one place that turns what went wrong into the `ApplicationFailure` that Temporal shows and acts upon. */
import { ApplicationFailure, CancelledFailure } from '@temporalio/activity';
import { ApplicationFailureCategory } from '@temporalio/common';
import prettyMs from 'pretty-ms';
import { MaesnError } from '../maesn/failure.js';
import type { MaesnFailure } from '../maesn/failure.js';
import { MINIMUM_DELAY_MS, errorRule } from '../spec/error-guide.js';
import { RATE_LIMIT_SPENT, deliveryDelayMs, isRetried, retryDelayMs } from '../spec/retry.js';
import type { RateLimit } from '../spec/target-systems.js';
import { databaseCode, statementFailure, storeFailure } from '../store/database-error.js';
import type { FailureDetails, MetFailure, PullTask, WalkCounts } from '../workflows/messages.js';

/** What a step knows of itself when it fails. */
export interface FailureAbout {
  readonly keyVersion?: number | undefined;
  readonly walk?: WalkCounts | undefined;
}

export interface FailureContext extends FailureAbout {
  /** Which failure of this type in a row it is, from 1. */
  readonly failureCount: number;
  /** Failures of this Activity that were tried again before this one. */
  readonly retries: number;
  readonly page?: number | undefined;
  readonly task?: PullTask | undefined;
  /** Divides every delay; see `retryDelayMs`. */
  readonly timeScale: number;
}

/** Temporal cuts failures above 4 KiB; message, stack and counts take less than half of that. */
const MAX_ENTRIES_BYTES = 2_048;

/** The first failures of a kind are the guide at work, not news: the Worker logs them at DEBUG. */
const EXPECTED_FAILURES = 2;

/** What Maesn answered, as the error guide has it: retried after its delay, or final. */
export function toApplicationFailure(failure: MaesnFailure, context: FailureContext): ApplicationFailure {
  const { type } = failure;
  const { failureCount, retries, page, keyVersion, walk, task, timeScale } = context;
  const retried = isRetried(type, failureCount);
  const delayMs = retried
    ? retryDelayMs({ type, failureCount, retryAfterMs: failure.retryAfterMs, random: Math.random(), timeScale })
    : undefined;
  const nextAttemptAt = delayMs === undefined ? undefined : new Date(Date.now() + delayMs).toISOString();
  const where = page === undefined ? failure.request : `${failure.request}, page ${page},`;
  const entries = bounded(failure);

  const details: FailureDetails = {
    type,
    request: failure.request,
    status: failure.status,
    page,
    keyVersion,
    failureCount,
    retries,
    walk,
    task,
    nextAttemptAt,
    ...entries,
  };
  return ApplicationFailure.create({
    type,
    message: [
      delayMs === undefined
        ? `${where} ${failure.reason}${givenUp(failureCount)}.`
        : `${where} ${failure.reason}, ${times(failureCount)}; the next attempt is in ${prettyMs(delayMs)}, at ${nextAttemptAt}.`,
      errorRule(type).advice,
    ].join(' '),
    nonRetryable: !retried,
    details: [details],
    ...(delayMs === undefined ? {} : { nextRetryDelay: delayMs }),
    ...(retried && failureCount <= EXPECTED_FAILURES ? { category: ApplicationFailureCategory.BENIGN } : {}),
  });
}

function givenUp(failureCount: number): string {
  return failureCount > 1 ? ` ${failureCount} times in a row, and is given up` : ', and is not retried';
}

/** Of failures of one type in a row. */
function times(failureCount: number): string {
  return failureCount === 1 ? 'for the first time in a row' : `${failureCount} times in a row`;
}

const targetSystems = new WeakMap<MaesnError, string>();

/** Notes where a request failed, for who counts the attempt. */
export function metAt(error: MaesnError, targetSystem: string): void {
  targetSystems.set(error, targetSystem);
}

/** `none`: no request has failed. */
export function targetSystemOf(error: unknown): string {
  return (error instanceof MaesnError ? targetSystems.get(error) : undefined) ?? 'none';
}

/** `ApplicationFailure.type` of everything that is not Maesn's answer. */
export const UNEXPECTED = 'Unexpected';

/** Our own store or code, not Maesn: tried again soon, then more slowly, at most a minute apart. */
export function toUnexpectedFailure(error: unknown, failureCount: number): ApplicationFailure {
  const nextRetryDelay = Math.min(60_000, 1_000 * 2 ** (failureCount - 1));
  return ApplicationFailure.create({
    type: UNEXPECTED,
    message: `${safeReason(error)}, ${times(failureCount)}; the next attempt is in ${prettyMs(nextRetryDelay)}.`,
    nextRetryDelay,
  });
}

/** A failure as it was, with what is left of its delay. */
export function metBefore({ message, details }: MetFailure): ApplicationFailure {
  const { type, nextAttemptAt } = details;
  const about = { type, message, details: [details] };
  if (nextAttemptAt === undefined) return ApplicationFailure.create({ ...about, nonRetryable: true });
  return ApplicationFailure.create({
    ...about,
    nextRetryDelay: Math.max(MINIMUM_DELAY_MS, Date.parse(nextAttemptAt) - Date.now()),
    category: ApplicationFailureCategory.BENIGN,
  });
}

/** Nothing went wrong: another Worker, or this one when it is back, goes on at once where this one stopped. */
export function workerShutdown(): ApplicationFailure {
  return ApplicationFailure.create({
    type: 'WorkerShutdown',
    message: 'The Worker was shut down; it goes on where it stopped.',
    nextRetryDelay: 1_000,
    category: ApplicationFailureCategory.BENIGN,
  });
}

/** What another Worker says of one that has ended without a word. */
export function workerLost(): ApplicationFailure {
  return ApplicationFailure.create({
    type: 'WorkerLost',
    message: 'The Worker has ended in the middle of it; another one goes on where it stopped.',
    nextRetryDelay: 1_000,
  });
}

export interface UntakenEvent {
  readonly id: string;
  readonly type: string;
  /** Which failed delivery of this event it was, from 1. */
  readonly failureCount: number;
  /** What was seen: `hooks.example.com answered 500 Internal Server Error`. */
  readonly reason: string;
  /** Events of the same connection that wait behind it. */
  readonly behind: number;
}

/** The application did not take an event; the Activity's retry policy says when it is offered again. */
export function eventNotTaken(event: UntakenEvent): ApplicationFailure {
  const { id, type, failureCount, reason, behind } = event;
  const waiting = behind === 1 ? '1 event waits' : `${behind === 0 ? 'No' : behind} events wait`;
  return ApplicationFailure.create({
    type: 'EventNotTaken',
    message: `${type} (${id}) was not taken: ${reason}. ${waiting} behind it. Sent again until it is taken; ${failureCount} in vain so far.`,
    details: [event],
    // By the event's own count, which also outlives an Activity that is begun anew.
    nextRetryDelay: deliveryDelayMs(failureCount),
    ...(failureCount <= EXPECTED_FAILURES ? { category: ApplicationFailureCategory.BENIGN } : {}),
  });
}

/** Nothing went wrong, there is only too much at once. Apart from one another, so that they do not all come back together. */
export function deliveredLater(atOnce: number): ApplicationFailure {
  return ApplicationFailure.create({
    type: 'DeliveredLater',
    message: `This Worker is delivering the events of ${atOnce} connections already; these come soon.`,
    nextRetryDelay: 2_000 + Math.round(Math.random() * 3_000),
    category: ApplicationFailureCategory.BENIGN,
  });
}

/** Nothing went wrong: the one request that the target system runs at a time is still another one. */
export function anotherRequestRuns(name: string): ApplicationFailure {
  return ApplicationFailure.create({
    type: 'AnotherRequestRuns',
    message: `${name} runs one request of a connection at a time, and another one, or a task that it has started, is still running. Waits on.`,
    nextRetryDelay: 1_000,
    category: ApplicationFailureCategory.BENIGN,
  });
}

/** Nothing went wrong, unless one of those that are under way does. */
export function errorsMayCome(name: string, endpoint: string): ApplicationFailure {
  return ApplicationFailure.create({
    type: 'ErrorsMayCome',
    message: `As many requests are under way at ${endpoint} as ${name} leaves us errors there. Waits on.`,
    nextRetryDelay: 1_000,
    category: ApplicationFailureCategory.BENIGN,
  });
}

/** The next request may only be sent later than an attempt waits for it. No failure of Maesn: nothing was asked. */
export class TurnIsFar extends Error {
  override readonly name = 'TurnIsFar';
  readonly #at: number;

  constructor(targetSystem: string, { waitMs, limit }: { readonly waitMs: number; readonly limit: RateLimit }) {
    const per = prettyMs(limit.perMs, { verbose: true });
    super(`The rate limit of ${targetSystem} is used up (${limit.requests} requests in ${per})`);
    this.#at = performance.now() + waitMs;
  }

  /** From now. */
  get waitMs(): number {
    return Math.max(MINIMUM_DELAY_MS, Math.ceil(this.#at - performance.now()));
  }
}

/** Nothing went wrong: the retry is the timer, so that nobody has to wait for it in an Activity. */
export function rateLimitSpent({ message, waitMs }: TurnIsFar): ApplicationFailure {
  const at = new Date(Date.now() + waitMs).toISOString();
  return ApplicationFailure.create({
    type: RATE_LIMIT_SPENT,
    message: `${message}: the next request may be sent in ${prettyMs(waitMs)}, at ${at}. It goes on by itself.`,
    nextRetryDelay: waitMs,
    category: ApplicationFailureCategory.BENIGN,
  });
}

/** Nothing went wrong: it is too early to see what became of a write, or what carries it out has not ended. */
export function tooEarly(
  type: 'OutcomeNotVisibleYet' | 'TaskRunning' | 'ConnectionPaused',
  message: string,
  delayMs: number,
): ApplicationFailure {
  return ApplicationFailure.create({
    type,
    message: `${message} Looked at again in ${prettyMs(Math.max(MINIMUM_DELAY_MS, delayMs))}.`,
    nextRetryDelay: Math.max(MINIMUM_DELAY_MS, delayMs),
    category: ApplicationFailureCategory.BENIGN,
  });
}

export function writeNotFound(idempotencyKey: string): ApplicationFailure {
  return ApplicationFailure.create({
    type: 'WriteNotFound',
    message: `Write ${idempotencyKey} does not exist (any more): its connection was removed.`,
    nonRetryable: true,
  });
}

export function writeNotUndecided(): ApplicationFailure {
  return ApplicationFailure.create({
    type: 'NothingToDecide',
    message: 'Nobody has to say what became of this write, or it has been sent again since it was looked at.',
    nonRetryable: true,
  });
}

/** No attempt will mend it. */
export function isFinal(failure: unknown): boolean {
  return failure instanceof ApplicationFailure && failure.nonRetryable === true;
}

export function connectionNotFound(connectionId: string): ApplicationFailure {
  return ApplicationFailure.create({
    type: 'ConnectionNotFound',
    message: `Connection ${connectionId} does not exist (any more).`,
    nonRetryable: true,
  });
}

/** Wraps an Activity so that no error tells more in the Event History than it may. */
export function safely<Input extends object, Result>(
  activity: (input: Input) => Promise<Result>,
): (input: Input) => Promise<Result> {
  return async (input) => {
    try {
      return await activity(input);
    } catch (error) {
      if (isTemporalFailure(error)) throw error;
      const connectionId = 'connectionId' in input ? input.connectionId : undefined;
      if (typeof connectionId === 'string' && databaseCode(error) === FOREIGN_KEY_VIOLATION)
        throw connectionNotFound(connectionId);
      throw ApplicationFailure.create({ type: UNEXPECTED, message: safeReason(error) });
    }
  };
}

/** Failures that are already in Temporal's terms and must pass as they are. */
export function isTemporalFailure(error: unknown): error is ApplicationFailure | CancelledFailure {
  return error instanceof ApplicationFailure || error instanceof CancelledFailure;
}

export function isMaesnError(error: unknown): error is MaesnError {
  return error instanceof MaesnError;
}

/** What may be said of an error in the Event History. */
export function safeReason(error: unknown): string {
  if (!(error instanceof Error)) return 'An unknown error';
  const code = databaseCode(error);
  if (code !== undefined) return storeFailure(code);
  return statementFailure(error) ?? `${error.name}: ${error.message.slice(0, 300)}`;
}

/** Every foreign key of the store leads to a connection. */
const FOREIGN_KEY_VIOLATION = '23503';

type Entries = Pick<FailureDetails, 'errors' | 'downstreamErrors' | 'validationErrors'>;

/** The first entries of what Maesn said, as many as fit: the target system's own words first, they are the rarest. */
function bounded(failure: MaesnFailure): Entries {
  let left = MAX_ENTRIES_BYTES;
  const take = (entries: readonly unknown[] | undefined): readonly unknown[] | undefined => {
    const taken: unknown[] = [];
    for (const entry of entries ?? []) {
      const json = JSON.stringify(entry);
      const bytes = Buffer.byteLength(json);
      if (bytes > left) {
        // A long entry is cut rather than dropped, unless nothing readable would remain of it.
        if (left > 100)
          taken.push(
            `${Buffer.from(json)
              .subarray(0, left - 4)
              .toString('utf8')}…`,
          );
        left = 0;
        break;
      }
      taken.push(entry);
      left -= bytes;
    }
    return taken.length === 0 ? undefined : taken;
  };
  const downstreamErrors = take(failure.downstreamErrors);
  const validationErrors = take(failure.validationErrors);
  return { errors: take(failure.errors), downstreamErrors, validationErrors };
}
