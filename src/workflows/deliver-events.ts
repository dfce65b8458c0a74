import { setHandler, workflowInfo } from '@temporalio/workflow';
import { describeRetrying, stateOfRetry } from '../spec/retry-text.js';
import { deliverEvents as deliver } from './activities.js';
import { continueUnlessCancelled } from './continue-as-new.js';
import { eventsAddedSignal } from './messages.js';
import type { DeliverEventsInput } from './messages.js';
import { receiveRetrying } from './retrying.js';
import { createShownState } from './show-state.js';

/**
 * Delivers what is in a connection's outbox, then ends; the next event starts it again. A Signal that arrives while it is
 * ending makes the server refuse the end and hand over the Signal first, so no event is left lying.
 */
export async function deliverEvents(input: DeliverEventsInput): Promise<{ readonly delivered: number }> {
  const { connectionId } = input;
  const of = connectionId === null ? 'incidents' : `connection ${connectionId}`;
  let added = false;
  let delivered = 0;
  const shown = createShownState();
  const retrying = receiveRetrying(show);
  setHandler(eventsAddedSignal, () => void (added = true));
  return shown.toEnd(deliverAll);

  async function deliverAll(): Promise<{ readonly delivered: number }> {
    for (let more = true; more || added;) {
      added = false;
      show();
      const result = await retrying.run(() =>
        deliver.executeWithOptions({ summary: `events of ${of}` }, [{ connectionId }]),
      );
      delivered += result.delivered;
      ({ more } = result);
      if (workflowInfo().continueAsNewSuggested && (more || added))
        return continueUnlessCancelled<typeof deliverEvents>(input);
    }
    return { delivered };
  }

  function show(): void {
    const { report } = retrying;
    if (report !== undefined)
      return shown.show(stateOfRetry(report), describeRetrying(`Delivering the events of ${of}`, report));
    shown.show(
      'Delivering',
      `Events of ${of}, in order; ${delivered} delivered since ${workflowInfo().startTime.toISOString()}. ` +
        'While the application does not take one, _Pending Activities_ says why and when it is sent again.',
    );
  }
}
