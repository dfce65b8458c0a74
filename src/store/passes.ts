/** How a pass over a list ends: in another one, or in the end of its walk, with deletes and all. */
import { and, eq, gte, isNotNull, isNull, like, lte, not, notExists, sql } from 'drizzle-orm';
import type { SQLWrapper } from 'drizzle-orm';
import { snapshotKey } from '../maesn/records.js';
import { MAX_PASSES, isCollapse, judgePass } from '../spec/completeness.js';
import { resourceRow } from '../spec/resources.js';
import type { Database } from './database.js';
import { enter } from './journal.js';
import { cursors, holds, passPages, records } from './schema.js';
import { ROW, at, only, readBy, upsert } from './write-pages.js';
import type { Cursor, WalkOf } from './walks.js';

/** Who places the guard's hold, and enters it. */
const ITSELF = 'maesn-sync';

/** What a cursor is set to when a pass begins. */
export const NEW_PASS = {
  phase: 'pages',
  nextPage: 1,
  nextParent: null,
  totalPages: null,
  totalRecords: null,
  totalChanged: false,
  pages: 0,
  records: 0,
  flagged: 0,
  fingerprint: null,
  passStartedAt: sql`now()`,
} as const;

/** What a cursor is set to when its walk has come to its end. */
export const COMPLETED = { completedAt: sql`now()`, watermark: sql`${cursors.walkStartedAt}` };

/** The list has been read to its end. */
export async function endPass(tx: Database, of: WalkOf, cursor: Cursor, maximumShare: number): Promise<Cursor> {
  if (cursor.phase === 'changes') {
    const compared = await compare(tx, of, cursor);
    // What came since the pass began, or was listed twice, can have covered up for something that slid past it.
    return cursor.totalChanged || compared.came > 0 || compared.duplicates > 0
      ? readAgain(tx, of, cursor, maximumShare)
      : endWalk(tx, of, cursor, { verified: true, compared }, maximumShare);
  }
  const { pages, records: read, totalRecords: total, totalChanged, fingerprint, previousFingerprint } = cursor;
  const { incremental } = resourceRow(of.resource);
  const evidence = { pages, read, total, totalChanged, fingerprint, previousFingerprint, incremental };
  const judgement = judgePass(evidence);
  if (judgement === 'complete') return endWalk(tx, of, cursor, { verified: true }, maximumShare);
  if (judgement === 'read again') return readAgain(tx, of, cursor, maximumShare);
  const changes = { phase: 'changes', nextPage: 1, totalPages: null, totalRecords: null } as const;
  return only(await tx.update(cursors).set(changes).where(at(of)).returning());
}

async function readAgain(tx: Database, of: WalkOf, cursor: Cursor, maximumShare: number): Promise<Cursor> {
  if (cursor.pass >= MAX_PASSES) return endWalk(tx, of, cursor, { verified: false }, maximumShare);
  const changes = { ...NEW_PASS, pass: cursor.pass + 1, previousFingerprint: cursor.fingerprint };
  return only(await tx.with(forgetPages(tx, of)).update(cursors).set(changes).where(at(of)).returning());
}

/** The notes of the pass: to be made part of the statement that moves the cursor on. */
export function forgetPages(tx: Database, of: WalkOf) {
  return tx.$with('forgotten').as(tx.delete(passPages).where(readBy(of)).returning({ page: passPages.page }));
}

const LISTED_KEYS = sql`${passPages} cross join lateral jsonb_array_elements_text(${passPages.keys}) as keys (key)`;

/** The keys that the pass has seen, each once. To be joined: a subquery would be read anew for every record of a long list. */
function listedBy(tx: Database, of: WalkOf) {
  return tx.$with('listed').as(
    tx
      .select({
        key: sql<string>`keys.key`.as('listed_key'),
        onPages: sql<boolean>`bool_or(${passPages.phase} = 'pages')`.as('on_pages'),
        onChanges: sql<boolean>`bool_or(${passPages.phase} = 'changes')`.as('on_changes'),
        times: sql<number>`count(*) filter (where ${passPages.phase} = 'pages')`.as('times'),
      })
      .from(LISTED_KEYS)
      .where(readBy(of))
      .groupBy(sql`keys.key`),
  );
}

