/** Which resources a connection's target system offers, as its answers have told. */
import { and, eq, sql } from 'drizzle-orm';
import { NOTE_OFFERED_EVERY_MS, RECHECK_AFTER_MS, RECHECK_OF_OFFERED_AFTER_MS } from '../spec/capabilities.js';
import type { Resource } from '../spec/resources.js';
import type { Database } from './database.js';
import { fromNow } from './from-now.js';
import { capabilities, connections } from './schema.js';
import type { CapabilityReason } from './schema.js';
import type { WalkOf } from './walks.js';

export interface Capability {
  readonly resource: Resource;
  readonly supported: boolean;
  /** Of what is not supported: what said so. */
  readonly reason: CapabilityReason | null;
  readonly checkedAt: Date;
  /** Until then it is not asked for; `null`: it is supported. */
  readonly recheckAt: Date | null;
}

export interface NotOffered extends CapabilityReason {
  readonly resource: Resource;
  readonly checkedAt: Date;
  readonly recheckAt: Date;
}

export interface Capabilities {
  offered(of: WalkOf & { readonly keyVersion: number }): Promise<void>;
  notOffered(of: WalkOf & { readonly keyVersion: number; readonly reason: CapabilityReason }): Promise<void>;
  /**
   * What need not be asked for: not offered under the key that the connection has now, and not due to be asked again.
   * Nothing where nothing at all is offered: then the path is wrong, not the resource.
   */
  unsupported(connectionId: string): Promise<NotOffered[]>;
  /** As `unsupported`, and which resources are offered, as `offered` has noted not long ago. */
  known(connectionId: string): Promise<{ readonly unsupported: NotOffered[]; readonly offered: Resource[] }>;
  /** In order of resource. */
  list(connectionId: string): Promise<Capability[]>;
  /** It is asked for again the next time. `false`: it would be anyway. */
  recheck(of: WalkOf): Promise<boolean>;
}

export function createCapabilities(db: Database): Capabilities {
  const key = [capabilities.connectionId, capabilities.resource];
  const columns = {
    resource: capabilities.resource,
    supported: capabilities.supported,
    reason: capabilities.reason,
    checkedAt: capabilities.checkedAt,
    recheckAt: capabilities.recheckAt,
  };
  const isStale = sql`${capabilities.checkedAt} < ${fromNow(-NOTE_OFFERED_EVERY_MS)}`;

  async function listKnown(connectionId: string) {
    const rows = await db
      .select({
        ...columns,
        isDue: sql<boolean>`coalesce(${capabilities.recheckAt} <= now(), true)`,
        isStale: sql<boolean>`${isStale}`,
        isOfThisKey: sql<boolean>`${capabilities.keyVersion} = ${connections.keyVersion}`,
      })
      .from(capabilities)
      .innerJoin(connections, eq(connections.id, capabilities.connectionId))
      .where(eq(capabilities.connectionId, connectionId))
      .orderBy(capabilities.resource);
    const offered = rows.filter(({ supported }) => supported);
    const unsupported = rows.flatMap(({ resource, supported, reason, checkedAt, recheckAt, isDue, isOfThisKey }) =>
      supported || isDue || reason === null || recheckAt === null || !isOfThisKey
        ? []
        : [{ resource, ...reason, checkedAt, recheckAt }],
    );
    return {
      unsupported: offered.length === 0 ? [] : unsupported,
      offered: offered.filter((row) => row.isOfThisKey && !row.isStale).map(({ resource }) => resource),
    };
  }

  return {
    async offered({ connectionId, resource, keyVersion }) {
      const known = {
        supported: true,
        reason: null,
        keyVersion,
        checkedAt: sql`now()`,
        recheckAt: null,
        offeredAt: sql`now()`,
      };
      await db
        .insert(capabilities)
        .values({ connectionId, resource, ...known })
        .onConflictDoUpdate({
          target: key,
          set: known,
          setWhere: sql`not ${capabilities.supported} or ${capabilities.keyVersion} <> ${keyVersion}
            or ${isStale}`,
        });
    },

    async notOffered({ connectionId, resource, keyVersion, reason }) {
      const known = { supported: false, reason, keyVersion, checkedAt: sql`now()` };
      await db
        .insert(capabilities)
        .values({ connectionId, resource, ...known, recheckAt: fromNow(RECHECK_AFTER_MS) })
        .onConflictDoUpdate({
          target: key,
          set: {
            ...known,
            recheckAt: sql`case when ${capabilities.offeredAt} is null then ${fromNow(RECHECK_AFTER_MS)}
                             else ${fromNow(RECHECK_OF_OFFERED_AFTER_MS)} end`,
          },
        });
    },

    unsupported: async (connectionId) => (await listKnown(connectionId)).unsupported,
    known: listKnown,

    list: (connectionId) =>
      db
        .select(columns)
        .from(capabilities)
        .where(eq(capabilities.connectionId, connectionId))
        .orderBy(capabilities.resource),

    async recheck({ connectionId, resource }) {
      const changed = await db
        .update(capabilities)
        .set({ recheckAt: sql`now()` })
        .where(
          and(
            eq(capabilities.connectionId, connectionId),
            eq(capabilities.resource, resource),
            eq(capabilities.supported, false),
          ),
        )
        .returning({ resource: capabilities.resource });
      return changed.length > 0;
    },
  };
}
