/** Runs a program that ends when this process ends, however it ends: a watchdog stands between the two. */
import { spawn } from 'node:child_process';
import { Socket } from 'node:net';
import type { Environment } from '../config.js';

/**
 * Its standard input is a pipe that we hold and never write to. When we end, even by `kill -9`, the system closes the
 * pipe, and the watchdog ends the program. Where there is setpriv (Linux), the program also ends when the watchdog
 * itself is killed, as by `killall -9 node`. Plain JavaScript in a string: it runs without a loader and needs no path.
 */
const WATCHDOG = `
const { spawn, spawnSync } = require('node:child_process');
const tie = ['setpriv', '--pdeathsig', 'KILL'];
const tied = spawnSync(tie[0], [...tie.slice(1), 'true']).status === 0;
const [file, ...args] = [...(tied ? tie : []), ...process.argv.slice(1)];
const program = spawn(file, args, { stdio: ['ignore', 'inherit', 'inherit'] });
const end = () => { program.kill('SIGTERM'); setTimeout(() => program.kill('SIGKILL'), 10_000).unref(); };
program.on('error', (error) => { console.error(error.message); process.exit(1); });
program.on('exit', (code) => process.exit(code ?? 1));
process.stdin.once('end', end).once('error', end).resume();
for (const signal of ['SIGTERM', 'SIGINT', 'SIGHUP']) process.once(signal, end);
`;

export interface Watched {
  /** Of the watchdog; 0 when it could not be started. */
  readonly pid: number;
  /** Resolves when the program first writes to its standard output. */
  readonly spoke: Promise<void>;
  /** The exit code; `null` when the watchdog was killed. Rejects when the watchdog could not be started. */
  readonly exited: Promise<number | null>;
  /** From now on, lets this process end without waiting for the program. */
  unref(): void;
  /** Ends the program; resolves when it has ended. */
  end(): Promise<void>;
}

export interface SpawnWatchedOptions {
  readonly env: Environment;
  /** An open file that takes what the program writes to its standard error. */
  readonly stderr: number;
  /** Default: that of this process. */
  readonly cwd?: string;
}

export function spawnWatched(command: readonly string[], { env, stderr, cwd }: SpawnWatchedOptions): Watched {
  const watchdog = spawn(process.execPath, ['-e', WATCHDOG, ...command], {
    stdio: ['pipe', 'pipe', stderr],
    // A group of its own: Ctrl-C is for us, and the Worker still needs the server while it shuts down.
    detached: true,
    ...(cwd === undefined ? {} : { cwd }),
    // The loaders and debuggers of this process are not for the watchdog.
    env: { ...env, NODE_OPTIONS: undefined },
  });
  const { stdin, stdout } = watchdog;
  const exited = new Promise<number | null>((resolve, reject) => {
    watchdog.once('exit', resolve).once('error', reject);
  });
  // Whoever awaits it sees the error; whoever does not must not be ended by it.
  exited.catch(() => undefined);
  const spoke = new Promise<void>((resolve) => {
    stdout?.once('data', () => resolve()).resume();
  });
  // Closing a pipe whose other end is gone is no error: `exited` tells.
  stdin?.on('error', () => undefined);
  return {
    pid: watchdog.pid ?? 0,
    spoke,
    exited,
    unref() {
      watchdog.unref();
      for (const pipe of [stdin, stdout]) if (pipe instanceof Socket) pipe.unref();
    },
    async end() {
      stdin?.end();
      watchdog.ref();
      await exited.catch(() => undefined);
    },
  };
}
