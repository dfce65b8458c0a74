/** The processes of a run: Postgres, Temporal, two Workers of different builds, the backend; and, in this process, Maesn and the application. */
import { chmod, mkdir, mkdtemp, open, readFile, rename, rm } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { randomBytes } from 'node:crypto';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { Client, Connection } from '@temporalio/client';
import { Client as Postgres } from 'pg';
import { createCluster } from '../../bench/servers/postgres.js';
import { startApplication } from '../../sandbox/application.js';
import { startSandbox } from '../../sandbox/index.js';
import type { Sandbox } from '../../sandbox/index.js';
import { createApi } from '../../src/cli/api.js';
import type { Api } from '../../src/cli/api.js';
import { readConfig } from '../../src/config.js';
import { freePort } from '../../src/embedded/temporal-port.js';
import { startTemporalServer } from '../../src/embedded/temporal-server.js';
import { spawnWatched } from '../../src/embedded/temporal-watchdog.js';
import { openStore } from '../../src/store/index.js';
import type { Store } from '../../src/store/index.js';
import { MARKER, supervise } from './processes.js';
import type { Program, Supervised } from './processes.js';
import { until } from './until.js';
import { createWeather } from './weather.js';
import type { WeatherStation } from './weather.js';

const HOST = '127.0.0.1';
const DATABASE = 'books';
const DEPLOYMENT = 'maesn-sync';
export const BUILDS = ['build-a', 'build-b'] as const;
export type Build = (typeof BUILDS)[number];

/** A minute of the error guide takes a second, so that ten minutes show many of its rounds. */
const TIME_SCALE = 60;
const READY_LIMIT_MS = 90_000;

/** Their real limits would leave nothing to see within minutes: the delays are divided, so the limits are wider. */
const TARGET_SYSTEMS = {
  'exact-nl': { errorLimit: { requests: 10, perMs: 20_000 }, rateLimits: [{ requests: 60, perMs: 2_000 }] },
  xero: { rateLimits: [{ requests: 60, perMs: 2_000 }] },
};

const POSTGRES_SETTINGS = [
  `listen_addresses=${HOST}`,
  'max_connections=200',
  // What slow queries are counted by.
  'log_min_duration_statement=1s',
  // A statement in the log would hold records and sealed keys.
  'log_min_error_statement=panic',
  'log_parameter_max_length=0',
  'log_parameter_max_length_on_error=0',
];

/** What can be made to fail, or to take its time. */
const WRITTEN = [
  'records',
  'cursors',
  'connections',
  'events',
  'writes',
  'pass_pages',
  'waiting_workflows',
  'capabilities',
];

export interface Application {
  /** Ids of the events that were taken, in the order in which they were. */
  readonly taken: { readonly id: string; readonly type: string; readonly data: Readonly<Record<string, unknown>> }[];
  /** While it is set, none is. */
  refuses: boolean;
  refused: number;
}

export interface World {
  readonly run: string;
  readonly dir: string;
  readonly sandbox: Sandbox;
  readonly weather: WeatherStation;
  readonly application: Application;
  readonly api: Api;
  readonly backendUrl: string;
  readonly temporal: Client;
  readonly store: Store;
  readonly processes: Readonly<Record<'postgres' | 'temporal' | 'backend' | Build, Supervised>>;
  /** What must be in no history, log or dump: its name, and itself. */
  readonly secrets: Readonly<Record<string, string>>;
  readonly databaseUrl: string;
  readonly temporalDatabase: string;
  readonly pgDump: string;
  readonly logFiles: readonly string[];
  /** As superuser, in that database; by default the store. */
  query(text: string, database?: string): Promise<Record<string, unknown>[]>;
  /** All that the server has said. */
  postgresLog(): Promise<string>;
  /** What runs before each statement that writes: PL/pgSQL, or nothing. */
  beforeWrites(body: string): Promise<unknown>;
  /** Every process answers. */
  ready(): Promise<boolean>;
  /** New Workflows and Workflow Tasks go to this build, and half of them to the other one. */
  makeCurrent(build: Build): Promise<void>;
  /** Ends all processes; what they have written stays. */
  stopProcesses(): Promise<void>;
  close(options: { readonly keep: boolean }): Promise<void>;
}

export type OnEvent = (event: Application['taken'][number]) => void;

