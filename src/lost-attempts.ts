/**
 * A Worker that was killed cannot say that its Activities have failed, and Temporal waits for the heartbeats that do not come
 * before it gives them to another one. Whoever sees that its process is gone says so in its place.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { ActivityNotFoundError } from '@temporalio/client';
import type { Client } from '@temporalio/client';
import type { Logger } from '@temporalio/worker';
import { workerLost } from './activities/failure.js';
import type { LostAttempt, Store } from './store/index.js';
import { syncConnectionId } from './workflows/messages.js';

const LOOK_EVERY_MS = 5_000;
/** Between the look that finds an attempt and the one that believes it: a process can lose its connections and be back. */
const LOOK_AGAIN_AFTER_MS = 1_000;

export interface EndLostAttemptsOptions {
  readonly store: Pick<Store, 'attempts'>;
  readonly temporal: Pick<Client, 'activity' | 'options' | 'workflowService'>;
  readonly logger: Logger;
  readonly isOver: () => boolean;
}

/** Looks as long as the Worker runs. What fails is tried at the next look; the heartbeats are still there. */
export async function endLostAttempts({ store, temporal, logger, isOver }: EndLostAttemptsOptions): Promise<void> {
  let seen: ReadonlySet<string> = new Set();
  while (!isOver()) {
    const found = await store.attempts.lost().catch((): LostAttempt[] => []);
    for (const attempt of found) {
      if (seen.has(attempt.taskToken)) await end(attempt).catch(() => undefined);
    }
    seen = new Set(found.map(({ taskToken }) => taskToken));
    await sleep(found.length > 0 ? LOOK_AGAIN_AFTER_MS : LOOK_EVERY_MS, undefined, { ref: false });
  }

  async function end(attempt: LostAttempt): Promise<void> {
    const { connectionId, resource, taskToken } = attempt;
    const workflowId = syncConnectionId(connectionId);
    // What its Workflow does next is not for the Worker that is gone either: Temporal would wait for that one again.
    await temporal.workflowService
      .resetStickyTaskQueue({ namespace: temporal.options.namespace, execution: { workflowId } })
      .catch(() => undefined);
    try {
      await temporal.activity.fail(Buffer.from(taskToken, 'base64'), workerLost());
      logger.warn('The Worker of an Activity has ended; another one goes on', { workflowId, resource });
    } catch (error) {
      // Temporal has found out itself, or another Worker was faster.
      if (!(error instanceof ActivityNotFoundError)) throw error;
    }
    await store.attempts.forget(attempt);
  }
}
