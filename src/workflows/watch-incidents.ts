import { condition, setHandler, workflowInfo } from '@temporalio/workflow';
import { INCIDENT_REVIEW_MS } from '../spec/incidents.js';
import { reviewIncidents } from './activities.js';
import { continueUnlessCancelled } from './continue-as-new.js';
import { incidentOpenedSignal } from './messages.js';
import { createShownState } from './show-state.js';

/**
 * Asks Maesn, while an incident is open, whether it still is: connections that fail ask less and less often, and one that is
 * not synced any more does not ask at all. Ends with the last incident; the next one starts it again.
 */
export async function watchIncidents(): Promise<void> {
  const shown = createShownState();
  let opened = false;
  setHandler(incidentOpenedSignal, () => void (opened = true));
  return shown.toEnd(async () => {
    for (let open = 1; open > 0 || opened;) {
      opened = false;
      await condition(() => false, INCIDENT_REVIEW_MS, { summary: 'the next review' });
      ({ open } = await reviewIncidents());
      shown.show('Idle', `**${open} incidents** are open. Each is asked about again in a quarter of an hour.`);
      if (workflowInfo().continueAsNewSuggested && open > 0) await continueUnlessCancelled<typeof watchIncidents>();
    }
  });
}
