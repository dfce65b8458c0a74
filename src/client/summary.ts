/** What a sync does or waits for, in a sentence; said alike by the page, the commands and the HTTP API. */
import prettyMs from 'pretty-ms';
import { errorRule, isFailureType } from '../spec/error-guide.js';
import { pagesInAll } from '../spec/resource-report.js';
import { RATE_LIMIT_SPENT } from '../spec/retry.js';
import type { SyncStatus } from './status.js';

type Summarized = Omit<SyncStatus, 'summary'>;

export function summarize(status: Summarized, now = new Date()): string {
  const holds = status.holds.map((hold) => holdSentence(status, hold));
  const doing = stateSentence(status, now);
  return [...holds, ...(doing === undefined ? [] : [doing])].join(' ');
}

function holdSentence({ connection }: Summarized, hold: Summarized['holds'][number]): string {
  const { kind, placedBy, reason, since } = hold;
  if (kind === 'reauthorization') {
    return connection.status === 'awaiting_reauthorization'
      ? `The customer must sign in to ${connection.targetSystem} again; your application was told on ${moment(since)}.`
      : `${reason}.`;
  }
  if (kind === 'paused') return `Paused by ${placedBy} on ${moment(since)}: ${reason}.`;
  return `Held since ${moment(since)} (${kind.replace('_', ' ')}): ${reason}.`;
}

function stateSentence(status: Summarized, now: Date): string | undefined {
  const { state, resource, retry, failure, since, holds } = status;
  if (retry !== undefined) return retrySentence(status, retry, now);
  const on = since === undefined ? '' : ` on ${moment(since)}`;
  const goesOn = holds.length > 0 ? goesOnAt(resource) : 'About to go on.';
  return {
    NotStarted: 'No sync was started yet.',
    Unknown: 'It runs, but no Worker answers: start one, or look at its logs.',
    Syncing: syncingSentence(status),
    // Its next attempt is just being made.
    Retrying: syncingSentence(status),
    Waiting: syncingSentence(status),
    Idle: idleSentence(status),
    Completed: `Completed${on}.`,
    Failed: failure?.message ?? 'It failed.',
    Cancelled: `Cancelled${on}.`,
    Terminated: `Its Workflow was terminated at Temporal${on}.`,
    AwaitingReauthorization: goesOn,
    Paused: goesOn,
    Held: goesOn,
  }[state];
}

function idleSentence({ nextCycleAt, failedCycles = 0 }: Summarized): string {
  if (nextCycleAt === undefined) return 'About to begin.';
  if (failedCycles === 0) return `Up to date; next cycle at ${moment(nextCycleAt)}.`;
  const cycles = failedCycles === 1 ? '1 failed cycle' : `${failedCycles} failed cycles in a row`;
  return `Asked less often: ${cycles}, next at ${moment(nextCycleAt)}.`;
}

function goesOnAt(resource: string | undefined): string | undefined {
  return resource === undefined ? undefined : `It goes on at ${resource}, where it stopped.`;
}

function syncingSentence({ resource, resources }: Summarized): string {
  if (resource === undefined) return 'Syncing.';
  const report = resources[resource];
  const inAll = pagesInAll(report ?? {});
  const of = inAll === undefined ? '' : ` of ${inAll}`;
  return `Syncing ${resource}, page ${report?.pages ?? 0}${of}.`;
}

/** "429 from xero, third time in a row, at invoices page 12; next attempt in 3 minutes 12 seconds." */
function retrySentence({ connection }: Summarized, retry: NonNullable<Summarized['retry']>, now: Date): string {
  const { type, status, failures, resource, page, nextAttemptAt, incidentId } = retry;
  const { targetSystem } = connection;
  const what = status === undefined ? type : `${status} from ${targetSystem}`;
  const where = resource === undefined ? '' : `, at ${resource}${page === undefined ? '' : ` page ${page}`}`;
  const waitMs = Math.max(0, nextAttemptAt.getTime() - now.getTime());
  const next = `next attempt in ${wait(waitMs)}.`;
  if (type === RATE_LIMIT_SPENT)
    return `The rate limit of ${targetSystem} is used up${where}; ${next} It goes on by itself.`;
  const part = incidentId === undefined ? '' : ` Part of incident ${incidentId}.`;
  const advice = isFailureType(type) ? ` ${errorRule(type).advice}` : '';
  return `${what}, ${ordinal(failures)} time in a row${where}; ${next}${advice}${part}`;
}

function wait(ms: number): string {
  return ms < 1_000 ? 'a moment' : prettyMs(ms, { secondsDecimalDigits: 0 });
}

const ORDINALS = ['', 'first', 'second', 'third', 'fourth', 'fifth'];

function ordinal(count: number): string {
  return ORDINALS[count] ?? `${count}th`;
}

/** `2026-11-23 07:31 UTC` */
export function moment(time: Date): string {
  return `${time.toISOString().slice(0, 16).replace('T', ' ')} UTC`;
}
