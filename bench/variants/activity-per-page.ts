/** The usual way with Temporal: a Workflow that has each page pulled by an Activity of its own. */
import { WorkflowExecutionAlreadyStartedError } from '@temporalio/client';
import { Worker } from '@temporalio/worker';
import { createLogger, installLogger } from '../../src/logging.js';
import { connectWorker } from '../../src/temporal.js';
import { openPages, forEachAtOnce } from './pages.js';
import type { WantedPage } from './pages.js';
import type { OpenVariant, VariantTask } from './task.js';

export interface PageActivities {
  pullPage(wanted: WantedPage): Promise<{ readonly totalPages: number }>;
}

export type PullByPageInput = WantedPage;

const STARTS_AT_ONCE = 20;

export async function open(task: VariantTask): Promise<OpenVariant> {
  installLogger(createLogger({ LOG_LEVEL: 'error' }));
  const pages = await openPages(task.pageSourceUrl, task.databaseUrl);
  const { connection, client } = await connectWorker({ env: { TEMPORAL_ADDRESS: task.temporalAddress } });
  const activities: PageActivities = {
    pullPage: async (wanted) => ({ totalPages: await pages.pull(wanted) }),
  };
  const worker = await Worker.create({
    connection,
    taskQueue: task.name,
    workflowBundle: { codePath: task.workflowBundles['activity-per-page'] ?? '' },
    activities,
  });
  const running = worker.run();

  async function start(connectionId: string, incremental: boolean) {
    const workflowId = `${task.name}/${connectionId}`;
    const args: [PullByPageInput] = [{ connectionId, page: 1, since: await pages.since(connectionId, incremental) }];
    try {
      return await client.workflow.start('pullByPage', { workflowId, taskQueue: task.name, args });
    } catch (error) {
      if (error instanceof WorkflowExecutionAlreadyStartedError) return client.workflow.getHandle(workflowId);
      throw error;
    }
  }

  return {
    async pull(incremental) {
      const ends: Promise<unknown>[] = [];
      await forEachAtOnce(task.connections, STARTS_AT_ONCE, async (connectionId) => {
        const handle = await start(connectionId, incremental);
        ends.push(handle.result());
      });
      await Promise.all(ends);
    },
    async close() {
      worker.shutdown();
      await running;
      await connection.close();
      await pages.close();
    },
  };
}
