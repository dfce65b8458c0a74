/**
 * Walks: one resource of one connection, read from its first page to its last. A page's records and the cursor that points
 * behind it are written in one statement, so that a crash at any moment repeats at most the pages that were in flight.
 */
import { and, eq, getTableColumns, isNotNull, ne, sql } from 'drizzle-orm';
import type { SQL } from 'drizzle-orm';
import { RESOURCE_NAMES, WATERMARK_OVERLAP_MS, isChild, resourceRow } from '../spec/resources.js';
import type { Resource } from '../spec/resources.js';
import { beginAtParents, endParents, otherParents, parentsFrom } from './child-walks.js';
import type { ChildWalkOf } from './child-walks.js';
import { WITHOUT_WAITING } from './database.js';
import type { Database } from './database.js';
import { enter } from './journal.js';
import { COMPLETED, NEW_PASS, complete, deleteGone, endPass, forgetPages } from './passes.js';
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
  readonly resources: readonly Resource[];
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

export interface SaveInput extends SavePagesInput {
  readonly maximumDeletedShare: number;
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
  savePages(input: SaveInput): Promise<Cursor>;
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
   * Those of the resources whose next walk may need no more than `maxPages`: one like the last, which needed no more, the first
   * over what has changed, or the very first. Of children, that is not: it asks once for each parent.
   */
  small(input: SmallWalksInput): Promise<Resource[]>;
}

/** An unfinished walk of an earlier run is taken up again only while its pages can be expected to stand where they stood. */
const TAKE_UP_WITHIN_MS = 24 * 60 * 60_000;

