/** What a Workflow reads and writes of the store about its connection: holds, and what webhooks have hinted at. */
import type { Resource } from '../spec/resources.js';
import type { Store } from '../store/index.js';
import type { DecideDeletesInput, HoldReport, PauseInput, ResumeInput } from '../workflows/messages.js';
import type { ActivityDependencies } from './dependencies.js';

/** Who it was, in the journal, when it was nobody else. */
export const ITSELF = 'maesn-sync';

/** Who reaches the Workflow without going through `client.ts`. */
const AT_TEMPORAL = 'somebody at Temporal';

export interface OfConnection {
  readonly connectionId: string;
}

export function createReadHolds({ store }: ActivityDependencies) {
  return async function readHolds({ connectionId }: OfConnection): Promise<HoldReport[]> {
    return readReports(store, connectionId);
  };
}

export function createPauseConnection({ store }: ActivityDependencies) {
  /** Answers the holds there are then. A repeat finds its own hold and is content. */
  return async function pauseConnection(input: OfConnection & PauseInput): Promise<HoldReport[]> {
    const { connectionId, reason, by = AT_TEMPORAL } = input;
    await store.holds.place({
      connectionId,
      kind: 'paused',
      placedBy: by,
      reason,
      entry: { connectionId, actor: by, action: 'sync.paused', detail: { reason } },
    });
    return readReports(store, connectionId);
  };
}

export function createResumeConnection({ store }: ActivityDependencies) {
  return async function resumeConnection(input: OfConnection & ResumeInput): Promise<HoldReport[]> {
    const { connectionId, by = AT_TEMPORAL } = input;
    const entry = { connectionId, actor: by, action: 'sync.resumed' as const };
    await store.holds.lift({ connectionId, kind: 'paused', entry });
    return readReports(store, connectionId);
  };
}

export function createDecideDeletes({ store }: ActivityDependencies) {
  return async function decideDeletes(input: OfConnection & DecideDeletesInput): Promise<HoldReport[]> {
    const { connectionId, decision, by = AT_TEMPORAL } = input;
    await store.walks.decideDeletes({ connectionId, decision, actor: by });
    return readReports(store, connectionId);
  };
}

export function createReadHints({ store }: ActivityDependencies) {
  /**
   * Of these resources, those that webhooks have hinted at, that nobody has begun to pull since, and that are offered. With them
   * those that this very walk has begun, and not ended: a Worker that dies takes the Workflow Task along, but not that.
   */
  return async function readHints(
    input: OfConnection & { readonly walkId: string; readonly resources: readonly Resource[] },
  ): Promise<Resource[]> {
    const { connectionId, walkId, resources } = input;
    const [hinted, cursors, unsupported] = await Promise.all([
      store.webhooks.hints(connectionId),
      store.walks.list(connectionId),
      store.capabilities.unsupported(connectionId),
    ]);
    const begun = cursors.filter((cursor) => cursor.walkId === walkId && cursor.completedAt === null);
    const leftOut = new Set(unsupported.map(({ resource }) => resource));
    return [...new Set([...begun.map(({ resource }) => resource), ...hinted])].filter(
      (resource) => resources.includes(resource) && !leftOut.has(resource),
    );
  };
}

async function readReports(store: Store, connectionId: string): Promise<HoldReport[]> {
  const holds = await store.holds.list(connectionId);
  return holds.map(({ kind, placedBy, reason, since }) => ({ kind, placedBy, reason, since: since.toISOString() }));
}
