/**
 * Walks: one resource of one connection, read from its first page to its last. A page's records and the cursor that points
 * behind it are written in one statement, so that a crash at any moment repeats at most the pages that were in flight.
 */
import { and, eq, getTableColumns, sql } from 'drizzle-orm';
import { WATERMARK_OVERLAP_MS, isChild, resourceRow } from '../spec/resources.js';
import type { Resource } from '../spec/resources.js';
import { beginAtParents, endParents, otherParents, parentsFrom } from './child-walks.js';
import type { ChildWalkOf } from './child-walks.js';
import type { Database } from './database.js';
import { enter } from './journal.js';
import { NEW_PASS, complete, deleteGone, endPass, forgetPages } from './passes.js';
import { cursors, hints, holds } from './schema.js';
import type { WalkPhase } from './schema.js';
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
  /** Of this pass, like the next two. */
  readonly pages: number;
  readonly records: number;
  readonly flagged: number;
  readonly completedAt: Date | null;
  readonly watermark: Date | null;
  /** From 1. A list that changed while it was read is read again. */
  readonly pass: number;
  readonly passStartedAt: Date;
  readonly phase: WalkPhase;
  readonly totalChanged: boolean;
  readonly fingerprint: string | null;
  readonly previousFingerprint: string | null;
  /** Start of the last full walk that came to its end. */
  readonly fullAt: Date | null;
  /** Of the last walk that came to its end: whether it has missed no record that was listed all the while. */
  readonly verified: boolean | null;
  /** Records that this walk found to be gone. */
  readonly deleted: number;
}

export interface WalkOf {
  readonly connectionId: string;
  readonly resource: Resource;
}

export interface BeginWalkInput extends WalkOf {
  readonly walkId: string;
  readonly now: Date;
  /** By which Temporal knows the attempt of the Activity that walks; see `attempts.ts`. */
  readonly taskToken?: string | undefined;
  /** A walk is a full one when the last one began so long ago: what is deleted, no list of changes tells. */
  readonly fullEveryMs: number;
}

export interface SmallWalksInput {
  readonly connectionId: string;
  readonly maxPages: number;
  readonly now: Date;
  /** As `begin` takes it. */
  readonly fullEveryMs: number;
}

export interface DecideDeletesInput {
  readonly connectionId: string;
  /** `keep`: they stay as they are; the next full walk asks again. */
  readonly decision: 'delete' | 'keep';
  readonly actor: string;
}

export interface Walks {
  /**
   * The cursor to go on from: of this walk if it has begun (also if it has ended), of an unfinished one that a run
   * before left behind, or of a new one.
   */
  begin(input: BeginWalkInput): Promise<Cursor>;
  /**
   * Writes pages and moves the cursor behind them, in one statement. Where the cursor does not stand at the first of them
   * any more, because another attempt was faster, nothing is written. Answers the cursor to go on from.
   * `maximumDeletedShare`: 0 to 1; when more of a resource's records are gone, nothing is deleted, and the connection is
   * held until somebody decides.
   */
  savePages(input: SavePagesInput & { readonly maximumDeletedShare: number }): Promise<Cursor>;
  /** Ends the walks that wait for it, and lifts the hold. `false`: none waits. */
  decideDeletes(input: DecideDeletesInput): Promise<boolean>;
  /** Keys of the parents whose children are to be asked for, in order. */
  parentsFrom(
    of: ChildWalkOf & { readonly key: string; readonly since: Date | null; readonly limit: number },
  ): Promise<string[]>;
  /** Keys of up to `limit` other parents, from behind this one, that could be asked for the same. */
  otherParents(of: ChildWalkOf & { readonly parentKey: string; readonly limit: number }): Promise<string[]>;
  list(connectionId: string): Promise<Cursor[]>;
  /**
   * Resources whose next walk is likely to need no more than `maxPages`: one like the last, which needed no more, or the first
   * over what has changed.
   */
  small(input: SmallWalksInput): Promise<Resource[]>;
}

/** An unfinished walk of an earlier run is taken up again only while its pages can be expected to stand where they stood. */
const TAKE_UP_WITHIN_MS = 24 * 60 * 60_000;