/** `process`: this one. */
export function createWalks(db: Database, process: string): Walks {
  const list = (connectionId: string): Promise<Cursor[]> =>
    db.select().from(cursors).where(eq(cursors.connectionId, connectionId)).orderBy(cursors.resource);

  const attemptOf = ({ taskToken }: BeginWalkInput) => ({ process, taskToken: taskToken ?? null });

  /** What nearly every walk is: the one after one that has ended. In one statement; `undefined`: it is another one. */
  async function beginNext(input: BeginWalkInput): Promise<Cursor | undefined> {
    const { resource, walkId } = input;
    const isNext = and(at(input), ne(cursors.walkId, walkId), isNotNull(cursors.completedAt));
    const begun = db.$with('begun').as(
      db
        .update(cursors)
        .set({ ...newWalk(input), ...attemptOf(input), walkSince: since(resourceRow(resource).incremental, input) })
        .where(isNext)
        .returning(),
    );
    const seen = db.$with('seen').as(forgetHints(db, input, sql`exists (select from begun)`));
    return (await db.with(begun, seen).select().from(begun).where(WITHOUT_WAITING))[0];
  }

  const beginAny = (input: BeginWalkInput): Promise<Cursor> =>
    db.transaction(async (tx) => {
      const { connectionId, resource, walkId, now } = input;
      const fresh = newWalk(input);
      const attempt = attemptOf(input);
      const { isNew, ...cursor } = only(
        await tx
          .insert(cursors)
          .values({ connectionId, resource, ...fresh, previousFingerprint: null, ...attempt })
          .onConflictDoUpdate({ target: [cursors.connectionId, cursors.resource], set: attempt })
          .returning({ ...getTableColumns(cursors), isNew: sql<boolean>`xmax = 0` }),
      );
      if (!isNew && cursor.walkId === walkId) return cursor;
      const takenUp =
        !isNew && cursor.completedAt === null && now.getTime() - cursor.walkStartedAt.getTime() < TAKE_UP_WITHIN_MS;
      if (takenUp) return only(await tx.update(cursors).set({ walkId }).where(at(input)).returning());
      const seen = tx.$with('seen').as(forgetHints(tx, input));
      const changes = isChild(resource)
        ? await beginAtParents(tx, { connectionId, resource }, cursor.watermark)
        : { walkSince: since(resourceRow(resource).incremental, input) };
      return only(
        await tx
          .with(seen, forgetPages(tx, input))
          .update(cursors)
          .set({ ...fresh, ...changes })
          .where(at(input))
          .returning(),
      );
    });

  /** `undefined`: the cursor stands elsewhere. */
  async function save(input: SaveInput): Promise<Cursor | undefined> {
    const { connectionId, resource, parents, last, fingerprint = null, maximumDeletedShare } = input;
    if (isChild(resource)) {
      return db.transaction(async (tx) => {
        const moved = await writePages(tx, input, 'nothing');
        return moved && endParents(tx, { connectionId, resource }, moved, parents ?? [], input.keys);
      });
    }
    // Of most walks that ask for changes it is the only page, and the end: of one page, nothing can have been missed.
    if (isOnlyPageOfChanges(input)) {
      const ended = { ...COMPLETED, verified: true, deleted: 0, previousFingerprint: fingerprint };
      return writePages(db, input, 'nothing', ended);
    }
    const notes = resourceRow(resource).key === null ? 'records' : 'keys';
    if (!last) return writePages(db, input, notes);
    return db.transaction(async (tx) => {
      const moved = await writePages(tx, input, notes);
      return moved && endPass(tx, { connectionId, resource }, moved, maximumDeletedShare);
    });
  }

  return {
    async begin(input) {
      const { resource } = input;
      return (isChild(resource) ? undefined : await beginNext(input)) ?? beginAny(input);
    },

    async savePages(input) {
      return (await save(input)) ?? only(await db.select().from(cursors).where(at(input)));
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

    async small({ connectionId, resources, maxPages, ...when }) {
      const wasOfChanges = isNotNull(cursors.walkSince);
      const isOfChanges = sql`(${since(sql`${cursors.resource} = any (${INCREMENTAL}::text[])`, when)} is not null)`;
      const isLikeTheLast = sql`(${wasOfChanges}) = ${isOfChanges}`;
      const walked = await db
        .select({
          resource: cursors.resource,
          isSmall: sql<boolean>`${isNotNull(cursors.completedAt)} and
            case when ${isLikeTheLast} then ${cursors.pages} <= ${maxPages} else ${isOfChanges} end`,
        })
        .from(cursors)
        .where(eq(cursors.connectionId, connectionId));
      const isSmall = new Map(walked.map((walk) => [walk.resource, walk.isSmall]));
      return resources.filter((resource) => isSmall.get(resource) ?? !isChild(resource));
    },
  };
}

function isOnlyPageOfChanges({ resource, walkSince = null, ...read }: SavePagesInput): boolean {
  const { phase, page, pages, last, totalRecords, keys } = read;
  const isOnly = phase === 'pages' && page === 1 && pages === 1 && last;
  const isAll = totalRecords === null || totalRecords === keys.length;
  return walkSince !== null && isOnly && isAll && resourceRow(resource).key !== null;
}

/** What a cursor is set to when a walk begins. */
function newWalk({ walkId, now }: BeginWalkInput) {
  return {
    ...NEW_PASS,
    walkId,
    // The clock of a Worker may be ahead: what changes meanwhile would be missed.
    walkStartedAt: sql`least(now(), ${now.toISOString()}::timestamptz)`,
    pass: 1,
    completedAt: null,
    deleted: 0,
    previousFingerprint: COMPARABLE,
  };
}

const INCREMENTAL = `{${RESOURCE_NAMES.filter((name) => resourceRow(name).incremental).join(',')}}`;

/** `lastModifiedAt` of the walk that follows the one of this cursor; null: it is a full one. */
function since(
  incremental: SQL | boolean,
  { now, fullEveryMs }: Pick<BeginWalkInput, 'now' | 'fullEveryMs'>,
): SQL<Date | null> {
  const fullBefore = new Date(now.getTime() - fullEveryMs).toISOString();
  return sql`case when ${incremental} and ${cursors.fullAt} > ${fullBefore}::timestamptz
               then ${cursors.watermark} - ${`${WATERMARK_OVERLAP_MS} milliseconds`}::interval end`;
}

/** Whatever was hinted at until now, a walk that begins now will see. */
function forgetHints(db: Database, { connectionId, resource }: WalkOf, when?: SQL) {
  return db
    .delete(hints)
    .where(and(eq(hints.connectionId, connectionId), eq(hints.resource, resource), when))
    .returning({ resource: hints.resource });
}

/**
 * What the first pass of the next walk may be compared with. Where Maesn does not count, only passes of the same walk say
 * anything about each other; and a list of changes is another one each time.
 */
const COMPARABLE = sql`case when ${cursors.totalRecords} is not null and ${cursors.walkSince} is null then ${cursors.previousFingerprint} end`;
