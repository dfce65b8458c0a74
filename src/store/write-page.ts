/** What the walks of collections and of children have in common. */
import { and, eq, sql } from 'drizzle-orm';
import type { MaesnRecord } from '../maesn/records.js';
import type { Database } from './database.js';
import { cursors, records } from './schema.js';
import type { Cursor, WalkOf } from './walks.js';

export function at({ connectionId, resource }: WalkOf) {
  return and(eq(cursors.connectionId, connectionId), eq(cursors.resource, resource));
}

/** The walk has come to its end. */
export function completed({ walkStartedAt }: Pick<Cursor, 'walkStartedAt'>) {
  return { completedAt: sql`now()`, watermark: walkStartedAt };
}

/**
 * All records of a page in one statement; a record that has not changed is not written. A record that was deleted has
 * come back, unless this page may have been listed before the deletion.
 */
export async function upsert(
  tx: Database,
  { connectionId, resource, parentKey = null }: WalkOf & { readonly parentKey?: string | null },
  page: readonly MaesnRecord[],
  walkStartedAt: Date,
): Promise<void> {
  if (page.length === 0) return;
  const rows = page.map(({ key, json, modifiedAt, hash, problems }) => ({
    key,
    // As text, not as an object in an object: what was parsed and hashed is what is stored.
    json,
    modified_at: modifiedAt,
    hash,
    problems,
  }));
  await tx.execute(sql`
    insert into ${records} (connection_id, resource, key, parent_key, record, modified_at, hash, problems)
    select ${connectionId}, ${resource}, key, ${parentKey}::text, json::jsonb, modified_at, hash, problems
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

export function only<Row>(rows: readonly Row[]): Row {
  const [row] = rows;
  if (row === undefined) throw new Error('the cursor is gone: its connection was removed');
  return row;
}
