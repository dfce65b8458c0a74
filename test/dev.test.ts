/** `maesn-sync dev` as a process: where it is found, and how it ends. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { createServer } from 'node:http';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { text } from 'node:stream/consumers';
import { expect, inject, it, onTestFinished } from 'vitest';
import { startSandbox } from '../sandbox/index.js';
import { freePort } from '../src/embedded/temporal-port.js';
import { waitFor } from './support/wait.js';

const ROOT = path.resolve(import.meta.dirname, '..');

/** As `npm start` does, with all but Temporal of its own. */
async function start(env: Readonly<Record<string, string>>) {
  const [dir, sandbox] = await Promise.all([mkdtemp(path.join(tmpdir(), 'maesn-sync-dev-')), startSandbox()]);
  const child = spawn('npm', ['start', '--silent'], {
    cwd: ROOT,
    // Of its own group: npm can end before what it has started.
    detached: true,
    env: {
      PATH: process.env['PATH'],
      HOME: process.env['HOME'],
      TEMPORAL_ADDRESS: inject('temporalAddress'),
      MAESN_SYNC_TASK_QUEUE: path.basename(dir),
      MAESN_SYNC_DATA_DIR: dir,
      MAESN_API_KEY: sandbox.apiKey,
      MAESN_BASE_URL: sandbox.url,
      ...env,
    },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const [exited, closed, errors] = [once(child, 'exit'), once(child, 'close'), text(child.stderr)];
  let stdout = '';
  child.stdout.on('data', (chunk: Buffer) => (stdout += chunk.toString('utf8')));
  onTestFinished(async () => {
    try {
      if (child.pid !== undefined) process.kill(-child.pid, 'SIGKILL');
    } catch {
      // All of it has ended.
    }
    await sandbox.close();
    await rm(dir, { recursive: true, force: true });
  });
  return { child, exited, closed, errors, stdout: () => stdout };
}

/** Taken from now on, whether by us or by somebody else. */
async function take(port: number): Promise<number> {
  const server = createServer().listen(port, '127.0.0.1');
  onTestFinished(() => void server.close());
  await once(server, 'listening').catch(() => undefined);
  const address = server.address();
  return typeof address === 'object' && address !== null ? address.port : port;
}

it('npm start says where it is when its port is taken, and ends as a whole when npm is told to', async () => {
  await take(8080);
  const healthPort = await freePort('127.0.0.1');
  const { child, exited, closed, stdout } = await start({ MAESN_SYNC_HEALTH_ADDRESS: `127.0.0.1:${healthPort}` });
  await Promise.race([exited, waitFor('it is up', () => stdout().includes('Press Ctrl-C'))]);
  const [, url] = /http:\/\/127\.0\.0\.1:8080 is taken by another program: .*MAESN_SYNC_URL=(\S+)/.exec(stdout()) ?? [];
  expect(url, stdout()).toMatch(/^http:\/\/127\.0\.0\.1:\d+$/);
  expect((await fetch(`${url}/readyz`)).status).toBe(200);
  expect(await (await fetch(`http://127.0.0.1:${healthPort}/readyz`)).json()).toEqual({
    state: 'RUNNING',
    storeAnswers: true,
  });

  child.kill('SIGTERM');
  expect(await exited).toEqual([0, null]);
  await closed;
  expect(stdout()).toContain('Stopping');
});

it('npm start does not take another port than the one that was named', async () => {
  const port = await take(0);
  const { exited, errors } = await start({ MAESN_SYNC_ADDRESS: `127.0.0.1:${port}` });
  expect(await exited).toEqual([1, null]);
  expect(await errors).toMatch(new RegExp(`check MAESN_SYNC_ADDRESS \\(127.0.0.1:${port}\\): .*EADDRINUSE`));
});
