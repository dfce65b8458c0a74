/** A Temporal dev server as a process of our own, which ends when this process ends, however it ends. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { open, readFile } from 'node:fs/promises';
import { Socket, createServer } from 'node:net';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { Connection } from '@temporalio/client';
import type { Environment } from '../config.js';
import { findTemporalBinary } from './temporal-binary.js';
import type { TemporalBinary } from './temporal-binary.js';

export interface TemporalServerOptions {
  /** Its database and log are kept here. */
  readonly dataDir: string;
  /** `false`: everything in memory. */
  readonly persistent?: boolean;
  readonly ui?: boolean;
  /** Taken when they are free; else, and by default, any free port. */
  readonly port?: number;
  readonly uiPort?: number;
  readonly extraArgs?: readonly string[];
  readonly env: Environment;
  readonly onProgress: (line: string) => void;
}

export interface TemporalServer {
  readonly address: string;
  readonly uiUrl: string | undefined;
  readonly namespace: string;
  readonly binary: TemporalBinary;
  /** Of the process that ends the server when this one ends. */
  readonly watchdogPid: number;
  stop(): Promise<void>;
}

const HOST = '127.0.0.1';
const NAMESPACE = 'default';
/** A cold machine takes its time; a server that has died is noticed at once. */
const START_LIMIT_MS = 90_000;

/**
 * Runs between us and the server: its standard input is a pipe that we hold and never write to. When we end, even
 * by `kill -9`, the pipe ends, and with it the server. Plain JavaScript, so that it runs without any loader.
 */
const WATCHDOG = `
const { spawn } = require('node:child_process');
const [binary, ...args] = process.argv.slice(1);
const server = spawn(binary, args, { stdio: ['ignore', 'ignore', 'inherit'] });
const stop = () => { server.kill('SIGTERM'); setTimeout(() => server.kill('SIGKILL'), 5000).unref(); };
server.on('error', (error) => { console.error(error.message); process.exit(1); });
server.on('exit', (code) => process.exit(code ?? 1));
process.stdin.on('end', stop).on('error', stop).resume();
process.on('SIGTERM', stop).on('SIGINT', stop);
`;

export async function startTemporalServer(options: TemporalServerOptions): Promise<TemporalServer> {
  const { dataDir, persistent = true, ui = true, extraArgs = [], env, onProgress } = options;
  const binary = await findTemporalBinary({ env, onProgress });
  const port = await freePort(options.port);
  const uiPort = ui ? await freePort(options.uiPort) : undefined;
  const args = [
    'server',
    'start-dev',
    '--ip',
    HOST,
    '--port',
    String(port),
    '--log-level',
    'error',
    '--namespace',
    NAMESPACE,
    ...(uiPort === undefined ? ['--headless'] : ['--ui-port', String(uiPort)]),
    ...(persistent ? ['--db-filename', path.join(dataDir, 'temporal.db')] : []),
    ...extraArgs,
  ];

  const logFile = path.join(dataDir, 'temporal-server.log');
  const log = await open(logFile, 'w');
  const watchdog = spawn(process.execPath, ['-e', WATCHDOG, binary.path, ...args], {
    stdio: ['pipe', 'ignore', log.fd],
    // A group of its own: Ctrl-C is for us, and the Worker still needs the server while it shuts down.
    detached: true,
    env: { ...env },
  });
  const exited = once(watchdog, 'exit');
  exited.catch(() => undefined);
  watchdog.unref();
  // The pipe would keep this process alive, which is the very thing that must end first.
  const { stdin } = watchdog;
  if (stdin instanceof Socket) stdin.unref();
  const stop = async () => {
    stdin?.end();
    watchdog.ref();
    if (watchdog.exitCode === null && watchdog.signalCode === null) await exited;
  };

  try {
    await Promise.race([
      untilHealthy(`${HOST}:${port}`),
      exited.then(async () => {
        const said = (await readFile(logFile, 'utf8').catch(() => '')).trim().slice(-1_000);
        throw new Error(
          `The Temporal dev server (${binary.path}) ended while it started: ${said || 'it said nothing'}`,
        );
      }),
    ]);
  } catch (error) {
    await stop();
    throw error;
  } finally {
    await log.close();
  }
  return {
    address: `${HOST}:${port}`,
    uiUrl: uiPort === undefined ? undefined : `http://${HOST}:${uiPort}`,
    namespace: NAMESPACE,
    binary,
    watchdogPid: watchdog.pid ?? 0,
    stop,
  };
}

async function untilHealthy(address: string): Promise<void> {
  const until = Date.now() + START_LIMIT_MS;
  for (;;) {
    try {
      const connection = await Connection.connect({ address, connectTimeout: 2_000 });
      try {
        await connection.withDeadline(Date.now() + 5_000, () =>
          connection.workflowService.describeNamespace({ namespace: NAMESPACE }),
        );
        return;
      } finally {
        await connection.close();
      }
    } catch (error) {
      if (Date.now() > until)
        throw new Error(`The Temporal dev server at ${address} does not answer`, { cause: error });
      await sleep(100);
    }
  }
}

/** The preferred port when it is free, else one that the system gives. */
async function freePort(preferred = 0): Promise<number> {
  const probe = createServer();
  try {
    await new Promise<void>((resolve, reject) => {
      probe.once('error', reject).listen(preferred, HOST, resolve);
    });
    const address = probe.address();
    if (address === null || typeof address === 'string') throw new Error('no port');
    return address.port;
  } catch (error) {
    if (preferred === 0) throw error;
    return await freePort();
  } finally {
    probe.close();
  }
}
