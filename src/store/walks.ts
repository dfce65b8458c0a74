/**
 * Walks: one pass over the pages of one resource. A page's records and the cursor that points behind it are
 * written in one statement, so that a crash at any moment repeats at most the pages that were in flight.
 */
import { and, eq, gte, isNull, like, sql } from 'drizzle-orm';
import type { MaesnRecord } from '../maesn/records.js';
import { snapshotKey } from '../maesn/records.js';
import { WATERMARK_OVERLAP_MS, resourceRow } from '../spec/resources.js';
import type { Resource } from '../spec/resources.js';
import type { Database } from './database.js';
import { cursors, hints, records } from './schema.js';

export interface Cursor {
  readonly resource: Resource;
  readonly walkId: string;
  readonly walkStartedAt: Date;
  /** `lastModifiedAt` of this walk; `null` = a full walk. */
  readonly walkSince: Date | null;
  readonly nextPage: number;
  readonly totalPages: number | null;
  readonly totalRecords: number | null;
  readonly pages: number;
  readonly records: number;
  readonly flagged: number;
  readonly completedAt: Date | null;
  readonly watermark: Date | null;
}

export interface WalkOf {
  readonly connectionId: string;
  readonly resource: Resource;
}

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
  readonly totalPages: number | null;
  readonly totalRecords: number | null;
  /** Whether the walk ends with them. */
  readonly last: boolean;
}

export interface Walks {
  /**
   * The cursor to go on from: of this walk if it has begun (also if it has ended), of an unfinished one that a run
   * before left behind, or of a new one.
   */
  begin(input: WalkOf & { readonly walkId: string; readonly now: Date }): Promise<Cursor>;
  /**
   * Writes pages and moves the cursor behind them, in one statement. Where the cursor does not stand at the first of them
   * any more, because another attempt was faster, nothing is written. Answers the cursor to go on from.
   */
  savePages(input: SavePagesInput): Promise<Cursor>;
  list(connectionId: string): Promise<Cursor[]>;
}

/** An unfinished walk of an earlier run is taken up again only while its pages can be expected to stand where they stood. */
const TAKE_UP_WITHIN_MS = 24 * 60 * 60_000;

export function createWalks(db: Database): Walks {
  return {
    begin: (input) =>
      db.transaction(async (tx) => {
        const { connectionId, resource, walkId, now } = input;
        const fresh = {
          walkId,
          walkStartedAt: now,
          nextPage: 1,
          totalPages: null,
          totalRecords: null,
          pages: 0,
          records: 0,
          flagged: 0,
          completedAt: null,
        };
        await tx
          .insert(cursors)
          .values({ connectionId, resource, ...fresh })
          .onConflictDoNothing();
        const cursor = only(await tx.select().from(cursors).where(at(input)).for('update'));
        if (cursor.walkId === walkId) return cursor;
        const takenUp =
          cursor.completedAt === null && now.getTime() - cursor.walkStartedAt.getTime() < TAKE_UP_WITHIN_MS;
        // Whatever was hinted at until now, a walk that begins now will see.
        if (!takenUp) {
          await tx.delete(hints).where(and(eq(hints.connectionId, connectionId), eq(hints.resource, resource)));
        }
        const changes = takenUp ? { walkId } : { ...fresh, walkSince: since(resource, cursor.watermark) };
        return only(await tx.update(cursors).set(changes).where(at(input)).returning());
      }),

    async savePages(input) {
      const { last, resource } = input;
      const cursor =
        last && resourceRow(resource).key === null
          ? await db.transaction(async (tx) => {
              const moved = await save(tx, input);
              if (moved !== undefined) await endSnapshot(tx, input, moved.records);
              return moved;
            })
          : await save(db, input);
      return cursor ?? only(await db.select().from(cursors).where(at(input)));
    },

    list: (connectionId) =>
      db.select().from(cursors).where(eq(cursors.connectionId, connectionId)).orderBy(cursors.resource),
  };
}

function at({ connectionId, resource }: WalkOf) {
  return and(eq(cursors.connectionId, connectionId), eq(cursors.resource, resource));
}

/** `lastModifiedAt` of the walk that follows one which began at `watermark`. */
function since(resource: Resource, watermark: Date | null): Date | null {
  if (watermark === null || !resourceRow(resource).incremental) return null;
  return new Date(watermark.getTime() - WATERMARK_OVERLAP_MS);
}

/** `undefined`: the cursor does not stand there (any more), and nothing was written. */
async function save(db: Database, input: SavePagesInput): Promise<Cursor | undefined> {
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
        ...(last ? { completedAt: sql`now()`, watermark: sql`${cursors.walkStartedAt}` } : {}),
      })
      .where(and(at(input), eq(cursors.walkId, walkId), eq(cursors.nextPage, page), isNull(cursors.completedAt)))
      .returning(),
  );
  if (input.records.length === 0) return (await db.with(moved).select().from(moved))[0];
  const rows = input.records.map(({ key, json, modifiedAt, hash, problems }) => ({
    key,
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
        sql`select ${connectionId}, ${resource}, page.key, page.json::jsonb, page.modified_at, page.hash, page.problems, now(), null::timestamptz
            from jsonb_to_recordset(${JSON.stringify(rows)}::jsonb)
              as page (key text, json text, modified_at timestamptz, hash text, problems jsonb)
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

/** What is behind the last record of a snapshot is of the snapshot before it. */
async function endSnapshot(tx: Database, { connectionId, resource }: WalkOf, total: number): Promise<void> {
  await tx
    .delete(records)
    .where(
      and(
        eq(records.connectionId, connectionId),
        eq(records.resource, resource),
        like(records.key, 'row:%'),
        gte(records.key, snapshotKey(total)),
      ),
    );
}

function only<Row>(rows: readonly Row[]): Row {
  const [row] = rows;
  if (row === undefined) throw new Error('the cursor is gone: its connection was removed');
  return row;
}
