/** Every sync that does not get on: retries, waits for its end user, or is held. */
import { MAESN_CONNECTION, MAESN_STATE } from '../workflows/search-attributes.js';
import type { MaesnState } from '../workflows/search-attributes.js';
import type { ClientContext } from './context.js';
import { callTemporal } from './errors.js';
import { readSyncStatus } from './status.js';
import type { SyncStatus } from './status.js';

/** How many Workflows are asked at once. */
const CONCURRENCY = 20;

const STUCK_STATES: readonly MaesnState[] = ['Retrying', 'Waiting', 'AwaitingReauthorization', 'Paused', 'Held'];

/** Those that wait longest first. Asks only those Workflows of which Temporal's list, or the store, says that they wait. */
export async function readStuck(context: ClientContext): Promise<SyncStatus[]> {
  const { temporal, store } = context;
  const [awaiting, held, listed] = await Promise.all([
    store.connections.list({ statuses: ['awaiting_reauthorization', 'reauthorization_expired'] }),
    store.holds.all(),
    listConnections(context, `WorkflowType = 'syncConnection' AND ${MAESN_STATE.name} IN (${quoted(STUCK_STATES)})`),
  ]);
  const ids = new Set([...[...awaiting, ...held].map(({ connectionId }) => connectionId), ...listed]);
  const statuses: SyncStatus[] = [];
  const next = ids.values();
  await Promise.all(
    Array.from({ length: CONCURRENCY }, async () => {
      for (const id of next) {
        const connection = await store.connections.find(id);
        if (connection === undefined) continue;
        statuses.push(await callTemporal(context, id, () => readSyncStatus(temporal, store, connection)));
      }
    }),
  );
  return statuses.filter(isStuck).toSorted((a, b) => stuckSince(a) - stuckSince(b));
}

/** The list may be half a second old. Whoever has not signed in for the first time yet is not stuck as long as no sync was started. */
function isStuck({ holds, state, connection }: SyncStatus): boolean {
  const waits = holds.some(({ kind }) => kind !== 'reauthorization' || connection.status !== 'not_connected');
  return waits || state === 'Unknown' || STUCK_STATES.some((of) => of === state);
}

function stuckSince({ holds, since, connection }: SyncStatus): number {
  return (holds[0]?.since ?? since ?? connection.createdAt).getTime();
}

/** Whose Workflows run and are listed by a query. */
function listConnections(context: ClientContext, query: string): Promise<string[]> {
  const listed = context.temporal.workflow.list({ query: `ExecutionStatus = 'Running' AND ${query}` });
  return callTemporal(context, '', async () => {
    const ids: string[] = [];
    for await (const { typedSearchAttributes } of listed) {
      const id = typedSearchAttributes.get(MAESN_CONNECTION);
      if (id !== undefined) ids.push(id);
    }
    return ids;
  });
}

function quoted(values: readonly string[]): string {
  return values.map((value) => `'${value}'`).join(', ');
}
