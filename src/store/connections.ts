/** What one account key opens: one end user's books in one target system. */
import { eq, sql } from 'drizzle-orm';
import type { Database } from './database.js';
import { connections } from './schema.js';
import type { ConnectionStatus } from './schema.js';
import type { Sealing } from './sealing.js';

export interface NewConnection {
  readonly connectionId: string;
  readonly targetSystem: string;
  readonly accountKey: string;
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

export interface Connections {
  /** `false`: there is one of that id already; nothing was changed. */
  add(connection: NewConnection): Promise<boolean>;
  find(connectionId: string): Promise<Connection | undefined>;
  list(): Promise<Connection[]>;
  /** The connection with its account key in the clear. Throws `SealingError`. */
  open(connectionId: string): Promise<(Connection & { readonly accountKey: string }) | undefined>;
  /** Stores a new account key; its version is one more than the last. `undefined`: no such connection. */
  storeKey(connectionId: string, accountKey: string): Promise<Pick<Connection, 'keyVersion' | 'status'> | undefined>;
  /** Removes the connection and everything of it. `false`: no such connection. */
  remove(connectionId: string): Promise<boolean>;
}

export function createConnections(db: Database, sealing: Sealing): Connections {
  async function row(connectionId: string) {
    const [found] = await db.select().from(connections).where(eq(connections.id, connectionId));
    return found;
  }

  return {
    async add({ connectionId, accountKey, ...about }) {
      const added = await db
        .insert(connections)
        .values({ id: connectionId, accountKey: sealing.seal(accountKey, { connectionId, keyVersion: 1 }), ...about })
        .onConflictDoNothing()
        .returning({ id: connections.id });
      return added.length > 0;
    },

    async find(connectionId) {
      const found = await row(connectionId);
      return found === undefined ? undefined : toConnection(found);
    },

    async list() {
      return (await db.select().from(connections).orderBy(connections.id)).map(toConnection);
    },

    async open(connectionId) {
      const found = await row(connectionId);
      if (found === undefined) return undefined;
      const { accountKey, keyVersion } = found;
      return { ...toConnection(found), accountKey: sealing.open(accountKey, { connectionId, keyVersion }) };
    },

    storeKey: (connectionId, accountKey) =>
      db.transaction(async (tx) => {
        const [found] = await tx.select().from(connections).where(eq(connections.id, connectionId)).for('update');
        if (found === undefined) return undefined;
        const keyVersion = found.keyVersion + 1;
        // While a connection awaits reauthorisation only a good probe makes it active again; when nobody waits any
        // more, the next sync finds out whether the key is good.
        const status = found.status === 'awaiting_reauthorization' ? found.status : 'active';
        await tx
          .update(connections)
          .set({ keyVersion, status, accountKey: sealing.seal(accountKey, { connectionId, keyVersion }) })
          .where(eq(connections.id, connectionId));
        return { keyVersion, status };
      }),

    async remove(connectionId) {
      const removed = await db
        .delete(connections)
        .where(eq(connections.id, connectionId))
        .returning({ one: sql`1` });
      return removed.length > 0;
    },
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
