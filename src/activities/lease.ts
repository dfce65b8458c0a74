/**
 * The right to the one request that a target system runs at a time, taken in turns by all Workers. It is held until the
 * answer is there; where that is a task, until the task has ended. Who dies with it loses it in time.
 */
import { randomUUID } from 'node:crypto';
import { sleep } from '@temporalio/activity';
import { WAITER_GONE_AFTER_MS } from '../spec/lease.js';
import type { LeaseWanted } from '../spec/lease.js';
import type { Store } from '../store/index.js';
import { anotherRequestRuns, isMaesnError } from './failure.js';

/** Of a request: extended three times in that while it is under way. */
export const LEASE_MS = 30_000;
/** Of a task, from one poll to the next: an Activity that failed while it ran, or a Worker that died, comes back for it. */
export const TASK_LEASE_MS = 5 * 60_000;
/** A waiter must not outlast its Activity's time-out, which is 10 minutes. */
const WAIT_AT_MOST_MS = 4 * 60_000;
const LOOK_AGAIN_MS = WAITER_GONE_AFTER_MS / 10;

export interface LeasedRequest<Answer> {
  /** The task that is asked for, and holds the lease; `undefined`: a request of its own. */
  readonly taskId: string | undefined;
  /** Calls `onSent` when the request leaves. */
  readonly ask: (onSent: () => void) => Promise<Answer>;
  /** Names the task that is running after this answer. */
  readonly taskOf: (answer: Answer) => string | undefined;
}

export interface LeaseOptions {
  readonly store: Store;
  readonly scope: string;
  /** Of the target system, for whoever reads why it waits. */
  readonly name: string;
}

export type Lease = ReturnType<typeof createLease>;

export function createLease({ store: { paces }, scope, name }: LeaseOptions) {
  async function take(wanted: LeaseWanted): Promise<void> {
    const until = performance.now() + WAIT_AT_MOST_MS;
    while (!(await paces.takeLease(scope, wanted))) {
      if (performance.now() > until) throw anotherRequestRuns(name);
      await sleep(LOOK_AGAIN_MS);
    }
  }

  return async function hold<Answer>({ taskId, ask, taskOf }: LeasedRequest<Answer>): Promise<Answer> {
    const holder = taskId ?? randomUUID();
    const wanted = { holder, forMs: taskId === undefined ? LEASE_MS : TASK_LEASE_MS };
    await take(wanted);
    const extending = setInterval(() => {
      // One that fails is made up for by the next; what the request brings does not depend on it.
      paces.extendLease(scope, wanted).catch(() => undefined);
    }, LEASE_MS / 3);
    let isSent = false;
    try {
      const answer = await ask(() => (isSent = true));
      const task = taskOf(answer);
      await paces.passLease(scope, holder, task === undefined ? undefined : { holder: task, forMs: TASK_LEASE_MS });
      return answer;
    } catch (error) {
      // Where no answer was seen, the request may still be running there: then the lease ends by itself.
      const hasEnded = taskId === undefined ? !isSent || isAnswer(error) : isNotFound(error);
      if (hasEnded) await paces.passLease(scope, holder);
      throw error;
    } finally {
      clearInterval(extending);
    }
  };
}

function isAnswer(error: unknown): boolean {
  return isMaesnError(error) && error.failure.status !== undefined;
}

/** A task that is not there does not run; any other refusal says nothing of it. */
function isNotFound(error: unknown): boolean {
  return isMaesnError(error) && error.failure.type === 'NotFound';
}
