/**
 * Delivers a connection's events to the application, one after the other in the order in which they happened. The first
 * that is not taken blocks those behind it, and is sent again under the same id until it is.
 */
import { activityInfo, cancellationDetails, cancellationSignal, heartbeat } from '@temporalio/activity';
import type { ApplicationFailure } from '@temporalio/activity';
import { SendEventError, createSendEvent, eventId } from '../application/send-event.js';
import type { SendEvent } from '../application/send-event.js';
import { isStuck } from '../spec/retry.js';
import type { Event } from '../store/index.js';
import type { DeliverEventsInput, DeliverEventsResult } from '../workflows/messages.js';
import type { ActivityDependencies } from './dependencies.js';
import { deliveredLater, eventNotTaken, workerShutdown } from './failure.js';
import { tellProgressed, tellRetrying } from './tell-workflow.js';

/** In the heartbeat: the Workflow knows that an event is not taken. */
const TOLD = 'told';

export function createDeliverEvents({ store, options }: ActivityDependencies) {
  const { eventReceiver, deliverForMs, deliverAtOnce, keepEventsForMs, heartbeatEveryMs } = options;
  const send = eventReceiver === undefined ? undefined : createSendEvent(eventReceiver);
  let underWay = 0;

  return async function deliverEvents({ connectionId }: DeliverEventsInput): Promise<DeliverEventsResult> {
    // There is no receiver any more: the events stay where the HTTP API reads them.
    if (send === undefined) return { delivered: 0, more: false };
    if (underWay >= deliverAtOnce) throw deliveredLater(deliverAtOnce);
    underWay += 1;
    const told: unknown = activityInfo().heartbeatDetails;
    const beat = () => heartbeat(told);
    const ticking = setInterval(beat, heartbeatEveryMs);
    try {
      beat();
      const before = new Date(Date.now() - keepEventsForMs);
      await store.events.prune({ connectionId, before, undelivered: false });
      return await deliverInOrder(connectionId, send);
    } catch (error) {
      throw cancellationDetails()?.workerShutdown === true ? workerShutdown() : error;
    } finally {
      clearInterval(ticking);
      underWay -= 1;
    }
  };

  async function deliverInOrder(connectionId: string | null, sendEvent: SendEvent): Promise<DeliverEventsResult> {
    const until = Date.now() + deliverForMs;
    let delivered = 0;
    for (;;) {
      const event = await store.events.nextUndelivered(connectionId);
      if (event === undefined) return { delivered, more: false };
      if (delivered > 0 && Date.now() >= until) return { delivered, more: true };
      try {
        await sendEvent(event, cancellationSignal());
      } catch (error) {
        if (!(error instanceof SendEventError)) throw error;
        await store.events.deliveryFailed(event.id, error.message);
        // It got on: in an Activity of its own the next failure is again the first, with the shortest delay.
        if (delivered > 0) return { delivered, more: true };
        const failure = await notTaken(event, error.message);
        await tellIfStuck(event, failure);
        throw failure;
      }
      await store.events.delivered(event.id);
      delivered += 1;
      if (isStuck(event.attempts)) await tellProgressed();
    }
  }

  async function notTaken(event: Event, reason: string): Promise<ApplicationFailure> {
    const undelivered = await store.events.countUndelivered(event.connectionId);
    return eventNotTaken({
      id: eventId(event),
      type: event.type,
      failureCount: event.attempts + 1,
      reason,
      behind: Math.max(0, undelivered - 1),
    });
  }
}

/** Of one event the row of failures is in the store; that it was told is in the heartbeat. */
async function tellIfStuck(
  { attempts, type, createdAt }: Event,
  { nextRetryDelay }: ApplicationFailure,
): Promise<void> {
  const failures = attempts + 1;
  if (!isStuck(failures) || activityInfo().heartbeatDetails === TOLD) return;
  const report = {
    type: 'EventNotTaken',
    request: type,
    failures,
    since: createdAt.toISOString(),
    nextAttemptAt: new Date(Date.now() + Number(nextRetryDelay ?? 0)).toISOString(),
  };
  if (await tellRetrying(report)) heartbeat(TOLD);
}
