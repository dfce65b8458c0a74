/** Every sync that does not get on: retries, waits for its end user, or is held. */
import type { Client } from '@temporalio/client';
import type { Store } from '../store/index.js';
import { syncConnectionId } from '../workflows/messages.js';
import { readSyncStatus } from './status.js';
import type { SyncStatus } from './status.js';

/** How many Workflows are asked at once. */
const CONCURRENCY = 20;

/** Those that wait longest first. */
export async function readStuck(temporal: Client, store: Store): Promise<SyncStatus[]> {
  const [connections, held] = await Promise.all([store.connections.list(), store.holds.all()]);
  const heldIds = new Set(held.map(({ connectionId }) => connectionId));
  const running = await readRunning(temporal);
  const candidates = connections.filter(
    ({ connectionId, status }) =>
      status === 'awaiting_reauthorization' ||
      status === 'reauthorization_expired' ||
      heldIds.has(connectionId) ||
      running.has(syncConnectionId(connectionId)),
  );
  const statuses: SyncStatus[] = [];
  const next = candidates.values();
  await Promise.all(
    Array.from({ length: CONCURRENCY }, async () => {
      for (const candidate of next) statuses.push(await readSyncStatus(temporal, store, candidate));
    }),
  );
  return statuses.filter(isStuck).toSorted((a, b) => stuckSince(a) - stuckSince(b));
}

/** Whoever has not signed in for the first time yet is not stuck as long as no sync was started. */
function isStuck({ retry, holds, state, connection }: SyncStatus): boolean {
  const waits = holds.some(({ kind }) => kind !== 'reauthorization' || connection.status !== 'not_connected');
  return retry !== undefined || waits || state === 'Unknown' || state === 'AwaitingReauthorization';
}

function stuckSince({ holds, since, connection }: SyncStatus): number {
  return (holds[0]?.since ?? since ?? connection.createdAt).getTime();
}

/** Only Workflows that run can retry; most of a large number of connections do not at any moment. */
async function readRunning(temporal: Client): Promise<Set<string>> {
  const ids = new Set<string>();
  const query = "WorkflowType = 'syncConnection' AND ExecutionStatus = 'Running'";
  for await (const { workflowId } of temporal.workflow.list({ query })) ids.add(workflowId);
  return ids;
}
