import type { WriteBatchInput, WriteBatchReport } from '../workflows/messages.js';
import { hasEnded, writeRecordStart } from '../workflows/messages.js';
import type { ActivityDependencies } from './dependencies.js';
import { createTell } from './tell-application.js';

/** Of one batch: enough to keep any target system busy, few enough for others to get their turn. */
const AT_ONCE = 20;

export function createStartNextWrites(dependencies: ActivityDependencies) {
  const { store, temporal, taskQueue } = dependencies;
  const tell = createTell(dependencies);

  /**
   * Starts as many writes of the batch as there is room for, in order, and tells the application when none is left. Safe to
   * repeat: one that runs is only woken.
   */
  return async function startNextWrites(batch: WriteBatchInput): Promise<WriteBatchReport> {
    const { targetSystem } = (await store.connections.find(batch.connectionId)) ?? {};
    for (const write of await store.writes.nextOfBatch({ ...batch, atOnce: AT_ONCE })) {
      await temporal.workflow.signalWithStart(
        'writeRecord',
        writeRecordStart({ ...write, targetSystem }, write.operation, taskQueue),
      );
      await store.writes.started(write);
    }
    const counts = await store.writes.countBatch(batch);
    if (hasEnded(counts)) {
      const { connectionId, batchId } = batch;
      await tell({ connectionId, type: 'write_batch.ended', occasion: batchId, data: { batchId, ...counts } });
    }
    return counts;
  };
}
