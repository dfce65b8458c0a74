/** What an answer to a write means, and a failure, and the status of a task that was to carry it out. */
import type { FailureType } from './error-guide.js';

/**
 * `again`: it was refused before anything was done, and may be sent once more. `refused`: for good. `unknown`: it may have been
 * applied, or be applied yet.
 */
export type WriteFailureMeans = 'again' | 'reauthorize' | 'refused' | 'unknown';

export function writeFailureMeans(failure: {
  readonly type: FailureType;
  readonly status?: number | undefined;
  readonly neverSent?: boolean | undefined;
}): WriteFailureMeans {
  const { type, status = 0, neverSent } = failure;
  if (type === 'Unauthorized') return 'reauthorize';
  if (type === 'TooManyRequests' || type === 'ErrorBudgetSpent' || neverSent === true) return 'again';
  return status >= 400 && status < 500 ? 'refused' : 'unknown';
}

export type TaskMeans = 'running' | 'applied' | 'partly applied' | 'refused';

const TASK_STATUSES: Readonly<Record<string, TaskMeans>> = {
  OPEN: 'running',
  IN_PROGRESS: 'running',
  // Whoever wanted to cancel it could not: it goes on.
  CANCEL_FAILED: 'running',
  FINISHED: 'applied',
  SUCCESS: 'applied',
  PARTIAL_SUCCESS: 'partly applied',
  FAILED: 'refused',
  CANCELLED_SUCCESSFULLY: 'refused',
  DELETED: 'refused',
};

/** A status that nobody has heard of, or none, says nothing: the task is asked again. */
export function taskMeans(status: string | null): TaskMeans {
  return status !== null && Object.hasOwn(TASK_STATUSES, status) ? (TASK_STATUSES[status] ?? 'running') : 'running';
}

const FIRST_POLL_MS = 2_000;
const SLOWEST_POLL_MS = 60 * 60_000;

/** How long after the n-th poll, from 1, a task is asked again: most are done in seconds, some take days. */
export function pollDelayMs(polls: number): number {
  return Math.min(SLOWEST_POLL_MS, FIRST_POLL_MS * 2 ** (polls - 1));
}

/** A task that has not ended by then is a question for a person. */
export const TASK_TIME_LIMIT_MS = 7 * 24 * 60 * 60_000;

/** How often a write is sent, at most, when it turned out not to have been applied. */
export const MAX_SENDS = 5;
