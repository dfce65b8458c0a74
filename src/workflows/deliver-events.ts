import { continueAsNew, setCurrentDetails, setHandler, workflowInfo } from '@temporalio/workflow';
import { deliverEvents as deliver } from './activities.js';
import { eventsAddedSignal } from './messages.js';
import type { DeliverEventsInput } from './messages.js';

/**
 * Delivers what is in a connection's outbox, then ends; the next event starts it again. A Signal that arrives while it is
 * ending makes the server refuse the end and hand over the Signal first, so no event is left lying.
 */
export async function deliverEvents(input: DeliverEventsInput): Promise<{ readonly delivered: number }> {
  const { connectionId } = input;
  const of = connectionId === null ? 'incidents' : `connection ${connectionId}`;
  let added = false;
  let delivered = 0;
  setHandler(eventsAddedSignal, () => void (added = true));

  for (let more = true; more || added;) {
    added = false;
    setCurrentDetails(
      `Events of ${of}, in order; ${delivered} delivered since ${workflowInfo().startTime.toISOString()}. ` +
        'While the application does not take one, _Pending Activities_ says why and when it is sent again.',
    );
    const result = await deliver.executeWithOptions({ summary: `events of ${of}` }, [{ connectionId }]);
    delivered += result.delivered;
    ({ more } = result);
    if (workflowInfo().continueAsNewSuggested && (more || added)) return continueAsNew<typeof deliverEvents>(input);
  }
  return { delivered };
}
