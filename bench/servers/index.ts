/** All that the variants share: one Postgres, one Temporal, one Redis, one page source. */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { startPageSource } from '../page-source-client.js';
import type { PageSource } from '../page-source-client.js';
import { startPostgres } from './postgres.js';
import type { PostgresServer } from './postgres.js';
import { startRedis } from './redis.js';
import type { RedisServer } from './redis.js';
import { startTemporal } from './temporal.js';
import type { BenchTemporal } from './temporal.js';
import { bundleWorkflows } from '../../src/workflow-bundle.js';

export interface Servers {
  readonly postgres: PostgresServer;
  readonly temporal: BenchTemporal;
  readonly redis: RedisServer;
  readonly pageSource: PageSource;
  /** Workflow code, bundled as the build does it, by the name of its variant. */
  readonly workflowBundles: Readonly<Record<string, string>>;
  stop(): Promise<void>;
}

const WORKFLOWS = {
  'maesn-sync': '../../src/workflows/index.ts',
  'activity-per-page': '../variants/activity-per-page-workflow.ts',
};

export async function startServers(onProgress: (line: string) => void): Promise<Servers> {
  const closers: (() => Promise<void>)[] = [];
  const stop = async () => {
    for (const close of closers.splice(0).toReversed()) await close();
  };
  const started = async <Server extends { stop(): Promise<void> }>(starting: Promise<Server>): Promise<Server> => {
    const server = await starting;
    closers.push(() => server.stop());
    return server;
  };
  try {
    const redis = await started(startRedis());
    const postgres = await started(startPostgres());
    const temporal = await started(startTemporal(onProgress));
    const pageSource = await started(startPageSource());
    const dir = await mkdtemp(path.join(tmpdir(), 'maesn-sync-bench-'));
    closers.push(() => rm(dir, { recursive: true, force: true }));
    return { redis, postgres, temporal, pageSource, workflowBundles: await writeBundles(dir), stop };
  } catch (error) {
    await stop();
    throw error;
  }
}

async function writeBundles(dir: string): Promise<Record<string, string>> {
  const bundles: Record<string, string> = {};
  for (const [name, source] of Object.entries(WORKFLOWS)) {
    const file = path.join(dir, `${name}.js`);
    await writeFile(file, await bundleWorkflows({ workflowsPath: fileURLToPath(new URL(source, import.meta.url)) }));
    bundles[name] = file;
  }
  return bundles;
}
