/**
 * Walks: one pass over the pages of one resource. A page's records and the cursor that points behind it are
 * written in one transaction, so that a crash at any moment repeats at most the page that was in flight.
 */
import { and, eq, gte, like } from 'drizzle-orm';
import type { MaesnRecord } from '../maesn/records.js';
import { snapshotKey } from '../maesn/records.js';
import { WATERMARK_OVERLAP_MS, isChild, resourceRow } from '../spec/resources.js';
import type { Resource } from '../spec/resources.js';
import { beginAtParents, otherParents, saveParent } from './child-walks.js';
import type { ChildWalkOf, SaveParentInput } from './child-walks.js';
import type { Database } from './database.js';
import { cursors, hints, records } from './schema.js';
import { at, completed, only, upsert } from './write-page.js';

export interface Cursor {
  readonly resource: Resource;
  readonly walkId: string;
  readonly walkStartedAt: Date;
  /** `lastModifiedAt` of this walk, of children since when their parents have changed; `null` = a full walk. */
  readonly walkSince: Date | null;
  readonly nextPage: number;
  /** Of children, whose pages are their parents: the key of the one to ask next. */
  readonly nextParent: string | null;
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
  /** The same for the children of one parent: what it had and has no more is marked as deleted. */
  saveParent(input: SaveParentInput): Promise<Cursor>;
  /** Keys of up to `limit` other parents, from behind this one, that could be asked for the same. */
  otherParents(of: ChildWalkOf & { readonly parentKey: string; readonly limit: number }): Promise<string[]>;
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
          nextParent: null,
          totalPages: null,
          totalRecords: null,
          pages: 0,
          records: 0,
          flagged: 0,
          completedAt: null,
        };
        const added = await tx
          .insert(cursors)
          .values({ connectionId, resource, ...fresh })
          .onConflictDoNothing()
          .returning();
        const cursor = only(await tx.select().from(cursors).where(at(input)).for('update'));
        const isNew = added.length > 0;
        if (!isNew && cursor.walkId === walkId) return cursor;
        const takenUp =
          !isNew && cursor.completedAt === null && now.getTime() - cursor.walkStartedAt.getTime() < TAKE_UP_WITHIN_MS;
        if (takenUp) return only(await tx.update(cursors).set({ walkId }).where(at(input)).returning());
        // Whatever was hinted at until now, a walk that begins now will see.
        await tx.delete(hints).where(and(eq(hints.connectionId, connectionId), eq(hints.resource, resource)));
        const changes = isChild(resource)
          ? await beginAtParents(tx, { connectionId, resource }, cursor.watermark)
          : { walkSince: since(resource, cursor.watermark) };
        return only(
          await tx
            .update(cursors)
            .set({ ...fresh, ...changes })
            .where(at(input))
            .returning(),
        );
      }),

    savePage: (input) =>
      db.transaction(async (tx) => {
        const { connectionId, resource, walkId, page, last } = input;
        const cursor = only(await tx.select().from(cursors).where(at(input)).for('update'));
        if (cursor.walkId !== walkId || cursor.nextPage !== page || cursor.completedAt !== null) return cursor;
        await upsert(tx, { connectionId, resource }, input.records, cursor.walkStartedAt);
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
              ...(last ? completed(cursor) : {}),
            })
            .where(at(input))
            .returning(),
        );
      }),

    saveParent: (input) => db.transaction((tx) => saveParent(tx, input)),

    otherParents: (of) => otherParents(db, of),

    list: (connectionId) =>
      db.select().from(cursors).where(eq(cursors.connectionId, connectionId)).orderBy(cursors.resource),
  };
}

/** `lastModifiedAt` of the walk that follows one which began at `watermark`. */
function since(resource: Resource, watermark: Date | null): Date | null {
  if (watermark === null || !resourceRow(resource).incremental) return null;
  return new Date(watermark.getTime() - WATERMARK_OVERLAP_MS);
}
