/** Telling the application: an event in the outbox, and the Workflow that delivers it. */
import { ApplicationFailure } from '@temporalio/activity';
import type { NewEvent } from '../store/index.js';
import { deliverEventsStart, isFailureDetails } from '../workflows/messages.js';
import type { PullResourceInput } from '../workflows/messages.js';
import type { ActivityDependencies } from './dependencies.js';

/** As many failures in a row, and a person may want to know. */
const STUCK_AFTER = 3;

/** Safe to repeat: the same occasion is one event, and whoever died before the Signal sends it when tried again. */
export function createTell({ store, temporal, taskQueue, options }: ActivityDependencies) {
  return async function tell(event: NewEvent): Promise<void> {
    const { connectionId } = event;
    await store.events.add(event);
    if (options.eventReceiver === undefined) {
      // Nobody delivers them, so nobody else would ever clear them away.
      const before = new Date(Date.now() - options.keepEventsForMs);
      return store.events.prune({ connectionId, before, undelivered: true });
    }
    await temporal.workflow.signalWithStart('deliverEvents', { taskQueue, ...deliverEventsStart(connectionId) });
  };
}

/** Once for every row of failures: when the third one comes. */
export function createTellStuck(dependencies: ActivityDependencies) {
  const tell = createTell(dependencies);
  return async ({ connectionId, resource, walkId }: PullResourceInput, failure: unknown): Promise<void> => {
    if (!(failure instanceof ApplicationFailure) || failure.nonRetryable === true) return;
    const details: unknown = failure.details?.[0];
    if (!isFailureDetails(details) || details.failureCount !== STUCK_AFTER) return;
    const { type, page, status, nextAttemptAt, request } = details;
    await tell({
      connectionId,
      type: 'sync.stuck',
      occasion: `${walkId}, ${resource}, page ${page ?? '-'}, ${type}`,
      data: { resource, page, type, status, request, failures: STUCK_AFTER, nextAttemptAt },
    }).catch(() => undefined);
  };
}

/** Somebody must say whether what is gone may be deleted. Once for every walk, however often it is told. */
export function createTellWithheld(dependencies: ActivityDependencies) {
  const tell = createTell(dependencies);
  return async (connectionId: string): Promise<void> => {
    const cursors = await dependencies.store.walks.list(connectionId);
    for (const { phase, walkId, resource, deleted: gone, records: listed } of cursors) {
      if (phase !== 'guarded') continue;
      const occasion = `${walkId}, ${resource}`;
      await tell({ connectionId, type: 'sync.deletes_withheld', occasion, data: { resource, gone, listed } });
    }
  };
}
