/** Before this build takes over: would it carry on what runs on the server, and what has just run there? */
import type { Client } from '@temporalio/client';
import { replayHistories } from '../worker.js';
import { connectClient } from '../temporal.js';
import { printJson } from './output.js';
import { CommandError, command, say } from './process.js';

/** All Workflows of this build; `test/replay-check.test.ts` compares it with what the bundle exports. */
export const WORKFLOW_TYPES = [
  'syncConnection',
  'reauthorizeConnection',
  'keepSubscribed',
  'deliverEvents',
  'retryTargetSystem',
  'watchIncidents',
  'writeRecord',
  'writeBatch',
] as const;

/** What has ended longer ago will hardly be like what runs. */
const CLOSED_WITHIN_MS = 7 * 86_400_000;

export const replayCheck = command({
  name: 'replay-check',
  description:
    'Replay what runs on the Temporal server, and what has run there lately, with this build; ends with 1 where it would break one',
  args: {
    limit: { type: 'string', description: 'Histories of each type, running and ended, at most. Default: 25' },
    json: { type: 'boolean', description: 'Print JSON' },
  },
  run: async ({ args, config }) => {
    const limit = Number(args.limit ?? 25);
    if (!Number.isSafeInteger(limit) || limit < 1) throw new CommandError('--limit must be a whole number from 1', 2);
    const client = await connectClient(config);
    try {
      const broken: { readonly workflowId: string; readonly runId: string; readonly reason: string }[] = [];
      let replayed = 0;
      for await (const { workflowId, runId, error } of replayHistories(
        config,
        recentHistories(client, config.MAESN_SYNC_TASK_QUEUE, limit),
      )) {
        replayed += 1;
        if (error !== undefined) broken.push({ workflowId, runId, reason: error.message.split('\n')[0] ?? '' });
      }
      if (args.json === true) printJson({ replayed, broken });
      else for (const { workflowId, runId, reason } of broken) say(`${workflowId} ${runId}: ${reason}`);
      if (broken.length > 0) {
        throw new CommandError(
          `This build would break ${broken.length} of ${replayed} Workflows; keep the old one.`,
          1,
        );
      }
      if (args.json !== true) say(`This build replays all of ${replayed} Workflows.`);
    } finally {
      await client.connection.close();
    }
  },
});

/** One at a time, so that not all of them are in memory. */
async function* recentHistories(client: Client, taskQueue: string, limit: number) {
  const since = new Date(Date.now() - CLOSED_WITHIN_MS).toISOString();
  for (const type of WORKFLOW_TYPES) {
    for (const which of [`ExecutionStatus = 'Running'`, `ExecutionStatus != 'Running' and CloseTime > '${since}'`]) {
      let seen = 0;
      const query = `TaskQueue = '${taskQueue}' and WorkflowType = '${type}' and ${which}`;
      for await (const { workflowId, runId } of client.workflow.list({ query, pageSize: limit })) {
        yield { workflowId, history: await client.workflow.getHandle(workflowId, runId).fetchHistory() };
        seen += 1;
        if (seen === limit) break;
      }
    }
  }
}
