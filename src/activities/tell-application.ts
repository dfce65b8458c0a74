/** Telling the application: an event in the outbox, and the Workflow that delivers it. */
import { ApplicationFailure } from '@temporalio/activity';
import type { NewEvent } from '../store/index.js';
import { deliverEventsId, eventsAddedSignal, isFailureDetails } from '../workflows/messages.js';
import type { PullResourceInput } from '../workflows/messages.js';
import type { ActivityDependencies } from './dependencies.js';

/** As many failures in a row, and a person may want to know. */
const STUCK_AFTER = 3;

export type TellApplicationInput = NewEvent;

/** Safe to repeat: the same occasion is one event, and whoever died before the Signal sends it when tried again. */
export function createTell({ store, temporal, taskQueue, options }: ActivityDependencies) {
  return async function tell(event: NewEvent): Promise<void> {
    await store.events.add(event);
    const { connectionId } = event;
    // Where events are delivered, whoever delivers them forgets the old ones.
    if (options.eventReceiver === undefined) return store.events.forget(connectionId, { undelivered: true });
    await temporal.workflow.signalWithStart('deliverEvents', {
      workflowId: deliverEventsId(connectionId),
      taskQueue,
      args: [{ connectionId }],
      signal: eventsAddedSignal,
      staticSummary: `events of ${connectionId} to the application`,
    });
  };
}

export function createTellApplication(dependencies: ActivityDependencies) {
  return createTell(dependencies);
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
