/** A Postgres server of Debian's binaries, with a folder of its own, that counts statements. */
import { execFileSync } from 'node:child_process';
import { chown, mkdtemp, open, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { Client } from 'pg';
import { freePort } from '../../src/embedded/temporal-port.js';
import { spawnWatched } from '../../src/embedded/temporal-watchdog.js';

export interface PostgresServer {
  readonly url: string;
  createDatabase(name: string): Promise<string>;
  dropDatabase(name: string): Promise<void>;
  query(text: string, values?: unknown[]): Promise<Record<string, unknown>[]>;
  /** Statements of these databases since `resetStatements`. */
  statements(databases: readonly string[]): Promise<{ readonly calls: number; readonly seconds: number }>;
  resetStatements(): Promise<void>;
  stop(): Promise<void>;
}

const DEBIAN = '/usr/lib/postgresql';
const START_LIMIT_MS = 30_000;
/** As a production server of this size would be set, and with commits as durable as they are by default. */
const SETTINGS = [
  'listen_addresses=127.0.0.1',
  'max_connections=300',
  'shared_buffers=512MB',
  'max_wal_size=8GB',
  'shared_preload_libraries=pg_stat_statements',
  'pg_stat_statements.track=top',
];

export interface Cluster {
  readonly data: string;
  /** A program of Postgres, such as `pg_dump`. */
  program(name: string): string;
  run(name: string, ...args: readonly string[]): void;
  /** What starts the server. */
  command(port: number, settings: readonly string[]): string[];
}

/** The files of a new server, in a folder that is there already. As root, they and the server belong to the user postgres. */
export async function createCluster(dir: string): Promise<Cluster> {
  const bin = await findBinaries();
  const isRoot = process.getuid?.() === 0;
  // With a user of its own, a program forgets what should end it with its parent; so it is told again.
  const asPostgres = isRoot
    ? 'setpriv --reuid=postgres --regid=postgres --clear-groups --pdeathsig=KILL'.split(' ')
    : [];
  const program = (name: string) => path.join(bin, name);
  const run = (name: string, ...args: readonly string[]) => {
    const [file = '', ...rest] = [...asPostgres, program(name), ...args];
    execFileSync(file, rest, { stdio: ['ignore', 'ignore', 'inherit'], cwd: dir });
  };
  if (isRoot) await chown(dir, Number(execFileSync('id', ['-u', 'postgres'])), -1);
  const data = path.join(dir, 'data');
  run('initdb', '-D', data, '-U', 'postgres', '--auth=trust', '--encoding=UTF8', '--locale=C.UTF-8');
  return {
    data,
    program,
    run,
    command: (port, settings) => [
      ...asPostgres,
      program('postgres'),
      '-D',
      data,
      '-p',
      String(port),
      '-k',
      dir,
      ...settings.flatMap((setting) => ['-c', setting]),
    ],
  };
}

export async function startPostgres(): Promise<PostgresServer> {
  const dir = await mkdtemp(path.join(tmpdir(), 'maesn-sync-bench-postgres-'));
  const cluster = await createCluster(dir);
  const port = await freePort('127.0.0.1');
  const log = await open(path.join(dir, 'log'), 'w');
  const server = spawnWatched(cluster.command(port, SETTINGS), { env: process.env, stderr: log.fd });
  const end = async () => {
    await server.end();
    await log.close();
    await rm(dir, { recursive: true, force: true });
  };
  const urlOf = (database: string) => `postgres://postgres@127.0.0.1:${port}/${database}`;
  const admin = await connect(urlOf('postgres')).catch(async (error: unknown) => {
    await end();
    throw error;
  });
  const query = async (text: string, values: unknown[] = []): Promise<Record<string, unknown>[]> =>
    (await admin.query<Record<string, unknown>>(text, values)).rows;
  await query('create extension pg_stat_statements');

  return {
    url: urlOf('postgres'),
    query,
    async createDatabase(name) {
      await query(`create database "${name}"`);
      return urlOf(name);
    },
    async dropDatabase(name) {
      await query(`drop database if exists "${name}" with (force)`);
      // What one variant has written must not be flushed while the next one is measured.
      await query('checkpoint');
    },
    async statements(databases) {
      const [row] = await query(
        `select coalesce(sum(calls), 0)::float8 as calls, coalesce(sum(total_exec_time), 0)::float8 / 1000 as seconds
           from pg_stat_statements join pg_database on pg_database.oid = dbid where datname = any ($1)`,
        [databases],
      );
      return { calls: Number(row?.['calls']), seconds: Number(row?.['seconds']) };
    },
    resetStatements: async () => {
      await query('select pg_stat_statements_reset()');
    },
    async stop() {
      await admin.end();
      cluster.run('pg_ctl', '-D', cluster.data, '-m', 'immediate', '-w', 'stop');
      await end();
    },
  };
}

async function findBinaries(): Promise<string> {
  const versions = (await readdir(DEBIAN).catch(() => [])).toSorted((a, b) => Number(a) - Number(b));
  const newest = versions.at(-1);
  if (newest === undefined) throw new Error(`There is no Postgres in ${DEBIAN}: apt-get install postgresql`);
  return path.join(DEBIAN, newest, 'bin');
}

async function connect(connectionString: string): Promise<Client> {
  for (const until = Date.now() + START_LIMIT_MS; ;) {
    const client = new Client({ connectionString });
    client.on('error', () => undefined);
    try {
      await client.connect();
      return client;
    } catch (error) {
      if (Date.now() > until) throw error;
      await sleep(100);
    }
  }
}