/** `process`: this one. */
export function createWalks(db: Database, process: string): Walks {
  const list = (connectionId: string): Promise<Cursor[]> =>
    db.select().from(cursors).where(eq(cursors.connectionId, connectionId)).orderBy(cursors.resource);

  return {
    begin: (input) =>
      db.transaction(async (tx) => {
        const { connectionId, resource, walkId, now } = input;
        const fresh = { ...NEW_PASS, walkId, walkStartedAt: now, pass: 1, completedAt: null, deleted: 0 };
        const attempt = { process, taskToken: input.taskToken ?? null };
        const { isNew, ...cursor } = only(
          await tx
            .insert(cursors)
            .values({ connectionId, resource, ...fresh, ...attempt })
            .onConflictDoUpdate({ target: [cursors.connectionId, cursors.resource], set: attempt })
            .returning({ ...getTableColumns(cursors), isNew: sql<boolean>`xmax = 0` }),
        );
        if (!isNew && cursor.walkId === walkId) return cursor;
        const takenUp =
          !isNew && cursor.completedAt === null && now.getTime() - cursor.walkStartedAt.getTime() < TAKE_UP_WITHIN_MS;
        if (takenUp) return only(await tx.update(cursors).set({ walkId }).where(at(input)).returning());
        // Whatever was hinted at until now, a walk that begins now will see.
        const seen = tx.$with('seen').as(
          tx
            .delete(hints)
            .where(and(eq(hints.connectionId, connectionId), eq(hints.resource, resource)))
            .returning({ resource: hints.resource }),
        );
        const changes = isChild(resource)
          ? await beginAtParents(tx, { connectionId, resource }, cursor.watermark)
          : { walkSince: since(cursor, input) };
        return only(
          await tx
            .with(seen, forgetPages(tx, input))
            .update(cursors)
            .set({ ...fresh, previousFingerprint: comparable(cursor), ...changes })
            .where(at(input))
            .returning(),
        );
      }),

    async savePages(input) {
      const { connectionId, resource, parents, last, maximumDeletedShare } = input;
      const isSnapshot = resourceRow(resource).key === null;
      const cursor =
        parents !== undefined || last
          ? await db.transaction(async (tx) => {
              const moved = await writePages(tx, input, isSnapshot);
              if (moved === undefined) return undefined;
              if (isChild(resource))
                return endParents(tx, { connectionId, resource }, moved, parents ?? [], input.keys);
              return endPass(tx, { connectionId, resource }, moved, maximumDeletedShare);
            })
          : await writePages(db, input, isSnapshot);
      return cursor ?? only(await db.select().from(cursors).where(at(input)));
    },

    decideDeletes: ({ connectionId, decision, actor }) =>
      db.transaction(async (tx) => {
        const guarded = await tx
          .select()
          .from(cursors)
          .where(and(eq(cursors.connectionId, connectionId), eq(cursors.phase, 'guarded')))
          .for('update');
        for (const { resource, deleted: gone } of guarded) {
          const of = { connectionId, resource };
          const deleted = decision === 'delete' ? await deleteGone(tx, of) : 0;
          await complete(tx, of, { verified: decision === 'delete', deleted });
          const action = decision === 'delete' ? 'deletes.confirmed' : 'deletes.refused';
          await enter(tx, { connectionId, actor, action, detail: { resource, gone } });
        }
        await tx.delete(holds).where(and(eq(holds.connectionId, connectionId), eq(holds.kind, 'delete_guard')));
        return guarded.length > 0;
      }),

    parentsFrom: (of) => parentsFrom(db, of),
    otherParents: (of) => otherParents(db, of),

    list,

    async small({ connectionId, maxPages, ...when }) {
      return (await list(connectionId))
        .filter((cursor) => {
          const { resource, walkSince, pages, completedAt } = cursor;
          if (completedAt === null) return false;
          const wasOfChanges = walkSince !== null;
          const isOfChanges = since(cursor, { resource, ...when }) !== null;
          return wasOfChanges === isOfChanges ? pages <= maxPages : isOfChanges;
        })
        .map(({ resource }) => resource);
    },
  };
}

/** `lastModifiedAt` of the walk that follows the one of this cursor; `null`: it is a full one. */
function since(
  { watermark, fullAt }: Cursor,
  { resource, now, fullEveryMs }: Pick<BeginWalkInput, 'resource' | 'now' | 'fullEveryMs'>,
): Date | null {
  if (watermark === null || fullAt === null || !resourceRow(resource).incremental) return null;
  if (now.getTime() - fullAt.getTime() >= fullEveryMs) return null;
  return new Date(watermark.getTime() - WATERMARK_OVERLAP_MS);
}

/**
 * What the first pass of the next walk may be compared with. Where Maesn does not count, only passes of the same walk say
 * anything about each other; and a list of changes is another one each time.
 */
function comparable({ previousFingerprint, totalRecords, walkSince }: Cursor): string | null {
  return totalRecords === null || walkSince !== null ? null : previousFingerprint;
}
