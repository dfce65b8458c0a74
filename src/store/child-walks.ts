/**
 * Walks over the children of records, parent by parent, in order of key: one parent is one page. Which parents there are,
 * and which of them have changed, the store knows by itself.
 */
import { and, asc, eq, gt, gte, isNotNull, isNull, notLike, sql } from 'drizzle-orm';
import { parentOf } from '../spec/resources.js';
import type { ChildResource, Collection } from '../spec/resources.js';
import type { Database } from './database.js';
import { cursors, records } from './schema.js';
import type { Cursor, WalkOf } from './walks.js';
import { COMPLETED, sincePass } from './passes.js';
import { at, only } from './write-pages.js';

export interface ChildWalkOf extends WalkOf {
  readonly resource: ChildResource;
}

/** What the cursor of a walk that begins is set to. Without a parent it ends here. */
export async function beginAtParents(tx: Database, of: ChildWalkOf, watermark: Date | null) {
  const parent = parentOf(of.resource);
  const found = parents(of.connectionId, parent, watermark);
  const [first] = await tx
    .select({ count: sql<number>`count(*)::int`, key: sql<string | null>`min(${records.key})` })
    .from(records)
    .where(found);
  const nextParent = first?.key ?? null;
  if (nextParent === null) await markOrphans(tx, of, parent);
  return {
    walkSince: watermark,
    // By the clock that says when parents have changed: so nothing is missed, and nothing has to overlap.
    walkStartedAt: sql`now()`,
    nextParent,
    totalPages: first?.count ?? 0,
    ...(nextParent === null ? { completedAt: sql`now()`, watermark: sql`now()` } : {}),
  };
}

/** Marks what the parents had and have no more, and moves the cursor to the parent behind them. */
export async function endParents(
  tx: Database,
  of: ChildWalkOf,
  cursor: Cursor,
  done: readonly string[],
  children: readonly string[],
): Promise<Cursor> {
  const { connectionId, resource } = of;
  await tx
    .update(records)
    .set({ deletedAt: sql`now()` })
    .where(
      and(
        eq(records.connectionId, connectionId),
        eq(records.resource, resource),
        sql`${records.parentKey} in ${keysIn(done)}`,
        isNull(records.deletedAt),
        // What was written since may not have been listed yet.
        sincePass(tx, of).before,
        sql`${records.key} not in ${keysIn(children)}`,
      ),
    );
  const parent = parentOf(resource);
  const last = done.at(-1);
  const nextParent = last === undefined ? null : await parentBehind(tx, of, cursor.walkSince, last);
  if (nextParent === null) await markOrphans(tx, of, parent);
  return only(
    await tx
      .update(cursors)
      .set({ nextParent, ...(nextParent === null ? COMPLETED : {}) })
      .where(at(of))
      .returning(),
  );
}

function keysIn(keys: readonly string[]) {
  return sql`(select jsonb_array_elements_text(${JSON.stringify(keys)}::jsonb))`;
}

/** Keys of parents from `key` on, in order. */
export async function parentsFrom(
  db: Database,
  {
    connectionId,
    resource,
    key,
    since,
    limit,
  }: ChildWalkOf & { readonly key: string; readonly since: Date | null; readonly limit: number },
): Promise<string[]> {
  const rows = await db
    .select({ key: records.key })
    .from(records)
    .where(and(parents(connectionId, parentOf(resource), since), gte(records.key, key)))
    .orderBy(asc(records.key))
    .limit(limit);
  return rows.map((row) => row.key);
}

export async function otherParents(
  db: Database,
  { connectionId, resource, parentKey, limit }: ChildWalkOf & { readonly parentKey: string; readonly limit: number },
): Promise<string[]> {
  const parent = parentOf(resource);
  const rows = await db
    .select({ key: records.key })
    .from(records)
    .where(and(parents(connectionId, parent, null), sql`${records.key} <> ${parentKey}`))
    // Those behind it first: those before it have been asked.
    .orderBy(sql`${records.key} < ${parentKey}`, asc(records.key))
    .limit(limit);
  return rows.map(({ key }) => key);
}

async function parentBehind(
  tx: Database,
  { connectionId, resource }: ChildWalkOf,
  since: Date | null,
  key: string,
): Promise<string | null> {
  const [next] = await tx
    .select({ key: records.key })
    .from(records)
    .where(and(parents(connectionId, parentOf(resource), since), gt(records.key, key)))
    .orderBy(asc(records.key))
    .limit(1);
  return next?.key ?? null;
}

/** Parents that can be asked for: not deleted, and with a key of their own. */
function parents(connectionId: string, parent: Collection, since: Date | null) {
  return and(
    eq(records.connectionId, connectionId),
    eq(records.resource, parent),
    isNull(records.deletedAt),
    notLike(records.key, 'hash:%'),
    since === null ? undefined : gte(records.syncedAt, since),
  );
}

/** The children of a parent that is deleted go with it. */
async function markOrphans(tx: Database, { connectionId, resource }: WalkOf, parent: Collection): Promise<void> {
  const deleted = tx
    .select({ key: records.key })
    .from(records)
    .where(and(eq(records.connectionId, connectionId), eq(records.resource, parent), isNotNull(records.deletedAt)));
  await tx
    .update(records)
    .set({ deletedAt: sql`now()` })
    .where(
      and(
        eq(records.connectionId, connectionId),
        eq(records.resource, resource),
        isNull(records.deletedAt),
        sql`${records.parentKey} in ${deleted}`,
      ),
    );
}
