/** Reading what was synced. */
import { and, asc, eq, gt, sql } from 'drizzle-orm';
import type { Resource } from '../spec/resources.js';
import type { Database } from './database.js';
import { records } from './schema.js';

export interface StoredRecord {
  readonly key: string;
  readonly record: unknown;
  readonly modifiedAt: Date | null;
  readonly problems: readonly string[] | null;
  readonly syncedAt: Date;
}

export interface RecordsOf {
  readonly connectionId: string;
  readonly resource: Resource;
}

export interface Records {
  /** In order of key, from behind `afterKey`. */
  list(input: RecordsOf & { readonly afterKey?: string; readonly limit: number }): Promise<StoredRecord[]>;
  /** How many records the store holds, per resource. */
  count(connectionId: string): Promise<Partial<Record<Resource, number>>>;
}

export function createRecords(db: Database): Records {
  return {
    list: ({ connectionId, resource, afterKey, limit }) =>
      db
        .select({
          key: records.key,
          record: records.record,
          modifiedAt: records.modifiedAt,
          problems: records.problems,
          syncedAt: records.syncedAt,
        })
        .from(records)
        .where(
          and(
            eq(records.connectionId, connectionId),
            eq(records.resource, resource),
            afterKey === undefined ? undefined : gt(records.key, afterKey),
          ),
        )
        .orderBy(asc(records.key))
        .limit(limit),

    async count(connectionId) {
      const rows = await db
        .select({ resource: records.resource, count: sql<number>`count(*)::int` })
        .from(records)
        .where(eq(records.connectionId, connectionId))
        .groupBy(records.resource);
      return Object.fromEntries(rows.map(({ resource, count }) => [resource, count]));
    },
  };
}
