/** A Temporal dev server as a process of our own, which ends when this process ends, however it ends. */
import { once } from 'node:events';
import { mkdir, open, readFile, rm } from 'node:fs/promises';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { Connection } from '@temporalio/client';
import type { Environment } from '../config.js';
import { addSearchAttributes } from '../search-attributes.js';
import { findTemporalBinary } from './temporal-binary.js';
import type { TemporalBinary } from './temporal-binary.js';
import { freePort } from './temporal-port.js';
import { spawnWatched } from './temporal-watchdog.js';
import type { Watched } from './temporal-watchdog.js';

export interface TemporalServerOptions {
  /** Its database (`temporal.db`) and its log (`temporal-server.log`) are kept here. */
  readonly dataDir: string;
  /** Default `true`. `false`: everything in memory, and no log. */
  readonly persistent?: boolean;
  /** Default `true`. */
  readonly ui?: boolean;
  /** Taken when they are free; else, and by default, any free port. */
  readonly port?: number;
  readonly uiPort?: number;
  /** Further arguments of `temporal server start-dev`. */
  readonly extraArgs?: readonly string[];
  /** Where the Temporal CLI is looked for, and what the server is given as its environment. */
  readonly env: Environment;
  readonly onProgress?: (line: string) => void;
}

export interface TemporalServer {
  /** `host:port` of its gRPC service. */
  readonly address: string;
  readonly uiUrl: string | undefined;
  readonly namespace: 'default';
  readonly binary: TemporalBinary;
  /** Of the process that ends the server when this one ends. */
  readonly watchdogPid: number;
  /** Resolves with the server's exit code when it has ended, asked to or not; `null` when it was killed from outside. */
  readonly exited: Promise<number | null>;
  /** Resolves when the server has ended. */
  stop(): Promise<void>;
}

/** Without them, servers before 1.31 ignore priorities, and all of today ignore fairness keys (see `spec/fairness.ts`). */
const FAIRNESS_ARGS = ['matching.useNewMatcher=true', 'matching.enableFairness=true'].flatMap((value) => [
  '--dynamic-config-value',
  value,
]);

const HOST = '127.0.0.1';
const NAMESPACE = 'default';
/** A start takes half a second; a cold machine takes its time. A server that has died is noticed at once. */
const START_LIMIT_MS = 60_000;

export async function startTemporalServer(options: TemporalServerOptions): Promise<TemporalServer> {
  const { dataDir, env, onProgress = () => undefined } = options;
  const binary = await findTemporalBinary({ env, onProgress });
  await mkdir(dataDir, { recursive: true, mode: 0o700 });
  // Once more, with other ports: any port, also of those that the server finds itself, may be gone when it binds it.
  return startOnce(binary, options).catch(() => startOnce(binary, options));
}

async function startOnce(binary: TemporalBinary, options: TemporalServerOptions): Promise<TemporalServer> {
  const { dataDir, persistent = true, ui = true, extraArgs = [], env } = options;
  const port = await freePort(HOST, options.port);
  const uiPort = ui ? await freePort(HOST, options.uiPort) : undefined;
  const address = `${HOST}:${port}`;
  const args = [
    ...`server start-dev --ip ${HOST} --port ${port} --log-level error --log-format json`.split(' '),
    ...(uiPort === undefined ? ['--headless'] : ['--ui-port', String(uiPort)]),
    ...(persistent ? ['--db-filename', path.join(dataDir, 'temporal.db')] : []),
    ...FAIRNESS_ARGS,
    ...extraArgs,
  ];

  const logFile = path.join(dataDir, 'temporal-server.log');
  const log = await open(logFile, 'w');
  try {
    const server = spawnWatched([binary.path, ...args], { env, stderr: log.fd });
    const problem = await untilHealthy(address, server);
    if (problem !== undefined) {
      await server.end();
      const said = (await readFile(logFile, 'utf8')).trim().slice(-2_000) || 'it said nothing';
      throw new Error(`The Temporal dev server (${binary.path}) ${problem}: ${said}`);
    }
    try {
      await addTo(address);
    } catch (error) {
      await server.end();
      throw error;
    }
    server.unref();
    return {
      address,
      uiUrl: uiPort === undefined ? undefined : `http://${HOST}:${uiPort}`,
      namespace: NAMESPACE,
      binary,
      watchdogPid: server.pid,
      exited: server.exited,
      stop: () => server.end(),
    };
  } finally {
    await log.close();
    if (!persistent) await rm(logFile, { force: true });
  }
}

/** Resolves with what went wrong, or with nothing when the server answers. */
async function untilHealthy(address: string, server: Watched): Promise<string | undefined> {
  const over = new AbortController();
  const limit = setTimeout(() => over.abort(), START_LIMIT_MS);
  try {
    return await Promise.race([
      // It speaks only once it has its port: asked before, another server that took the port could answer for it.
      server.spoke.then(() => untilAnswering(address, over.signal)),
      server.exited.then((code) => `ended while it started (${code === null ? 'killed' : `exit code ${code}`})`),
      once(over.signal, 'abort').then(() => `does not answer after ${START_LIMIT_MS / 1_000} seconds`),
    ]);
  } finally {
    clearTimeout(limit);
    over.abort();
  }
}

async function untilAnswering(address: string, signal: AbortSignal): Promise<undefined> {
  while (!signal.aborted && !(await answers(address))) await sleep(50);
}

/** Not by flags: those are read once, when a database is made. */
async function addTo(address: string): Promise<void> {
  const connection = await Connection.connect({ address, connectTimeout: 10_000 });
  try {
    await addSearchAttributes(connection, NAMESPACE);
  } finally {
    await connection.close();
  }
}

async function answers(address: string): Promise<boolean> {
  try {
    const connection = await Connection.connect({ address, connectTimeout: 2_000 });
    try {
      await connection.withDeadline(Date.now() + 5_000, () =>
        connection.workflowService.describeNamespace({ namespace: NAMESPACE }),
      );
      return true;
    } finally {
      await connection.close();
    }
  } catch {
    return false;
  }
}
