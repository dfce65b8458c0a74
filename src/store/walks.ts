/**
 * Walks: one pass over the pages of one resource. A page's records and the cursor that points behind it are
 * written in one statement, so that a crash at any moment repeats at most the pages that were in flight.
 */
import { and, eq, gte, like } from 'drizzle-orm';
import { snapshotKey } from '../maesn/records.js';
import { WATERMARK_OVERLAP_MS, isChild, resourceRow } from '../spec/resources.js';
import type { Resource } from '../spec/resources.js';
import { beginAtParents, endParents, otherParents, parentsFrom } from './child-walks.js';
import type { ChildWalkOf } from './child-walks.js';
import type { Database } from './database.js';
import { cursors, hints, records } from './schema.js';
import { at, only, writePages } from './write-pages.js';
import type { SavePagesInput } from './write-pages.js';

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
  /** Keys of the parents whose children are to be asked for, in order. */
  parentsFrom(
    of: ChildWalkOf & { readonly key: string; readonly since: Date | null; readonly limit: number },
  ): Promise<string[]>;
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

    async savePages(input) {
      const { connectionId, resource, parents, last } = input;
      const isSnapshotsEnd = last && resourceRow(resource).key === null;
      const cursor =
        parents !== undefined || isSnapshotsEnd
          ? await db.transaction(async (tx) => {
              const moved = await writePages(tx, input);
              if (moved === undefined) return undefined;
              if (isSnapshotsEnd) await endSnapshot(tx, input, moved.records);
              if (parents === undefined || !isChild(resource)) return moved;
              return endParents(tx, { connectionId, resource }, moved, parents, input.records);
            })
          : await writePages(db, input);
      return cursor ?? only(await db.select().from(cursors).where(at(input)));
    },

    parentsFrom: (of) => parentsFrom(db, of),
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
