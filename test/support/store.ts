/** A fresh store for a test file: PGlite in memory, or a database of its own on the Postgres of TEST_DATABASE_URL. */
import { randomBytes } from 'node:crypto';
import { sql } from 'drizzle-orm';
import { Client } from 'pg';
import { z } from 'zod';
import { openPglite, openPostgres } from '../../src/store/database.js';
import type { OpenDatabase } from '../../src/store/database.js';
import { createStore } from '../../src/store/index.js';
import type { Store } from '../../src/store/index.js';
import { createSealing } from '../../src/store/sealing.js';
import type { SealingKeys } from '../../src/store/sealing.js';

export const TEST_SEALING_KEY = Buffer.alloc(32, 42);

export interface TestStore {
  readonly store: Store;
  /** For other stores over the same tables. */
  readonly database: OpenDatabase;
  /** For another process to open the same store; absent with PGlite. */
  readonly databaseUrl?: string;
  /** What anybody with access to the database can ask. */
  readonly query: Query;
}

export type Query = (text: string) => Promise<Record<string, unknown>[]>;

const answer = z.object({ rows: z.array(z.record(z.string(), z.unknown())) });

export async function openTestStore(sealingKeys: SealingKeys = TEST_SEALING_KEY): Promise<TestStore> {
  const databaseUrl = await createTestDatabase();
  const sealing = createSealing(sealingKeys);
  const database =
    databaseUrl === undefined ? await openPglite('memory://') : await openPostgres(databaseUrl, sealing.keyIds);
  const store = createStore(database, sealing);
  const query: Query = async (text) => answer.parse(await database.db.execute(sql.raw(text))).rows;
  return { store, database, query, ...(databaseUrl === undefined ? {} : { databaseUrl }) };
}

/** A database of its own; `undefined` without TEST_DATABASE_URL. */
export async function createTestDatabase(): Promise<string | undefined> {
  const server = process.env['TEST_DATABASE_URL'];
  if (server === undefined || server === '') return undefined;
  const name = `maesn_sync_test_${randomBytes(6).toString('hex')}`;
  const client = new Client({ connectionString: server });
  await client.connect();
  try {
    await client.query(`create database ${name}`);
  } finally {
    await client.end();
  }
  const url = new URL(server);
  url.pathname = `/${name}`;
  return url.toString();
}
