/** The one statement that writes pages, notes what was on them, and moves the cursor behind them. */
import { and, eq, isNull, sql } from 'drizzle-orm';
import type { SQL } from 'drizzle-orm';
import type { PgUpdateSetSource } from 'drizzle-orm/pg-core';
import type { MaesnRecord } from '../maesn/records.js';
import { WITHOUT_WAITING } from './database.js';
import type { Database } from './database.js';
import { cursors, passPages, records } from './schema.js';
import type { WalkPhase } from './schema.js';
import type { Cursor, WalkOf } from './walks.js';

/** Pages that were read one after the other and are written together. */
export interface SavePagesInput extends WalkOf {
  readonly walkId: string;
  readonly pass: number;
  readonly phase: WalkPhase;
  /** The first of them. */
  readonly page: number;
  /** How many there are. */
  readonly pages: number;
  /** The keys on them, as listed; of two records of the same key, `records` holds the newer one alone. */
  readonly keys: readonly string[];
  readonly records: readonly MaesnRecord[];
  /** Of children: whose they are, in order. What these had and have no more is marked as deleted. */
  readonly parents?: readonly string[] | undefined;
  readonly totalPages: number | null;
  readonly totalRecords: number | null;
  /** Two of them count the records differently. */
  readonly totalChanged?: boolean;
  /** Over the keys of the pass, these pages included. */
  readonly fingerprint?: string | null;
  /** Whether the list ends with them. */
  readonly last: boolean;
  /** The cursor's. */
  readonly walkSince?: Date | null;
}

export function at({ connectionId, resource }: WalkOf) {
  return and(eq(cursors.connectionId, connectionId), eq(cursors.resource, resource));
}

/** The pages that the pass under way has read. */
export function readBy({ connectionId, resource }: WalkOf) {
  return and(eq(passPages.connectionId, connectionId), eq(passPages.resource, resource));
}

/** What is to be noted of pages: their keys, for the end of the pass; of a snapshot the records, too. */
export type Notes = 'nothing' | 'keys' | 'records';

/** `undefined`: the cursor does not stand there (any more), and nothing was written. `set`: what else the cursor is set to. */
export async function writePages(
  db: Database,
  input: SavePagesInput,
  notes: Notes,
  set: PgUpdateSetSource<typeof cursors> = {},
): Promise<Cursor | undefined> {
  const moved = moveCursor(db, input, set);
  // With the last page of a pass everything before it is confirmed, too. Of an only page of changes, that is left to the event
  // that tells of the end.
  const waits = input.parents !== undefined || (input.last && notes !== 'nothing');
  const noted = notes === 'nothing' ? [] : [notePages(db, input, notes)];
  // A snapshot's are among the notes.
  const written = notes === 'records' || input.records.length === 0 ? [] : [writeRecords(db, input)];
  const statement = db
    .with(moved, ...noted, ...written)
    .select()
    .from(moved);
  return (await statement.where(waits ? undefined : WITHOUT_WAITING))[0];
}

/** None goes back to an older version. */
export const IS_NEWER = sql`${records.hash} <> excluded.hash and (${records.modifiedAt} > excluded.modified_at) is not true`;

/** The part of a statement that moves the cursor behind pages. */
function moveCursor(db: Database, input: SavePagesInput, set: PgUpdateSetSource<typeof cursors>) {
  const { walkId, pass, phase, page, pages, totalPages, totalRecords, keys } = input;
  const { totalChanged = false, fingerprint = null } = input;
  const isWalk = phase === 'pages';
  const flagged = isWalk ? input.records.filter(({ problems }) => problems !== null).length : 0;
  return db.$with('moved').as(
    db
      .update(cursors)
      .set({
        nextPage: page + pages,
        totalPages,
        totalRecords,
        totalChanged: sql`${cursors.totalChanged} or ${totalChanged}
          or (${cursors.nextPage} > 1 and ${cursors.totalRecords} is distinct from ${totalRecords}::int)`,
        ...(isWalk
          ? {
              pages: sql`${cursors.pages} + ${pages}`,
              records: sql`${cursors.records} + ${keys.length}`,
              flagged: sql`${cursors.flagged} + ${flagged}`,
              fingerprint,
            }
          : {}),
        ...set,
      })
      .where(
        and(
          at(input),
          eq(cursors.walkId, walkId),
          eq(cursors.pass, pass),
          eq(cursors.phase, phase),
          eq(cursors.nextPage, page),
          isNull(cursors.completedAt),
        ),
      )
      .returning(),
  );
}

/** The part that writes what was on them. */
function writeRecords(db: Database, input: SavePagesInput) {
  return db.$with('written').as(
    upsert(db, input, {
      from: sql`${toTable(input.records)} where exists (select from moved)`,
      walkStartedAt: sql`(select walk_started_at from moved)`,
      isChanged: IS_NEWER,
    }),
  );
}

