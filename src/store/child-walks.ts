/**
 * Walks over the children of records, parent by parent, in order of key: one parent is one page. Which parents there are,
 * and which of them have changed, the store knows by itself.
 */
import { and, asc, eq, gt, gte, isNotNull, isNull, notLike, sql } from 'drizzle-orm';
import type { MaesnRecord } from '../maesn/records.js';
import { parentOf } from '../spec/resources.js';
import type { ChildResource, Collection } from '../spec/resources.js';
import type { Database } from './database.js';
import { cursors, records } from './schema.js';
import type { Cursor, WalkOf } from './walks.js';
import { at, completed, only, upsert } from './write-page.js';

export interface ChildWalkOf extends WalkOf {
  readonly resource: ChildResource;
}

export interface SaveParentInput extends ChildWalkOf {
  readonly walkId: string;
  readonly page: number;
  readonly parentKey: string;
  /** All that it has. */
  readonly records: readonly MaesnRecord[];
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

export async function saveParent(tx: Database, input: SaveParentInput): Promise<Cursor> {
  const { connectionId, resource, walkId, page, parentKey } = input;
  const cursor = only(await tx.select().from(cursors).where(at(input)).for('update'));
  if (cursor.walkId !== walkId || cursor.nextPage !== page || cursor.completedAt !== null) return cursor;
  await upsert(tx, { connectionId, resource, parentKey }, input.records, cursor.walkStartedAt);
  const keys = JSON.stringify(input.records.map(({ key }) => key));
  await tx
    .update(records)
    .set({ deletedAt: sql`now()` })
    .where(
      and(
        eq(records.connectionId, connectionId),
        eq(records.resource, resource),
        eq(records.parentKey, parentKey),
        isNull(records.deletedAt),
        sql`${records.key} not in (select jsonb_array_elements_text(${keys}::jsonb))`,
      ),
    );
  const parent = parentOf(resource);
  const nextParent = await parentBehind(tx, cursor, parent, parentKey);
  if (nextParent === null) await markOrphans(tx, input, parent);
  return only(
    await tx
      .update(cursors)
      .set({
        nextPage: page + 1,
        nextParent,
        pages: cursor.pages + 1,
        records: cursor.records + input.records.length,
        flagged: cursor.flagged + input.records.filter((record) => record.problems !== null).length,
        ...(nextParent === null ? completed(cursor) : {}),
      })
      .where(at(input))
      .returning(),
  );
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
  { connectionId, walkSince }: WalkOf & Pick<Cursor, 'walkSince'>,
  parent: Collection,
  key: string,
): Promise<string | null> {
  const [next] = await tx
    .select({ key: records.key })
    .from(records)
    .where(and(parents(connectionId, parent, walkSince), gt(records.key, key)))
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
