/** Tables of every older version, with something in each, are brought up to date, and nothing in them is lost. */
import { readFileSync } from 'node:fs';
import { cp, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { PGlite } from '@electric-sql/pglite';
import { drizzle as drizzlePg } from 'drizzle-orm/node-postgres';
import { migrate as migratePg } from 'drizzle-orm/node-postgres/migrator';
import { drizzle as drizzlePglite } from 'drizzle-orm/pglite';
import { migrate as migratePglite } from 'drizzle-orm/pglite/migrator';
import { Client } from 'pg';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { z } from 'zod';
import { MIGRATIONS } from '../src/store/database.js';
import { openStore } from '../src/store/index.js';
import { createSealing } from '../src/store/sealing.js';
import { TEST_SEALING_KEY, createTestDatabase } from './support/store.js';

const journal = z.looseObject({ entries: z.array(z.looseObject({ tag: z.string() })) });
const readJournal = (folder: string) =>
  journal.parse(JSON.parse(readFileSync(path.join(folder, 'meta/_journal.json'), 'utf8')));
const VERSIONS = readJournal(MIGRATIONS.migrationsFolder).entries.map(({ tag }) => tag);

const KEY = 'sandbox_account_key_of_before';
const sealing = createSealing(TEST_SEALING_KEY);

let dir: string;
beforeAll(async () => {
  dir = await mkdtemp(path.join(tmpdir(), 'maesn-sync-upgrades-'));
});
afterAll(() => rm(dir, { recursive: true, force: true }));

type Rows = Record<string, unknown>[];
interface Older {
  readonly query: (text: string) => Promise<Rows>;
  readonly close: () => Promise<void>;
}

/** The database as that version of maesn-sync has left it. */
async function openAt(version: string, databaseUrl: string | undefined, pgliteDir: string): Promise<Older> {
  const migrationsFolder = path.join(dir, `migrations-${version}`);
  await cp(MIGRATIONS.migrationsFolder, migrationsFolder, { recursive: true });
  const { entries, ...rest } = readJournal(migrationsFolder);
  const until = entries.slice(0, VERSIONS.indexOf(version) + 1);
  await writeFile(path.join(migrationsFolder, 'meta/_journal.json'), JSON.stringify({ ...rest, entries: until }));
  if (databaseUrl === undefined) {
    const pglite = await PGlite.create(pgliteDir);
    await migratePglite(drizzlePglite(pglite), { ...MIGRATIONS, migrationsFolder });
    return { query: async (text) => (await pglite.query<Rows[number]>(text)).rows, close: () => pglite.close() };
  }
  const client = new Client({ connectionString: databaseUrl });
  await client.connect();
  await migratePg(drizzlePg(client), { ...MIGRATIONS, migrationsFolder });
  return { query: async (text) => (await client.query<Rows[number]>(text)).rows, close: () => client.end() };
}

const TABLES = `select table_name as name from information_schema.tables
  where table_schema = 'maesn_sync' and table_type = 'BASE TABLE' and table_name <> 'migrations' order by 1`;
const columnsOf = (table: string) => `select column_name as name, data_type as type,
    is_nullable = 'NO' and column_default is null and is_identity = 'NO' and is_generated = 'NEVER' as needed
  from information_schema.columns where table_schema = 'maesn_sync' and table_name = '${table}'`;
const tableColumns = z.array(z.object({ name: z.string(), type: z.string(), needed: z.boolean() }));

/** What every table takes, unless it is named. */
const VALUES: Readonly<Record<string, string>> = {
  text: `'x'`,
  integer: '1',
  bigint: '1',
  boolean: 'false',
  'double precision': '1',
  numeric: '1',
  jsonb: `'{}'`,
  bytea: `'\\x00'`,
  ARRAY: `'{}'`,
  'timestamp with time zone': 'now()',
};
const NAMED: Readonly<Record<string, string>> = {
  connection_id: `'acme'`,
  resource: `'items'`,
  record: `'{"id":"x","name":"Chair"}'`,
  target_system: `'sevdesk'`,
  'connections.id': `'acme'`,
  'connections.key_version': '1',
  'connections.account_key': `'${sealing.seal(KEY, ['acme', 1])}'`,
};

/** One row in each table; which tables there are, with their columns, the database says. */
async function fill({ query }: Older): Promise<ReadonlyMap<string, number>> {
  const names = z
    .array(z.object({ name: z.string() }))
    .parse(await query(TABLES))
    .map(({ name }) => name);
  // Others refer to it.
  for (const table of names.toSorted((a, b) => Number(b === 'connections') - Number(a === 'connections'))) {
    const columns = tableColumns
      .parse(await query(columnsOf(table)))
      .filter(({ name, needed }) => needed || NAMED[`${table}.${name}`] !== undefined);
    const values = columns.map(({ name, type }) => {
      const value = NAMED[`${table}.${name}`] ?? NAMED[name] ?? VALUES[type];
      if (value === undefined) throw new Error(`no value for ${table}.${name}, which is ${type}`);
      return value;
    });
    await query(
      columns.length === 0
        ? `insert into maesn_sync.${table} default values`
        : `insert into maesn_sync.${table} (${columns.map(({ name }) => name).join(', ')}) values (${values.join(', ')})`,
    );
  }
  return countRows(query, names);
}

async function countRows(query: Older['query'], tables: readonly string[]): Promise<ReadonlyMap<string, number>> {
  const counts = new Map<string, number>();
  for (const table of tables) {
    const [row] = await query(`select count(*)::int as rows from maesn_sync.${table}`);
    counts.set(table, z.object({ rows: z.number() }).parse(row).rows);
  }
  return counts;
}

it.each(VERSIONS)('tables of %s are brought up to date with all that is in them', async (version) => {
  const databaseUrl = await createTestDatabase();
  const pgliteDir = path.join(dir, version);
  const older = await openAt(version, databaseUrl, pgliteDir);
  const before = await fill(older);
  await older.close();

  const store = await openStore({ databaseUrl, pgliteDir, sealingKey: TEST_SEALING_KEY });
  try {
    expect(await store.connections.open('acme')).toMatchObject({ targetSystem: 'sevdesk', accountKey: KEY });
    expect(await store.records.find({ connectionId: 'acme', resource: 'items', key: 'x' })).toMatchObject({
      record: { id: 'x', name: 'Chair' },
      deletedAt: null,
    });
    await store.records.put({ connectionId: 'acme', resource: 'items' }, []);
    expect(await store.events.list({ connectionId: 'acme', afterId: 0, limit: 10 })).toBeDefined();
  } finally {
    await store.close();
  }

  const now = await openAt(VERSIONS.at(-1) ?? version, databaseUrl, pgliteDir);
  const there = z.array(z.object({ name: z.string() })).parse(await now.query(TABLES));
  const kept = there.map(({ name }) => name).filter((name) => before.has(name));
  expect(kept).toContain('records');
  const after = await countRows(now.query, kept);
  expect([...after].filter(([name, rows]) => rows < (before.get(name) ?? 0))).toEqual([]);
  await now.close();
});
