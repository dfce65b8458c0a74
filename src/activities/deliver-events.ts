/** Delivers what is in the outbox of a connection, in the order in which it happened. */
import { ApplicationFailure, cancellationSignal, heartbeat } from '@temporalio/activity';
import { DeliveryError, createSendEvent, eventId } from '../application/send-event.js';
import type { DeliverEventsResult } from '../workflows/messages.js';
import type { ActivityDependencies } from './dependencies.js';
import type { OfConnection } from './holds.js';

/** Then the Workflow is asked again: an Activity that has much to do is not taken for one that hangs. */
const DELIVER_FOR_MS = 60_000;

export function createDeliverEvents({ store, options: { eventReceiver } }: ActivityDependencies) {
  const send = eventReceiver === undefined ? undefined : createSendEvent(eventReceiver);

  /**
   * One after the other: an event that is not taken holds up those behind it, so that their order stays. Who dies between an
   * answer and its note sends that event again, under the same id.
   */
  return async function deliverEvents({ connectionId }: OfConnection): Promise<DeliverEventsResult> {
    const until = Date.now() + DELIVER_FOR_MS;
    const signal = cancellationSignal();
    await store.events.forget(connectionId);
    for (let delivered = 0; ; delivered += 1) {
      const event = send === undefined ? undefined : await store.events.nextUndelivered(connectionId);
      if (event === undefined || send === undefined) return { delivered, more: false };
      if (Date.now() >= until) return { delivered, more: true };
      heartbeat();
      try {
        await send(event, signal);
      } catch (error) {
        if (!(error instanceof DeliveryError)) throw error;
        await store.events.deliveryFailed(event.id, error.message);
        throw ApplicationFailure.create({
          type: 'NotDelivered',
          message: `The application ${error.message}, when it was sent ${event.type} (${eventId(event)}); all later events of ${connectionId} wait behind it.`,
        });
      }
      await store.events.delivered(event.id);
    }
  };
}
