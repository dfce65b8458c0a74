/**
 * The right to the one request that a target system runs at a time, taken in turns by all Workers. It is held until the
 * answer is there; where that is a task, until the task has ended. Who dies with it loses it in time.
 */
import { sleep } from '@temporalio/activity';
import { WAITER_GONE_AFTER_MS } from '../spec/lease.js';
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
  /** Who asks: its own, or the task that is asked for. */
  readonly holder: string;
  readonly ask: () => Promise<Answer>;
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
  async function take(holder: string): Promise<void> {
    const until = performance.now() + WAIT_AT_MOST_MS;
    while (!(await paces.takeLease(scope, { holder, forMs: LEASE_MS }))) {
      if (performance.now() > until) throw anotherRequestRuns(name);
      await sleep(LOOK_AGAIN_MS);
    }
  }

  return async function hold<Answer>({ holder, ask, taskOf }: LeasedRequest<Answer>): Promise<Answer> {
    await take(holder);
    const extending = setInterval(() => {
      paces.extendLease(scope, { holder, forMs: LEASE_MS }).catch(() => undefined);
    }, LEASE_MS / 3);
    try {
      const answer = await ask();
      const task = taskOf(answer);
      await paces.passLease(scope, holder, task === undefined ? undefined : { holder: task, forMs: TASK_LEASE_MS });
      return answer;
    } catch (error) {
      // Where no answer was seen, the request may still be running there: the lease ends by itself.
      if (hasEnded(error)) await paces.passLease(scope, holder);
      throw error;
    } finally {
      clearInterval(extending);
    }
  };
}

function hasEnded(error: unknown): boolean {
  return isMaesnError(error) && error.failure.status !== undefined;
}
