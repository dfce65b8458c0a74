/**
 * Walks: one pass over the pages of one resource. A page's records and the cursor that points behind it are
 * written in one transaction, so that a crash at any moment repeats at most the page that was in flight.
 */
import { and, eq, gte, like, sql } from 'drizzle-orm';
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

export interface SavePageInput extends WalkOf {
  readonly walkId: string;
  readonly page: number;
  readonly records: readonly MaesnRecord[];
  readonly totalPages: number | null;
  readonly totalRecords: number | null;
  /** Whether the walk ends with this page. */
  readonly last: boolean;
}

export interface Walks {
  /**
   * The cursor to go on from: of this walk if it has begun (also if it has ended), of an unfinished one that a run
   * before left behind, or of a new one.
   */
  begin(input: WalkOf & { readonly walkId: string; readonly now: Date }): Promise<Cursor>;
  /**
   * Writes a page and moves the cursor behind it. Where the cursor does not stand at that page any more, because
   * another attempt was faster, nothing is written. Answers the cursor to go on from.
   */
  savePage(input: SavePageInput): Promise<Cursor>;
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

    savePage: (input) =>
      db.transaction(async (tx) => {
        const { connectionId, resource, walkId, page, last } = input;
        const cursor = only(await tx.select().from(cursors).where(at(input)).for('update'));
        if (cursor.walkId !== walkId || cursor.nextPage !== page || cursor.completedAt !== null) return cursor;
        await upsert(tx, input, cursor.walkStartedAt);
        const total = cursor.records + input.records.length;
        if (last && resourceRow(resource).key === null) {
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
        return only(
          await tx
            .update(cursors)
            .set({
              nextPage: page + 1,
              totalPages: input.totalPages,
              totalRecords: input.totalRecords,
              pages: cursor.pages + 1,
              records: total,
              flagged: cursor.flagged + input.records.filter((record) => record.problems !== null).length,
              ...(last ? { completedAt: sql`now()`, watermark: cursor.walkStartedAt } : {}),
            })
            .where(at(input))
            .returning(),
        );
      }),

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

/**
 * All records of a page in one statement; a record that has not changed is not written. A record that was deleted has
 * come back, unless this page may have been listed before the deletion.
 */
async function upsert(
  tx: Database,
  { connectionId, resource, ...page }: SavePageInput,
  walkStartedAt: Date,
): Promise<void> {
  if (page.records.length === 0) return;
  const rows = page.records.map(({ key, json, modifiedAt, hash, problems }) => ({
    key,
    // As text, not as an object in an object: what was parsed and hashed is what is stored.
    json,
    modified_at: modifiedAt,
    hash,
    problems,
  }));
  await tx.execute(sql`
    insert into ${records} (connection_id, resource, key, record, modified_at, hash, problems)
    select ${connectionId}, ${resource}, key, json::jsonb, modified_at, hash, problems
    from jsonb_to_recordset(${JSON.stringify(rows)}::jsonb)
      as page (key text, json text, modified_at timestamptz, hash text, problems jsonb)
    on conflict (connection_id, resource, key) do update
      set record = excluded.record, modified_at = excluded.modified_at, hash = excluded.hash,
          problems = excluded.problems, synced_at = now(),
          deleted_at = case when ${records.deletedAt} < ${walkStartedAt.toISOString()}
                              or ${records.deletedAt} < excluded.modified_at then null
                            else ${records.deletedAt} end
      where ${records}.hash <> excluded.hash or ${records}.deleted_at is not null`);
}

function only<Row>(rows: readonly Row[]): Row {
  const [row] = rows;
  if (row === undefined) throw new Error('the cursor is gone: its connection was removed');
  return row;
}
