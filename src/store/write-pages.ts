/** The one statement that writes pages and moves the cursor behind them. */
import { and, eq, isNull, sql } from 'drizzle-orm';
import type { MaesnRecord } from '../maesn/records.js';
import type { Database } from './database.js';
import { cursors, records } from './schema.js';
import type { Cursor, WalkOf } from './walks.js';

/** Pages that were read one after the other and are written together. */
export interface SavePagesInput extends WalkOf {
  readonly walkId: string;
  /** The first of them. */
  readonly page: number;
  /** How many there are. */
  readonly pages: number;
  /** How many records were on them; of two of the same key, `records` holds the later one alone. */
  readonly read: number;
  readonly records: readonly MaesnRecord[];
  /** Of children: whose they are, in order. What these had and have no more is marked as deleted. */
  readonly parents?: readonly string[] | undefined;
  readonly totalPages: number | null;
  readonly totalRecords: number | null;
  /** Whether the walk ends with them. */
  readonly last: boolean;
}

export function at({ connectionId, resource }: WalkOf) {
  return and(eq(cursors.connectionId, connectionId), eq(cursors.resource, resource));
}

/** What a cursor is set to when its walk has come to its end. */
export const COMPLETED = { completedAt: sql`now()`, watermark: sql`${cursors.walkStartedAt}` };

/** `undefined`: the cursor does not stand there (any more), and nothing was written. */
export async function writePages(db: Database, input: SavePagesInput): Promise<Cursor | undefined> {
  const { connectionId, resource, walkId, page, pages, read, last, totalPages, totalRecords } = input;
  const flagged = input.records.filter(({ problems }) => problems !== null).length;
  const moved = db.$with('moved').as(
    db
      .update(cursors)
      .set({
        nextPage: page + pages,
        totalPages,
        totalRecords,
        pages: sql`${cursors.pages} + ${pages}`,
        records: sql`${cursors.records} + ${read}`,
        flagged: sql`${cursors.flagged} + ${flagged}`,
        ...(last ? COMPLETED : {}),
      })
      .where(and(at(input), eq(cursors.walkId, walkId), eq(cursors.nextPage, page), isNull(cursors.completedAt)))
      .returning(),
  );
  if (input.records.length === 0) return (await db.with(moved).select().from(moved))[0];
  const rows = input.records.map(({ key, parentKey, json, modifiedAt, hash, problems }) => ({
    key,
    parent_key: parentKey,
    // As text, not as an object in an object: what was parsed and hashed is what is stored.
    json,
    modified_at: modifiedAt,
    hash,
    problems,
  }));
  const written = db.$with('written').as(
    db
      .insert(records)
      .select(
        sql`select ${connectionId}, ${resource}, page.key, page.parent_key, page.json::jsonb, page.modified_at, page.hash, page.problems, now(), null::timestamptz
            from jsonb_to_recordset(${JSON.stringify(rows)}::jsonb)
              as page (key text, parent_key text, json text, modified_at timestamptz, hash text, problems jsonb)
            where exists (select from moved)`,
      )
      .onConflictDoUpdate({
        target: [records.connectionId, records.resource, records.key],
        set: {
          record: sql`excluded.record`,
          modifiedAt: sql`excluded.modified_at`,
          hash: sql`excluded.hash`,
          problems: sql`excluded.problems`,
          syncedAt: sql`now()`,
          // A record that was deleted has come back, unless this page may have been listed before the deletion.
          deletedAt: sql`case when ${records.deletedAt} < (select walk_started_at from moved)
                                or ${records.deletedAt} < excluded.modified_at then null
                              else ${records.deletedAt} end`,
        },
        // A record that has not changed is not written.
        setWhere: sql`${records.hash} <> excluded.hash or ${records.deletedAt} is not null`,
      })
      .returning({ key: records.key }),
  );
  return (await db.with(moved, written).select().from(moved))[0];
}

export function only<Row>(rows: readonly Row[]): Row {
  const [row] = rows;
  if (row === undefined) throw new Error('the cursor is gone: its connection was removed');
  return row;
}
