/** A Redis server of Debian's package, set as BullMQ recommends for production: an append-only file, and nothing evicted. */
import { execFileSync } from 'node:child_process';
import { mkdtemp, open, rm } from 'node:fs/promises';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import { freePort } from '../../src/embedded/temporal-port.js';
import { spawnWatched } from '../../src/embedded/temporal-watchdog.js';

export interface RedisServer {
  readonly url: string;
  stop(): Promise<void>;
}

const START_LIMIT_MS = 30_000;

export async function startRedis(): Promise<RedisServer> {
  requireRedis();
  const dir = await mkdtemp(path.join(tmpdir(), 'maesn-sync-bench-redis-'));
  const port = await freePort('127.0.0.1');
  const log = await open(path.join(dir, 'log'), 'w');
  const settings = [
    '--save',
    '',
    '--appendonly',
    'yes',
    '--appendfsync',
    'everysec',
    '--maxmemory-policy',
    'noeviction',
  ];
  const server = spawnWatched(
    ['redis-server', '--bind', '127.0.0.1', '--port', String(port), '--dir', dir, '--daemonize', 'no', ...settings],
    { env: process.env, stderr: log.fd },
  );
  const stop = async () => {
    await server.end();
    await log.close();
    await rm(dir, { recursive: true, force: true });
  };
  try {
    await untilListening(port);
  } catch (error) {
    await stop();
    throw error;
  }
  return { url: `redis://127.0.0.1:${port}`, stop };
}

function requireRedis(): void {
  try {
    execFileSync('redis-server', ['--version'], { stdio: 'ignore' });
  } catch {
    throw new Error('There is no redis-server for BullMQ: apt-get install redis-server');
  }
}

async function untilListening(port: number): Promise<void> {
  for (const until = Date.now() + START_LIMIT_MS; ;) {
    const socket = connect(port, '127.0.0.1');
    try {
      await once(socket, 'connect');
      return;
    } catch (error) {
      if (Date.now() > until) throw error;
      await sleep(100);
    } finally {
      socket.destroy();
    }
  }
}
