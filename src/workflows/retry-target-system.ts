import { condition, setHandler, workflowInfo } from '@temporalio/workflow';
import { retrySome } from './activities.js';
import { continueUnlessCancelled } from './continue-as-new.js';
import { retryTargetSystemQuery } from './messages.js';
import type { RetryTargetSystemInput, RetryTargetSystemReport } from './messages.js';
import { createShownState } from './show-state.js';

/**
 * After an outage: has the next attempt made now of all that retries of one target system, one after the other and spread over
 * a time, so that the system is not met by all of them at once. In order of Workflow id, each once.
 */
export async function retryTargetSystem(input: RetryTargetSystemInput): Promise<RetryTargetSystemReport> {
  const { targetSystem, overMs, by } = input;
  const until = input.until ?? Date.now() + overMs;
  let { after, told = 0 } = input;
  let left: number | undefined;
  const shown = createShownState();
  const report = (): RetryTargetSystemReport => ({ told, left });
  setHandler(retryTargetSystemQuery, report);

  return shown.toEnd(async () => {
    for (;;) {
      const some = await retrySome.executeWithOptions({ summary: `requests to ${targetSystem}` }, [
        { targetSystem, by, until, after },
      ]);
      ({ after, left } = some);
      told += some.told;
      shown.show(
        'Syncing',
        `**${told} told** to make their next attempt now, ${left} are left, until ${new Date(until).toISOString()}. Asked for by ${by}.`,
      );
      if (left === 0) return report();
      await condition(() => false, some.nextInMs, { summary: 'the next one' });
      if (workflowInfo().continueAsNewSuggested) {
        return continueUnlessCancelled<typeof retryTargetSystem>({ ...input, until, after, told });
      }
    }
  });
}