interface Compared {
  /** Records that the pass has not seen, of a list of everything. */
  readonly gone: number;
  /** Of how many. */
  readonly held: number;
  /** Records that came while the pass was under way. */
  readonly came: number;
  /** Records that were on more than one page. */
  readonly duplicates: number;
}

/** Of a record, since the pass began. Where Postgres joined the cursor, it might look it up for each record anew. */
export function sincePass(tx: Database, of: WalkOf) {
  const began = tx.select({ at: cursors.passStartedAt }).from(cursors).where(at(of));
  // The dates of records are no finer.
  const truncated = tx
    .select({ at: sql`date_trunc('milliseconds', ${cursors.passStartedAt})` })
    .from(cursors)
    .where(at(of));
  return {
    added: gte(records.addedAt, began),
    changed: gte(records.modifiedAt, truncated),
    // What was stored later, the pass may have been too early for: a record that was written meanwhile is not gone.
    before: lte(records.syncedAt, began),
  };
}

/** The store and what the pass has seen. */
async function compare(tx: Database, of: WalkOf, cursor: Cursor): Promise<Compared> {
  return (await compareSums(tx, of, cursor)) ?? compareWithListed(tx, of, cursor);
}

/**
 * Of a list of everything, where nothing has moved, in less than half of the time; `undefined`: something may have. As many
 * records are held as were listed, and the hashes of their keys have the same sum: they are the same ones, each listed once.
 */
async function compareSums(tx: Database, of: WalkOf, cursor: Cursor): Promise<Compared | undefined> {
  if (cursor.walkSince !== null) return undefined;
  const { added, changed } = sincePass(tx, of);
  const held = tx.$with('held').as(
    tx
      .select({
        count: sql<number>`count(*)::int`.as('held_count'),
        sum: sumOfHashes(records.key).as('held_sum'),
        came: sql<boolean>`coalesce(bool_or(${added} and ${changed}), false)`.as('held_came'),
      })
      .from(records)
      .where(and(ofResource(of), isNull(records.deletedAt))),
  );
  const listed = tx.$with('listed').as(
    tx
      .select({
        count: sql<number>`count(*)::int`.as('listed_count'),
        sum: sumOfHashes(sql`keys.key`).as('listed_sum'),
        changes: sql<boolean>`bool_or(${passPages.phase} = 'changes')`.as('listed_changes'),
      })
      .from(LISTED_KEYS)
      .where(readBy(of)),
  );
  const [same] = await tx
    .with(held, listed)
    .select({ held: held.count })
    .from(held)
    .innerJoin(listed, and(eq(held.count, listed.count), eq(held.sum, listed.sum)))
    .where(and(not(held.came), not(listed.changes)));
  return same && { gone: 0, held: same.held, came: 0, duplicates: 0 };
}

const sumOfHashes = (key: SQLWrapper) => sql<string>`sum(hashtextextended(${key}, 0))`;

/**
 * One by one. What came can have covered up for something that slid past the pass: in a list of everything a new record, in a
 * list of what has changed any change. `changes` reaches back further than the pass, because clocks differ: of what it lists,
 * every record must have been on the pages, too.
 */
async function compareWithListed(tx: Database, of: WalkOf, cursor: Cursor): Promise<Compared> {
  const isFull = cursor.walkSince === null;
  const listed = listedBy(tx, of);
  const { added, changed, before } = sincePass(tx, of);
  const came = isFull ? sql`(${added} and (${listed.onChanges} or ${changed}))` : changed;
  const isHeld = sql`${records.deletedAt} is null`;
  const compared = await tx
    .with(listed)
    .select({
      gone: sql<number>`(count(*) filter (where ${isHeld} and ${listed.key} is null and ${before}))::int`,
      held: sql<number>`(count(*) filter (where ${isHeld}))::int`,
      came: sql<number>`(count(*) filter (where ${listed.key} is not null and (${came} or not ${listed.onPages})))::int`,
      // Records without a key of their own may well be the same.
      duplicates: sql<number>`(count(*) filter (where ${listed.times} > 1 and ${listed.key} not like 'hash:%'))::int`,
    })
    .from(records)
    .leftJoin(listed, eq(listed.key, records.key))
    // Next to the changes, all others do not matter: an inner join.
    .where(and(ofResource(of), isFull ? undefined : isNotNull(listed.key)));
  return only(compared);
}

