/** Opens Postgres, or PGlite (Postgres inside this process) where there is none, and brings its tables up to date. */
import { randomBytes } from 'node:crypto';
import { fileURLToPath } from 'node:url';
import { PGlite } from '@electric-sql/pglite';
import { sql } from 'drizzle-orm';
import type { SQL } from 'drizzle-orm';
import { drizzle as drizzlePg } from 'drizzle-orm/node-postgres';
import { migrate as migratePg } from 'drizzle-orm/node-postgres/migrator';
import { drizzle as drizzlePglite } from 'drizzle-orm/pglite';
import { migrate as migratePglite } from 'drizzle-orm/pglite/migrator';
import type { PgDatabase, PgQueryResultHKT } from 'drizzle-orm/pg-core';
import { Pool } from 'pg';

/** What both drivers have in common: typed queries. Raw results differ between them and are not used. */
export type Database = PgDatabase<PgQueryResultHKT>;

export interface OpenDatabase {
  readonly db: Database;
  /** This process, in this database: in the name of each of its connections, so that others see that it is there. */
  readonly process: string;
  /** No other process can have the database open. */
  readonly isAlone: boolean;
  readonly close: () => Promise<void>;
}

export const MIGRATIONS = {
  migrationsFolder: fileURLToPath(new URL('./migrations', import.meta.url)),
  migrationsSchema: 'maesn_sync',
  migrationsTable: 'migrations',
};

/**
 * Where it is asked for, the transaction commits before the disk has confirmed it: for what is asked for again when a server
 * crashes that had not yet written it. Records and the cursor behind them are in one.
 */
export const WITHOUT_WAITING = sql`set_config('synchronous_commit', 'off', true) is not null`;

/** Any number that nobody else uses: Workers that start together take turns at migrating. */
const MIGRATION_LOCK = 7_236_796_001;

/** A process that stands still within a transaction loses it, and with it the locks on which all the others wait. */
const STUCK_AFTER = '30 s';

const APPLICATION_NAME = 'maesn-sync';

const newProcess = () => randomBytes(6).toString('hex');

/**
 * What the connections of a process are called, up to the 63 characters that Postgres keeps. `keyIds`: of the sealing keys, so
 * that others see who has which (`key-holders.ts`).
 */
function connectionName(process: string, keyIds: readonly string[]): string {
  return [`${APPLICATION_NAME}:${process}`, ...keyIds].join(' ');
}

/** To select from: the connections of all processes, or of the one of this id. */
export function connectionsOf(process: SQL = sql`''`): SQL {
  return sql`pg_stat_activity
    where datname = current_database() and application_name like ${`${APPLICATION_NAME}:`} || ${process} || '%'`;
}

/** `keyIds`: of the sealing keys. */
export async function openPostgres(connectionString: string, keyIds: readonly string[] = []): Promise<OpenDatabase> {
  const process = newProcess();
  const pool = new Pool({
    connectionString,
    application_name: connectionName(process, keyIds),
    connectionTimeoutMillis: 10_000,
    // A server that is gone without a word is noticed also by who waits for its answer.
    keepAlive: true,
    keepAliveInitialDelayMillis: 10_000,
    // One stays, also of a process that has nothing to do: else nobody would see that it is there.
    min: 1,
    // Not asked for at the start of the connection: a pooler need not know it.
    // oxlint-disable-next-line typescript/no-misused-promises -- the pool waits for it, though its types do not say so
    onConnect: async (client) => {
      await client.query(`set idle_in_transaction_session_timeout = '${STUCK_AFTER}'`);
    },
  });
  // A connection that breaks is replaced by the pool. Without a listener it would end the process: the pool's while it is idle,
  // its own while it is in use.
  pool.on('error', () => undefined);
  pool.on('connect', (client) => void client.on('error', () => undefined));
  try {
    const client = await pool.connect();
    try {
      await client.query('select pg_advisory_lock($1)', [MIGRATION_LOCK]);
      await migratePg(drizzlePg(client), MIGRATIONS);
      await client.query('select pg_advisory_unlock($1)', [MIGRATION_LOCK]);
    } finally {
      client.release();
    }
  } catch (error) {
    await pool.end();
    const reason = error instanceof Error ? error.message || error.name : String(error);
    throw new Error(`Postgres could not be opened; check DATABASE_URL: ${reason}`, { cause: error });
  }
  return { db: drizzlePg(pool), process, isAlone: false, close: () => pool.end() };
}

/** `dataDir`: a folder that no other process has open, or `memory://`. */
export async function openPglite(dataDir: string): Promise<OpenDatabase> {
  const pglite = await PGlite.create(dataDir);
  const db = drizzlePglite(pglite);
  await migratePglite(db, MIGRATIONS);
  return { db, process: newProcess(), isAlone: true, close: () => pglite.close() };
}
