/** The Temporal dev server, in memory: the fastest it can be. And what a variant has cost there. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { Client, Connection } from '@temporalio/client';
import { countActions } from '../actions.js';
import type { Heartbeats } from '../actions.js';
import { startTemporalServer } from '../../src/embedded/temporal-server.js';

export interface TemporalCost {
  /** Length of all histories. */
  readonly events: number;
  readonly actions: number;
}

export interface BenchTemporal {
  readonly address: string;
  /** Of all runs on a task queue, once they have ended. */
  cost(taskQueue: string, heartbeats?: Heartbeats): Promise<TemporalCost>;
  stop(): Promise<void>;
}

export async function startTemporal(onProgress: (line: string) => void): Promise<BenchTemporal> {
  const dataDir = await mkdtemp(path.join(tmpdir(), 'maesn-sync-bench-temporal-'));
  const server = await startTemporalServer({ dataDir, persistent: false, ui: false, env: process.env, onProgress });
  const connection = await Connection.connect({ address: server.address });
  const client = new Client({ connection });
  return {
    address: server.address,
    async cost(taskQueue, heartbeats) {
      await untilClosed(client, taskQueue);
      let events = 0;
      let actions = 0;
      for await (const { workflowId, runId } of client.workflow.list({ query: `TaskQueue = '${taskQueue}'` })) {
        const history = (await client.workflow.getHandle(workflowId, runId).fetchHistory()).events ?? [];
        events += history.length;
        actions += countActions(history, heartbeats);
      }
      return { events, actions };
    },
    async stop() {
      await connection.close();
      await server.stop();
      await rm(dataDir, { recursive: true, force: true });
    },
  };
}

/** What is listed lags behind what has happened. */
async function untilClosed(client: Client, taskQueue: string): Promise<void> {
  const query = `TaskQueue = '${taskQueue}' and ExecutionStatus = 'Running'`;
  await sleep(1_000);
  while ((await client.workflow.count(query)).count > 0) await sleep(200);
}