function ofResource({ connectionId, resource }: WalkOf) {
  return and(eq(records.connectionId, connectionId), eq(records.resource, resource));
}

async function endWalk(
  tx: Database,
  of: WalkOf,
  cursor: Cursor,
  { verified, compared }: { readonly verified: boolean; readonly compared?: Compared },
  maximumShare: number,
): Promise<Cursor> {
  if (resourceRow(of.resource).key === null) await replaceSnapshot(tx, of, cursor.records);
  else if (verified && cursor.walkSince === null) {
    const { gone, held } = compared ?? (await compare(tx, of, cursor));
    if (isCollapse(gone, held, maximumShare)) return withhold(tx, of, gone, held);
    if (gone > 0) await deleteGone(tx, of);
    return complete(tx, of, { verified, deleted: gone });
  }
  return complete(tx, of, { verified, deleted: 0 });
}

export async function complete(
  tx: Database,
  of: WalkOf,
  about: { readonly verified: boolean; readonly deleted: number },
): Promise<Cursor> {
  return only(
    await tx
      .with(forgetPages(tx, of))
      .update(cursors)
      .set({
        ...COMPLETED,
        phase: 'pages',
        // What a list of changes may have missed is asked for again.
        watermark: sql`case when ${about.verified} or ${cursors.walkSince} is null then ${cursors.walkStartedAt}
                         else ${cursors.watermark} end`,
        fullAt: sql`case when ${cursors.walkSince} is null then ${cursors.walkStartedAt} else ${cursors.fullAt} end`,
        previousFingerprint: sql`${cursors.fingerprint}`,
        ...about,
      })
      .where(at(of))
      .returning(),
  );
}

/** All at once: whoever reads meanwhile sees the snapshot before, or this one. */
async function replaceSnapshot(tx: Database, of: WalkOf, total: number): Promise<void> {
  await upsert(tx, of, {
    from: sql`${passPages}, jsonb_to_recordset(${passPages.rows}) ${ROW} where ${readBy(of)}`,
    walkStartedAt: sql`now()`,
    // A place in the list is no identity: an older record may stand there now.
    isChanged: sql`${records.hash} <> excluded.hash`,
  });
  await tx.delete(records).where(and(ofResource(of), like(records.key, 'row:%'), gte(records.key, snapshotKey(total))));
}

/** Marks what the pass has not seen. Answers how many records these are. */
export async function deleteGone(tx: Database, of: WalkOf): Promise<number> {
  const listed = listedBy(tx, of);
  const seen = tx.select({ key: listed.key }).from(listed).where(eq(listed.key, records.key));
  const gone = await tx
    .with(listed)
    .update(records)
    .set({ deletedAt: sql`now()` })
    .where(and(ofResource(of), isNull(records.deletedAt), sincePass(tx, of).before, notExists(seen)))
    .returning({ key: records.key });
  return gone.length;
}

/** Stops the connection until a person has decided; what the pass has seen is kept for that. */
async function withhold(tx: Database, of: WalkOf, gone: number, held: number): Promise<Cursor> {
  const { connectionId, resource } = of;
  const reason = `${gone} of ${held} ${resource} are not listed any more: deleting them waits for somebody to confirm it`;
  await tx.insert(holds).values({ connectionId, kind: 'delete_guard', placedBy: ITSELF, reason }).onConflictDoNothing();
  await enter(tx, { connectionId, actor: ITSELF, action: 'deletes.withheld', detail: { resource, gone, held } });
  return only(await tx.update(cursors).set({ phase: 'guarded', deleted: gone }).where(at(of)).returning());
}
