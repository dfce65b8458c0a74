/** What connections cost of which nothing is wanted, and how fast they are back. */
import { setTimeout as sleep } from 'node:timers/promises';
import { z } from 'zod';
import { startChild } from '../child-process.js';
import { now } from '../clock.js';
import { REFUSED_KEY } from '../page-source-client.js';
import type { PageSource } from '../page-source-client.js';
import { median, toMarkdown } from '../report.js';
import { MAESN_SYNC } from '../variants/index.js';
import type { VariantTask } from '../variants/task.js';
import type { BenchCase, BenchOptions } from './case.js';

interface IdleFigures {
  readonly emptyMib: number;
  readonly idleMib: number;
  readonly cpuShare: number;
  readonly syncNowMs: number;
  readonly reauthorizedMs: number;
}

const idleUsage = z.object({ rssMib: z.number(), cpuSeconds: z.number() });

let measured = 0;

export const idleCase: BenchCase = {
  name: 'idle',
  group: 'idle',
  title: 'Connections that wait',
  async run(options) {
    const runs: IdleFigures[] = [];
    for (let run = 0; run < options.runs; run += 1) {
      const figures = await measureIdle(options);
      runs.push(figures);
      options.onProgress(`idle, run ${run + 1}: ${JSON.stringify(figures)}`);
    }
    const { idle, awaiting, idleForSeconds } = options.sizes;
    const of = (name: keyof IdleFigures) => median(runs.map((figures) => figures[name]));
    const intro = `${idle.toLocaleString('en')} connections between two cycles of their sync, and ${awaiting.toLocaleString('en')} whose end user must sign in again; one Worker.`;
    const table = toMarkdown([
      ['', 'measured'],
      ['memory of the Worker without connections', `${Math.round(of('emptyMib'))} MiB`],
      ['memory of the Worker with them', `${Math.round(of('idleMib'))} MiB`],
      [`CPU of the Worker, over ${idleForSeconds} s`, `${(of('cpuShare') * 100).toFixed(1)} % of a core`],
      ['from `syncNow` to the first request', `${of('syncNowMs').toFixed(0)} ms`],
      ['from the new login to the first page asked for', `${of('reauthorizedMs').toFixed(0)} ms`],
    ]);
    return { text: `${intro}\n\n${table}`, claims: [] };
  },
};

async function measureIdle({ servers, sizes, onProgress }: BenchOptions): Promise<IdleFigures> {
  const { postgres, pageSource, temporal } = servers;
  measured += 1;
  const name = `bench-idle-${measured}`;
  const task: VariantTask = {
    ...MAESN_SYNC,
    pageSourceUrl: pageSource.url,
    databaseUrl: await postgres.createDatabase(name),
    systemDatabaseUrl: '',
    temporalAddress: temporal.address,
    redisUrl: '',
    name,
    workflowBundles: servers.workflowBundles,
    connections: [],
  };
  const child = startChild('./idle-connections.ts', task);
  const usage = () => child.call('usage', undefined, idleUsage);
  try {
    const empty = await usage();
    await pageSource.set({ records: 100, delayMs: 0 });
    const idle = ids(sizes.idle, 'idle');
    const awaiting = ids(sizes.awaiting, 'awaiting');
    await child.call('start', Object.fromEntries(idle.map((id) => [id, id])), z.unknown());
    await child.call('start', Object.fromEntries(awaiting.map((id) => [id, REFUSED_KEY + id])), z.unknown());
    onProgress(`idle: ${idle.length + awaiting.length} connections are started`);
    await untilQuiet(usage);

    const before = await usage();
    await sleep(sizes.idleForSeconds * 1_000);
    const after = await usage();
    const syncNowMs: number[] = [];
    for (const id of idle.slice(0, sizes.wakes)) {
      syncNowMs.push(await wake(pageSource, id, () => child.call('syncNow', id, z.unknown())));
    }
    const reauthorizedMs: number[] = [];
    for (const id of awaiting.slice(0, sizes.wakes)) {
      reauthorizedMs.push(await wake(pageSource, id, () => child.call('reauthorized', id, z.unknown())));
    }
    return {
      emptyMib: empty.rssMib,
      idleMib: after.rssMib,
      cpuShare: (after.cpuSeconds - before.cpuSeconds) / sizes.idleForSeconds,
      syncNowMs: median(syncNowMs),
      reauthorizedMs: median(reauthorizedMs),
    };
  } finally {
    await child.kill();
    await postgres.dropDatabase(name);
  }
}

function ids(count: number, prefix: string): string[] {
  return Array.from({ length: count }, (_, index) => `${prefix}-${index + 1}`);
}

/** The account key of each is its own id, when it has one that is accepted. */
async function wake(pageSource: PageSource, accountKey: string, call: () => Promise<unknown>): Promise<number> {
  await pageSource.set({ records: 100, delayMs: 0 });
  const calledAt = now();
  await call();
  for (;;) {
    const askedAt = (await pageSource.figures()).firstAt[accountKey];
    if (askedAt !== undefined) return askedAt - calledAt;
    await sleep(10);
  }
}

/** Until all cycles are over: a Worker that has nothing to do uses hardly any CPU. */
async function untilQuiet(usage: () => Promise<z.infer<typeof idleUsage>>): Promise<void> {
  const SECONDS = 5;
  for (;;) {
    const { cpuSeconds } = await usage();
    await sleep(SECONDS * 1_000);
    if ((await usage()).cpuSeconds - cpuSeconds < 0.05 * SECONDS) return;
  }
}
