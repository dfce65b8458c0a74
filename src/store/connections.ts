/** What one account key opens: one end user's books in one target system. */
import { and, eq, gt, inArray } from 'drizzle-orm';
import type { Database } from './database.js';
import { HOLD } from './holds.js';
import type { Hold } from './holds.js';
import { enter } from './journal.js';
import { connections, cursors, holds } from './schema.js';
import type { ConnectionStatus } from './schema.js';
import type { Sealing } from './sealing.js';

export interface NewConnection {
  readonly connectionId: string;
  readonly targetSystem: string;
  /** Absent: the end user has not signed in yet. */
  readonly accountKey?: string | undefined;
  readonly companyId?: string | undefined;
  readonly environmentName?: string | undefined;
  /** ISO date; some systems want it on accounts and payment terms. */
  readonly fiscalYearStartDate?: string | undefined;
}

export interface Connection {
  readonly connectionId: string;
  readonly targetSystem: string;
  readonly companyId: string | null;
  readonly environmentName: string | null;
  readonly fiscalYearStartDate: string | null;
  readonly status: ConnectionStatus;
  readonly keyVersion: number;
  readonly refusedVersion: number;
  readonly round: number;
  readonly awaitingSince: Date | null;
  readonly createdAt: Date;
}

export type OpenConnection = Connection & { readonly accountKey: string | undefined };

/** What a walk must know before it asks for anything. */
export interface OpenedForWalk {
  readonly opened: OpenConnection;
  readonly holds: readonly Hold[];
}

export interface ListConnectionsOptions {
  readonly afterId?: string | undefined;
  readonly limit?: number | undefined;
  readonly statuses?: readonly ConnectionStatus[];
}

export interface Connections {
  /** `false`: there is one of that id already; nothing was changed. */
  add(connection: NewConnection, actor: string): Promise<boolean>;
  find(connectionId: string): Promise<Connection | undefined>;
  /** In order of id, from behind `afterId`. */
  list(options?: ListConnectionsOptions): Promise<Connection[]>;
  /** The connection with its account key in the clear; `undefined` where there is none yet. Throws `SealingError`. */
  open(connectionId: string): Promise<OpenConnection | undefined>;
  /** As `open`, with what keeps it from running. */
  openForWalk(connectionId: string): Promise<OpenedForWalk | undefined>;
  /** Stores a new account key; its version is one more than the last. `undefined`: no such connection. */
  storeKey(
    connectionId: string,
    accountKey: string,
    actor: string,
  ): Promise<Pick<Connection, 'keyVersion' | 'status'> | undefined>;
  /** Removes the connection and everything of it but its journal. `false`: no such connection. */
  remove(connectionId: string, actor: string): Promise<boolean>;
}

export function createConnections(db: Database, sealing: Sealing): Connections {
  async function row(connectionId: string) {
    const [found] = await db.select().from(connections).where(eq(connections.id, connectionId));
    return found;
  }

  function toOpen(found: typeof connections.$inferSelect): OpenConnection {
    const { id, accountKey, keyVersion } = found;
    return {
      ...toConnection(found),
      accountKey: accountKey === null ? undefined : sealing.open(accountKey, [id, keyVersion]),
    };
  }

  return {
    add: ({ connectionId, accountKey, ...about }, actor) =>
      db.transaction(async (tx) => {
        const keyVersion = accountKey === undefined ? 0 : 1;
        const added = await tx
          .insert(connections)
          .values({
            id: connectionId,
            ...about,
            keyVersion,
            ...(accountKey === undefined
              ? { status: 'not_connected' as const }
              : { accountKey: sealing.seal(accountKey, [connectionId, keyVersion]) }),
          })
          .onConflictDoNothing()
          .returning({ id: connections.id });
        if (added.length > 0) {
          const { targetSystem } = about;
          await enter(tx, { connectionId, actor, action: 'connection.added', detail: { targetSystem, keyVersion } });
        }
        return added.length > 0;
      }),

    async find(connectionId) {
      const found = await row(connectionId);
      return found === undefined ? undefined : toConnection(found);
    },

    async list({ afterId, limit, statuses } = {}) {
      const found = db
        .select()
        .from(connections)
        .where(
          and(
            afterId === undefined ? undefined : gt(connections.id, afterId),
            statuses === undefined ? undefined : inArray(connections.status, [...statuses]),
          ),
        )
        .orderBy(connections.id);
      return (await (limit === undefined ? found : found.limit(limit))).map(toConnection);
    },

    async open(connectionId) {
      const found = await row(connectionId);
      return found && toOpen(found);
    },

    async openForWalk(connectionId) {
      const found = await db
        .select({ connection: connections, hold: HOLD })
        .from(connections)
        .leftJoin(holds, eq(holds.connectionId, connections.id))
        .where(eq(connections.id, connectionId))
        .orderBy(holds.since, holds.kind);
      const [first] = found;
      return first && { opened: toOpen(first.connection), holds: found.flatMap(({ hold }) => hold ?? []) };
    },

    storeKey: (connectionId, accountKey, actor) =>
      db.transaction(async (tx) => {
        const [found] = await tx.select().from(connections).where(eq(connections.id, connectionId)).for('update');
        if (found === undefined) return undefined;
        const keyVersion = found.keyVersion + 1;
        // While a connection awaits reauthorisation only a good probe makes it active again; when nobody waits any
        // more, the next sync finds out whether the key is good.
        const status = found.status === 'awaiting_reauthorization' ? found.status : 'active';
        await tx
          .update(connections)
          .set({ keyVersion, status, accountKey: sealing.seal(accountKey, [connectionId, keyVersion]) })
          .where(eq(connections.id, connectionId));
        await enter(tx, { connectionId, actor, action: 'key.stored', detail: { keyVersion } });
        return { keyVersion, status };
      }),

    remove: (connectionId, actor) =>
      db.transaction(async (tx) => {
        // As a walk does: first the cursor, then the connection. The other way round, they would wait for each other.
        await tx
          .select()
          .from(cursors)
          .where(eq(cursors.connectionId, connectionId))
          .orderBy(cursors.resource)
          .for('update');
        const removed = await tx
          .delete(connections)
          .where(eq(connections.id, connectionId))
          .returning({ id: connections.id });
        if (removed.length > 0) await enter(tx, { connectionId, actor, action: 'connection.removed' });
        return removed.length > 0;
      }),
  };
}

export function toConnection(found: typeof connections.$inferSelect): Connection {
  return {
    connectionId: found.id,
    targetSystem: found.targetSystem,
    companyId: found.companyId,
    environmentName: found.environmentName,
    fiscalYearStartDate: found.fiscalYearStartDate,
    status: found.status,
    keyVersion: found.keyVersion,
    refusedVersion: found.refusedVersion,
    round: found.reauthorizationRound,
    awaitingSince: found.awaitingSince,
    createdAt: found.createdAt,
  };
}
