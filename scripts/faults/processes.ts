/** Real processes: those that belong to a run, and one that is started again whenever it ends. */
import { execFile } from 'node:child_process';
import { readFile, readdir, readlink } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import { until } from './until.js';

/** In the environment of everything that a run starts. */
export const MARKER = 'MAESN_SYNC_FAULTS_RUN';

/** How long a process manager leaves alone what has ended. */
const RESTART_AFTER_MS = 500;
const START_LIMIT_MS = 10_000;

export interface Program {
  /** Of the process that stands between the program and us. */
  readonly watchdogPid: number;
  readonly exited: Promise<unknown>;
  stop(): Promise<void>;
}

export interface Supervised {
  readonly name: string;
  /** How often it was started. */
  readonly starts: number;
  /** How often it has ended without having been killed by us. */
  readonly endedByItself: number;
  /** `kill -9` of the program itself; resolves when it is gone. It is started again. */
  kill(): Promise<void>;
  stop(): Promise<void>;
}

/** As a process manager does: whatever ends is started again. Resolves when it has been started once. */
export async function supervise(name: string, start: () => Promise<Program>): Promise<Supervised> {
  let program: Program | undefined = await start();
  let starts = 1;
  let endedByItself = 0;
  let killing = false;
  const stopping = new AbortController();

  const ended = (async () => {
    while (!stopping.signal.aborted) {
      await program?.exited.catch(() => undefined);
      program = undefined;
      if (stopping.signal.aborted) return;
      if (!killing) endedByItself += 1;
      killing = false;
      while (program === undefined && !stopping.signal.aborted) {
        await sleep(RESTART_AFTER_MS);
        program = await start().catch(() => undefined);
      }
      starts += 1;
    }
    await program?.stop();
  })();

  /** A program that is just being started again is waited for. */
  async function running(): Promise<Program> {
    const found = program;
    if (found !== undefined) return found;
    await sleep(50);
    return running();
  }

  return {
    name,
    get starts() {
      return starts;
    },
    get endedByItself() {
      return endedByItself;
    },
    async kill() {
      const { watchdogPid, exited } = await running();
      let isOver = false;
      const over = exited.catch(() => undefined).finally(() => void (isOver = true));
      // A watchdog that has just begun has not started it yet; one whose program was just killed is about to end.
      const pid = await until(async () => (isOver ? 'gone' : (await childrenOf(watchdogPid))[0]), START_LIMIT_MS, 20);
      if (pid === undefined) throw new Error(`${name} has no process to kill`);
      if (pid === 'gone') return;
      killing = true;
      process.kill(pid, 'SIGKILL');
      await over;
    },
    async stop() {
      stopping.abort();
      await program?.stop();
      await ended;
    },
  };
}

async function childrenOf(pid: number): Promise<number[]> {
  const { stdout } = await promisify(execFile)('ps', ['-A', '-o', 'pid=,ppid=']);
  return stdout.split('\n').flatMap((line) => {
    const [child, parent] = line.trim().split(/\s+/).map(Number);
    return parent === pid && child !== undefined ? [child] : [];
  });
}

/**
 * Every process that carries the marker of the run in its environment, or has the folder of the run as its own: Postgres writes its
 * title over its environment. Without this process.
 */
export async function processesOf(run: string, dir: string): Promise<string[]> {
  const pids = (await readdir('/proc')).filter((name) => /^\d+$/.test(name) && Number(name) !== process.pid);
  const found = await Promise.all(
    pids.map(async (pid) => {
      const [environment, cwd, command] = await Promise.all([
        readFile(`/proc/${pid}/environ`, 'latin1').catch(() => ''),
        readlink(`/proc/${pid}/cwd`).catch(() => ''),
        readFile(`/proc/${pid}/cmdline`, 'latin1').catch(() => ''),
      ]);
      const isOurs = environment.includes(`${MARKER}=${run}`) || cwd === dir || cwd.startsWith(`${dir}/`);
      return isOurs ? [`${pid} ${command.replaceAll('\0', ' ').slice(0, 100)}`] : [];
    }),
  );
  return found.flat();
}
