import { condition, setHandler, workflowInfo } from '@temporalio/workflow';
import { startNextWrites } from './activities.js';
import { continueUnlessCancelled } from './continue-as-new.js';
import { hasEnded, writeBatchQuery, writeChangedSignal } from './messages.js';
import type { WriteBatchInput, WriteBatchReport } from './messages.js';
import { createShownState } from './show-state.js';

/** One that is decided by a person tells nobody: it is seen at the next look. */
const LOOK_AGAIN = '1 minute';

/**
 * Starts the writes of a batch, some at a time, and counts what becomes of them. Each is a Workflow of its own, so that one
 * that waits for a person holds up no other.
 */
export async function writeBatch(input: WriteBatchInput): Promise<WriteBatchReport> {
  let changed = false;
  let report: WriteBatchReport | undefined;
  setHandler(writeChangedSignal, () => void (changed = true));
  setHandler(writeBatchQuery, () => report);
  const shown = createShownState();
  return shown.toEnd(async () => {
    for (;;) {
      changed = false;
      report = await startNextWrites(input);
      shown.show(
        'Writing',
        Object.entries(report)
          .map(([what, count]) => `- ${what}: ${count}`)
          .join('\n'),
      );
      if (hasEnded(report)) return report;
      await condition(() => changed, LOOK_AGAIN, { summary: 'a write has ended' });
      if (workflowInfo().continueAsNewSuggested) await continueUnlessCancelled<typeof writeBatch>(input);
    }
  });
}