/** The part that notes what was on them. */
function notePages(db: Database, input: SavePagesInput, notes: Notes) {
  const { connectionId, resource, phase, page, keys } = input;
  return db.$with('noted').as(
    db
      .insert(passPages)
      .select(
        sql`select ${connectionId}, ${resource}, ${phase}, ${page}::int, ${JSON.stringify(keys)}::jsonb,
              ${notes === 'records' ? `[${toRows(input.records)}]` : null}::jsonb
            where exists (select from moved)`,
      )
      .returning({ page: passPages.page }),
  );
}

/** RS: stands in no JSON text, and separates them in a sequence of such texts (RFC 7464). */
const SEPARATOR = Buffer.from('\u001E');

/** Records on their way into the table, each a JSON text of its own: cheaper for Postgres than the elements of one JSON array. Bytes are sent as they are. */
export function toTable(of: readonly MaesnRecord[]): SQL {
  const texts = Buffer.concat(of.flatMap(({ json }, index) => (index === 0 ? [json] : [SEPARATOR, json])));
  const column = (value: (record: MaesnRecord) => string | null) => sql`${toTextArray(of.map(value))}`;
  // Of `string_to_array` the planner would want to know how long it becomes, and call it for that.
  return sql`rows from (
      string_to_table(convert_from(${texts}::bytea, 'UTF8'), ${SEPARATOR.toString()}),
      unnest(
        ${column(({ key }) => key)}::text[],
        ${column(({ parentKey }) => parentKey)}::text[],
        ${column(({ modifiedAt }) => modifiedAt?.toISOString() ?? null)}::timestamptz[],
        ${column(({ hash }) => hash)}::text[],
        ${column(({ problems }) => (problems === null ? null : JSON.stringify(problems)))}::text[]
      )
    ) as page (record, key, parent_key, modified_at, hash, problems)`;
}

/** As Postgres writes an array of texts: the driver would build it up from pieces that are to be put together later. */
function toTextArray(texts: readonly (string | null)[]): string {
  const quoted = texts.map((text) => (text === null ? 'NULL' : `"${text.replaceAll(/["\\]/g, '\\$&')}"`));
  return `{${quoted.join(',')}}`;
}

/** A snapshot's records, as the elements of a JSON array: it is written once all of it is there. */
function toRows(of: readonly MaesnRecord[]): string {
  return of.map(toRow).join(',');
}

/**
 * One of them: what was hashed is put in as it is, quoted and parsed no second time. A record
 * that is a JSON null comes out of `jsonb_to_recordset` as SQL's.
 */
function toRow({ key, parentKey, json, modifiedAt, hash, problems }: MaesnRecord): string {
  const about = JSON.stringify({ key, parent_key: parentKey, modified_at: modifiedAt, hash, problems });
  return `${about.slice(0, -1)},"record":${json.toString()}}`;
}

export const ROW = sql`as page (key text, parent_key text, record jsonb, modified_at timestamptz, hash text, problems jsonb)`;

export interface UpsertFrom {
  readonly from: SQL;
  readonly walkStartedAt: SQL;
  /** Of a record that is there already; `excluded` is what comes. */
  readonly isChanged: SQL;
}

/**
 * A record that has not changed is not written. One that was deleted has come back, unless it may have been listed before the
 * deletion.
 */
export function upsert(
  db: Database,
  { connectionId, resource }: WalkOf,
  { from, walkStartedAt, isChanged }: UpsertFrom,
) {
  return db
    .insert(records)
    .select(
      sql`select ${connectionId}, ${resource}, page.key, page.parent_key, coalesce(page.record::jsonb, 'null'), page.modified_at, page.hash,
            page.problems::jsonb, now(), now(), null::timestamptz
          from ${from}`,
    )
    .onConflictDoUpdate({
      target: [records.connectionId, records.resource, records.key],
      set: {
        record: sql`excluded.record`,
        modifiedAt: sql`excluded.modified_at`,
        hash: sql`excluded.hash`,
        problems: sql`excluded.problems`,
        syncedAt: sql`now()`,
        deletedAt: sql`case when ${records.deletedAt} < ${walkStartedAt}
                              or ${records.deletedAt} < excluded.modified_at then null
                            else ${records.deletedAt} end`,
      },
      setWhere: sql`${records.deletedAt} is not null or (${isChanged})`,
    })
    .returning({ key: records.key });
}

export function only<Row>(rows: readonly Row[]): Row {
  const [row] = rows;
  if (row === undefined) throw new Error('the cursor is gone: its connection was removed');
  return row;
}