export async function startWorld(onEvent: OnEvent, say: (line: string) => void): Promise<World> {
  const run = randomBytes(8).toString('hex');
  const dir = await mkdtemp(path.join(tmpdir(), 'maesn-sync-faults-'));
  // The server of the user postgres lives in it.
  await chmod(dir, 0o755);
  const closers: (() => Promise<unknown>)[] = [];
  const stopProcesses = async () => {
    for (const close of closers.splice(0).toReversed()) await close();
  };
  const logs = new Map<string, Awaited<ReturnType<typeof open>>>();
  try {
    return await build();
  } catch (error) {
    await stopProcesses();
    throw error;
  }

  async function logOf(name: string) {
    const log = logs.get(name) ?? (await open(path.join(dir, `${name}.log`), 'a'));
    logs.set(name, log);
    return log;
  }

  /** Nothing of this machine's own environment decides what a process does. */
  function environment(more: Readonly<Record<string, string>>): Record<string, string> {
    const { PATH = '', HOME = '', XDG_CACHE_HOME = '' } = process.env;
    return { PATH, HOME, XDG_CACHE_HOME, NO_COLOR: '1', [MARKER]: run, ...more };
  }

  async function startNode(name: string, args: readonly string[], env: Readonly<Record<string, string>>) {
    const tsx = pathToFileURL(createRequire(import.meta.url).resolve('tsx')).href;
    const log = await logOf(name);
    const start = async (): Promise<Program> => {
      const options = { env: environment(env), stderr: log.fd, cwd: dir };
      return toProgram(spawnWatched([process.execPath, '--import', tsx, ...args], options));
    };
    const supervised = await supervise(name, start);
    closers.push(() => supervised.stop());
    return supervised;
  }

  async function startPostgres(): Promise<{
    postgres: Supervised;
    databaseUrl: string;
    pgDump: string;
    urlOf: (name: string) => string;
  }> {
    const folder = path.join(dir, 'postgres');
    await mkdir(folder);
    const cluster = await createCluster(folder);
    const port = await freePort(HOST);
    const log = await logOf('postgres');
    const start = async (): Promise<Program> =>
      toProgram(
        spawnWatched(cluster.command(port, POSTGRES_SETTINGS), { env: environment({}), stderr: log.fd, cwd: folder }),
      );
    const postgres = await supervise('postgres', start);
    closers.push(() => postgres.stop());
    const urlOf = (database: string) => `postgres://postgres@${HOST}:${port}/${database}`;
    const created = await until(async () => {
      await ask(urlOf('postgres'), `create database ${DATABASE}`);
      return true;
    }, READY_LIMIT_MS);
    if (created === undefined) throw new Error(`Postgres does not answer; see ${dir}/postgres.log`);
    return { postgres, databaseUrl: urlOf(DATABASE), pgDump: cluster.program('pg_dump'), urlOf };
  }

  async function startTemporal(): Promise<{ temporal: Supervised; address: string }> {
    const dataDir = path.join(dir, 'temporal');
    const port = await freePort(HOST);
    const address = `${HOST}:${port}`;
    let starts = 0;
    const start = async (): Promise<Program> => {
      starts += 1;
      const log = path.join(dataDir, 'temporal-server.log');
      await rename(log, path.join(dir, `temporal-${starts}.log`)).catch(() => undefined);
      const server = await startTemporalServer({ dataDir, port, ui: false, env: environment(temporalPath()) });
      if (server.address === address) return server;
      await server.stop();
      throw new Error(`Temporal has not got its port ${port} again`);
    };
    const temporal = await supervise('temporal', start);
    closers.push(() => temporal.stop());
    return { temporal, address };
  }

  async function build(): Promise<World> {
    say('Starting Postgres and Temporal');
    const { postgres, databaseUrl, pgDump, urlOf } = await startPostgres();
    const { temporal, address } = await startTemporal();

    const weather = createWeather();
    const sandbox = await startSandbox();
    closers.push(() => sandbox.close());
    const application: Application = { taken: [], refuses: false, refused: 0 };
    const receiver = await startApplication({
      isTaking() {
        if (application.refuses) application.refused += 1;
        return !application.refuses;
      },
      onEvent({ type, data }, id) {
        const event = { id, type, data };
        application.taken.push(event);
        onEvent(event);
      },
    });
    closers.push(() => receiver.close());

    const sealingKey = randomBytes(32).toString('base64');
    const token = randomBytes(24).toString('base64url');
    const common = {
      DATABASE_URL: databaseUrl,
      LOG_LEVEL: 'debug',
      MAESN_API_KEY: sandbox.apiKey,
      MAESN_BASE_URL: sandbox.url,
      MAESN_SYNC_SEALING_KEY: sealingKey,
      MAESN_SYNC_TARGET_SYSTEMS: JSON.stringify(TARGET_SYSTEMS),
      MAESN_TIMEOUT: '3 seconds',
      TEMPORAL_ADDRESS: address,
      ...receiver.overrides,
    };
    say('Starting the backend and two Workers');
    const backendAddress = `${HOST}:${await freePort(HOST)}`;
    const backendUrl = `http://${backendAddress}`;
    const backend = await startNode('backend', [source('../../src/cli.ts'), 'serve'], {
      ...common,
      MAESN_SYNC_ADDRESS: backendAddress,
      MAESN_SYNC_REQUESTS_PER_MINUTE: '1000000',
      MAESN_SYNC_TOKENS: `application:${token}`,
    });
    const healthUrls: string[] = [];
    const startWorker = async (name: Build) => {
      const health = `${HOST}:${await freePort(HOST)}`;
      healthUrls.push(`http://${health}/readyz`);
      return startNode(name, [source('./worker-process.ts')], {
        ...common,
        MAESN_RETRY_TIME_SCALE: String(TIME_SCALE),
        // What was deleted is found by full walks alone.
        MAESN_SYNC_FULL_WALK_EVERY: '20 seconds',
        MAESN_SYNC_HEALTH_ADDRESS: health,
        MAESN_SYNC_SHUTDOWN_GRACE: '2 seconds',
        TEMPORAL_WORKER_BUILD_ID: name,
        TEMPORAL_WORKER_DEPLOYMENT_NAME: DEPLOYMENT,
      });
    };
    const buildA = await startWorker('build-a');
    const buildB = await startWorker('build-b');

    const connection = await Connection.connect({ address });
    closers.push(() => connection.close());
    const client = new Client({ connection });
    const ready = async () => {
      const answers = await Promise.all(
        [`${backendUrl}/readyz`, ...healthUrls].map((url) => fetch(url, { signal: AbortSignal.timeout(5_000) })),
      );
      return answers.every(({ ok }) => ok);
    };
    const makeCurrent = async (to: Build) => {
      const deployment = { namespace: 'default', deploymentName: DEPLOYMENT };
      const other = BUILDS.find((each) => each !== to) ?? to;
      const made = await until(async () => {
        await client.workflowService.setWorkerDeploymentCurrentVersion({ ...deployment, buildId: to });
        await client.workflowService.setWorkerDeploymentRampingVersion({
          ...deployment,
          buildId: other,
          percentage: 50,
        });
        return true;
      }, READY_LIMIT_MS);
      if (made === undefined) throw new Error(`Temporal does not make ${to} the current build`);
    };
    if ((await until(ready, READY_LIMIT_MS)) === undefined) {
      throw new Error(`The backend or a Worker is not ready; their logs are in ${dir}`);
    }
    await makeCurrent('build-a');
    const store = await openStore({ databaseUrl, sealingKey: [Buffer.from(sealingKey, 'base64')] });
    closers.push(() => store.close());

    const query = (text: string, database = DATABASE) => ask(urlOf(database), text);
    const beforeWrites = (body: string) =>
      query(
        `create or replace function public.fault() returns trigger language plpgsql as $$ begin ${body} return null; end $$`,
      );
    await beforeWrites('');
    for (const table of WRITTEN) {
      await query(
        `create trigger fault before insert or update on maesn_sync.${table} for each statement execute function public.fault()`,
      );
    }

    return {
      run,
      dir,
      sandbox,
      weather,
      application,
      backendUrl,
      api: createApi({ url: backendUrl, token }, readConfig({ env: {} })),
      temporal: client,
      store,
      processes: { postgres, temporal, backend, 'build-a': buildA, 'build-b': buildB },
      secrets: {
        'the API key': sandbox.apiKey,
        'the sealing key': sealingKey,
        'the secret of events': receiver.overrides.MAESN_SYNC_EVENTS_SECRET,
        'a token of the HTTP API': token,
      },
      databaseUrl,
      temporalDatabase: path.join(dir, 'temporal', 'temporal.db'),
      pgDump,
      get logFiles() {
        const temporals = Array.from({ length: temporal.starts - 1 }, (_, index) => `temporal-${index + 2}.log`);
        return [...[...logs.keys()].map((name) => `${name}.log`), ...temporals, 'temporal/temporal-server.log'].map(
          (name) => path.join(dir, name),
        );
      },
      query,
      beforeWrites,
      postgresLog: () => readFile(path.join(dir, 'postgres.log'), 'utf8'),
      ready,
      makeCurrent,
      stopProcesses,
      async close({ keep }) {
        await stopProcesses();
        for (const log of logs.values()) await log.close();
        if (!keep) await rm(dir, { recursive: true, force: true });
      },
    };
  }
}

const source = (file: string) => fileURLToPath(new URL(file, import.meta.url));

/** Where a Temporal CLI of one's own is. */
function temporalPath(): Record<string, string> {
  const { TEMPORAL_CLI_PATH } = process.env;
  return TEMPORAL_CLI_PATH === undefined ? {} : { TEMPORAL_CLI_PATH };
}

function toProgram(watched: ReturnType<typeof spawnWatched>): Program {
  return { watchdogPid: watched.pid, exited: watched.exited, stop: () => watched.end() };
}

async function ask(connectionString: string, text: string): Promise<Record<string, unknown>[]> {
  const client = new Postgres({ connectionString, connectionTimeoutMillis: 5_000 });
  client.on('error', () => undefined);
  await client.connect();
  try {
    return (await client.query<Record<string, unknown>>(text)).rows;
  } finally {
    await client.end();
  }
}
