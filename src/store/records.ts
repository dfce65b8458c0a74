/** Reading what was synced. */
import { and, asc, eq, gt, gte, isNull, sql } from 'drizzle-orm';
import type { MaesnRecord } from '../maesn/records.js';
import type { Resource } from '../spec/resources.js';
import type { Database } from './database.js';
import { records } from './schema.js';
import { IS_NEWER, toTable, upsert } from './write-pages.js';

export interface StoredRecord {
  readonly key: string;
  readonly record: unknown;
  readonly modifiedAt: Date | null;
  readonly problems: readonly string[] | null;
  readonly syncedAt: Date;
  /** Since when the target system does not hold it any more, as far as it has told. */
  readonly deletedAt: Date | null;
}

export interface RecordsOf {
  readonly connectionId: string;
  readonly resource: Resource;
}

export interface ListRecordsOptions extends RecordsOf {
  readonly afterKey?: string | undefined;
  readonly limit: number;
  /** Only what was modified then or later; of what has no modified date, what was stored then or later. */
  readonly modifiedSince?: Date | undefined;
  /** Default: only what is not deleted. */
  readonly includeDeleted?: boolean | undefined;
}

export interface Records {
  /** In order of key, from behind `afterKey`. */
  list(input: ListRecordsOptions): Promise<StoredRecord[]>;
  find(input: RecordsOf & { readonly key: string }): Promise<StoredRecord | undefined>;
  /**
   * Puts in what was just written through Maesn: by then no older version of it may come any more. `sentAt`: one that is known to
   * have been deleted since stays so.
   */
  put(of: RecordsOf, written: readonly MaesnRecord[], sentAt?: Date | null): Promise<void>;
  /** How many records the store holds that are not deleted, per resource. */
  count(connectionId: string): Promise<Partial<Record<Resource, number>>>;
}

export function createRecords(db: Database): Records {
  const columns = {
    key: records.key,
    record: records.record,
    modifiedAt: records.modifiedAt,
    problems: records.problems,
    syncedAt: records.syncedAt,
    deletedAt: records.deletedAt,
  };
  return {
    list: ({ connectionId, resource, afterKey, limit, modifiedSince, includeDeleted = false }) =>
      db
        .select(columns)
        .from(records)
        .where(
          and(
            eq(records.connectionId, connectionId),
            eq(records.resource, resource),
            afterKey === undefined ? undefined : gt(records.key, afterKey),
            modifiedSince === undefined
              ? undefined
              : gte(sql`coalesce(${records.modifiedAt}, ${records.syncedAt})`, modifiedSince.toISOString()),
            includeDeleted ? undefined : isNull(records.deletedAt),
          ),
        )
        .orderBy(asc(records.key))
        .limit(limit),

    async find({ connectionId, resource, key }) {
      const [record] = await db
        .select(columns)
        .from(records)
        .where(and(eq(records.connectionId, connectionId), eq(records.resource, resource), eq(records.key, key)));
      return record;
    },

    async put(of, written, sentAt) {
      await upsert(db, of, {
        from: toTable(written),
        walkStartedAt: sentAt == null ? sql`now()` : sql`${sentAt.toISOString()}::timestamptz`,
        isChanged: IS_NEWER,
      });
    },

    async count(connectionId) {
      const rows = await db
        .select({ resource: records.resource, count: sql<number>`count(*)::int` })
        .from(records)
        .where(and(eq(records.connectionId, connectionId), isNull(records.deletedAt)))
        .groupBy(records.resource);
      return Object.fromEntries(rows.map(({ resource, count }) => [resource, count]));
    },
  };
}
