/** One variant, once: databases and a process of its own, and what it has cost. */
import { setTimeout as sleep } from 'node:timers/promises';
import { Client } from 'pg';
import { z } from 'zod';
import { startChild } from './child-process.js';
import type { Child } from './child-process.js';
import type { Measurement } from './report.js';
import { PAGE_LIMIT } from '../src/spec/resources.js';
import type { Servers } from './servers/index.js';
import type { TemporalCost } from './servers/temporal.js';
import { tableOf } from './variants/index.js';
import type { Variant } from './variants/index.js';
import type { VariantTask } from './variants/task.js';

export interface Work {
  readonly connections: number;
  /** Of every connection. */
  readonly records: number;
  readonly delayMs: number;
  /** What of it is measured. */
  readonly part: 'first pull' | 'pull without changes' | 'second half after kill -9';
}

/** Pulls without changes in one run: a Worker makes them all day, and one alone is over too soon to be measured. */
export const PULLS_AGAIN = 20;

const pulled = z.object({ seconds: z.number(), cpuSeconds: z.number(), peakMib: z.number() });
const NO_COST: TemporalCost = { events: 0, actions: 0 };

let measured = 0;

export async function measure(servers: Servers, variant: Variant, work: Work): Promise<Measurement> {
  const { postgres, temporal, pageSource } = servers;
  measured += 1;
  const name = `bench-${measured}-${variant.name}`;
  const systemName = `${name}-system`;
  const task: VariantTask = {
    module: variant.module,
    pagesAtOnce: variant.pagesAtOnce,
    pageSourceUrl: pageSource.url,
    databaseUrl: await postgres.createDatabase(name),
    systemDatabaseUrl: await postgres.createDatabase(systemName),
    temporalAddress: temporal.address,
    redisUrl: servers.redis.url,
    name,
    workflowBundles: servers.workflowBundles,
    connections: Array.from({ length: work.connections }, (_, index) => `c-${index + 1}`),
  };
  const usesTemporal = variant.kind === 'maesn-sync' || variant.kind === 'Temporal';
  const cost = async () => (usesTemporal ? temporal.cost(name, variant.heartbeats) : NO_COST);
  let before = NO_COST;
  const children: Child[] = [];
  const start = async () => {
    const child = startChild('./variant.ts', task);
    children.push(child);
    await child.call('ready', undefined, z.boolean());
    return child;
  };
  const reset = async () => {
    await pageSource.set(work);
    await postgres.resetStatements();
  };
  const MEASURE: Readonly<Record<Work['part'], () => Promise<z.infer<typeof pulled>>>> = {
    'first pull': async () => {
      const child = await start();
      await reset();
      return child.call('pull', undefined, pulled);
    },
    'pull without changes': async () => {
      const child = await start();
      await pageSource.set({ ...work, delayMs: 0 });
      await child.call('pull', undefined, pulled);
      before = await cost();
      await reset();
      return child.call('pullAgain', PULLS_AGAIN, pulled);
    },
    'second half after kill -9': async () => {
      const first = await start();
      await reset();
      first.call('pull', undefined, pulled).catch(() => undefined);
      const half = (work.connections * work.records) / PAGE_LIMIT / 2;
      while ((await pageSource.figures()).requests < half) await sleep(5);
      await first.kill();
      const begun = performance.now();
      const second = await start();
      const figures = await second.call('pull', undefined, pulled);
      return { ...figures, seconds: (performance.now() - begun) / 1_000 };
    },
  };

  try {
    const figures = await MEASURE[work.part]();
    const { calls, seconds } = await postgres.statements([name, systemName]);
    const { requests, pages } = await pageSource.figures();
    await requireAll(task.databaseUrl, variant, work);
    const after = await cost();
    const isAgain = work.part === 'pull without changes';
    const times = isAgain ? PULLS_AGAIN : 1;
    await children.at(-1)?.call('close', undefined, z.unknown());
    await children.at(-1)?.end();
    return {
      ...figures,
      requests: requests / times,
      // Each pull without changes asks for the same page.
      repeated: isAgain ? 0 : requests - pages,
      statements: calls / times,
      databaseSeconds: seconds / times,
      events: (after.events - before.events) / times,
      actions: (after.actions - before.actions) / times,
    };
  } finally {
    for (const child of children) await child.kill();
    await postgres.dropDatabase(name);
    await postgres.dropDatabase(systemName);
  }
}

/** A pull that has lost or doubled a record has not been fast, but wrong. */
async function requireAll(databaseUrl: string, variant: Variant, { connections, records }: Work): Promise<void> {
  const client = new Client({ connectionString: databaseUrl });
  await client.connect();
  try {
    const { rows } = await client.query<{ rows: number; keys: number }>(
      `select count(*)::int as rows, count(distinct (connection_id, key))::int as keys from ${tableOf(variant)}`,
    );
    const found = rows[0] ?? { rows: 0, keys: 0 };
    const expected = connections * records;
    if (found.rows !== expected || found.keys !== expected) {
      throw new Error(`${variant.name} has ${found.rows} rows and ${found.keys} keys instead of ${expected}`);
    }
  } finally {
    await client.end();
  }
}
