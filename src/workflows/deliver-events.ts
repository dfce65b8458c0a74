import {
  allHandlersFinished,
  condition,
  continueAsNew,
  setCurrentDetails,
  setHandler,
  workflowInfo,
} from '@temporalio/workflow';
import { deliverEvents as deliver } from './activities.js';
import { eventsAddedSignal } from './messages.js';
import type { DeliverEventsInput } from './messages.js';

/**
 * Has the events of one connection delivered, and ends when none is left. Whoever adds an event signals with start: a Signal
 * that comes while it is about to end gives it another turn.
 */
export async function deliverEvents(input: DeliverEventsInput): Promise<{ readonly delivered: number }> {
  let added = 0;
  let seen: number;
  let delivered = 0;
  setHandler(eventsAddedSignal, () => void (added += 1));

  do {
    seen = added;
    setCurrentDetails(`Delivering the events of \`${input.connectionId}\`, in order; ${delivered} so far.`);
    const result = await deliver(input);
    delivered += result.delivered;
    if (result.more) added += 1;
    if (workflowInfo().continueAsNewSuggested) {
      await condition(allHandlersFinished);
      return continueAsNew<typeof deliverEvents>(input);
    }
  } while (added > seen);
  return { delivered };
}
