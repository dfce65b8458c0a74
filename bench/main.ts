/** maesn-sync measured against the ways in which it is usually done; writes docs/benchmarks.md. */
import { execFileSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { defineCommand, runMain } from 'citty';
import { CASES } from './cases/index.js';
import type { BenchCase, CaseResult, Sizes } from './cases/case.js';
import { machine, writeSections } from './document.js';
import { toShows } from './report.js';
import { startServers } from './servers/index.js';
import { VARIANTS } from './variants/index.js';

const SIZES: Sizes = {
  records: 100_000,
  fleet: 500,
  idle: 5_000,
  awaiting: 1_000,
  idleForSeconds: 60,
  wakes: 20,
  growth: [10_000, 100_000, 1_000_000],
};

const QUICK: Sizes = {
  records: 2_000,
  fleet: 20,
  idle: 30,
  awaiting: 10,
  idleForSeconds: 3,
  wakes: 3,
  growth: [1_000, 2_000, 5_000],
};

const names = (of: readonly { readonly name: string }[]) => of.map(({ name }) => name).join(', ');

const command = defineCommand({
  meta: {
    name: 'bench',
    description:
      'Measures maesn-sync and the ways in which it is usually done, one after the other, on the same servers, and writes docs/benchmarks.md. ' +
      'All of it takes two to three hours; --quick, seven minutes. Exits with 1 when something is not as it must be. ' +
      'Needs the Debian packages postgresql and redis-server.',
  },
  args: {
    runs: { type: 'string', default: '3', description: 'Of each case; the medians count', valueHint: 'number' },
    cases: { type: 'string', description: `Some of: pull, ${names(CASES)}. Default: all`, valueHint: 'name,name' },
    variants: { type: 'string', description: `Some of: ${names(VARIANTS)}. Default: all`, valueHint: 'name,name' },
    records: { type: 'string', description: 'Of one connection. Default: 100000', valueHint: 'number' },
    quick: { type: 'boolean', default: false, description: 'Small numbers, one run: only whether everything runs' },
    keep: { type: 'boolean', default: false, description: 'Leaves the servers running until Ctrl-C' },
  },
  run: async ({ args }) => {
    const cases = chosen(CASES, args.cases, ({ name, group }, wanted) => name === wanted || group === wanted);
    const variants = chosen(VARIANTS, args.variants, ({ name }, wanted) => name === wanted);
    const sizes = args.quick ? QUICK : SIZES;
    const records = args.records === undefined ? sizes.records : positive('records', args.records);
    const runs = args.quick ? 1 : positive('runs', args.runs);
    installCompetitors();

    const servers = await startServers(log);
    process.once('SIGINT', () => void servers.stop().finally(() => process.exit(130)));
    const results = new Map<BenchCase, CaseResult>();
    try {
      for (const one of cases) {
        const onProgress = log;
        results.set(one, await one.run({ servers, runs, sizes: { ...sizes, records }, variants, onProgress }));
        console.log(`\n${toText(one, results.get(one))}\n`);
        // What has been measured is kept, whatever becomes of the rest.
        if (!args.quick && variants.length === VARIANTS.length) await writeSections(toSections(results, runs, records));
      }
      if (args.keep) await new Promise(() => log(JSON.stringify(addresses(servers))));
    } finally {
      await servers.stop();
    }
    const fails = [...results.values()].flatMap(({ claims }) => claims).filter(({ holds }) => !holds);
    if (fails.length > 0 && !args.quick) process.exitCode = 1;
  },
});

function chosen<Item>(
  items: readonly Item[],
  given: string | undefined,
  isOne: (item: Item, wanted: string) => boolean,
): readonly Item[] {
  if (given === undefined) return items;
  const wanted = given.split(',');
  const unknown = wanted.filter((name) => !items.some((item) => isOne(item, name)));
  if (unknown.length > 0) throw new Error(`There is no ${unknown.join(', ')}; see --help`);
  return items.filter((item) => wanted.some((name) => isOne(item, name)));
}

function positive(name: string, given: string): number {
  const value = Number(given);
  if (!Number.isSafeInteger(value) || value < 1) throw new Error(`--${name} must be a number from 1`);
  return value;
}

/** They are not among the packages of maesn-sync: who does not measure does not need them. */
function installCompetitors(): void {
  const folder = fileURLToPath(new URL('.', import.meta.url));
  if (existsSync(new URL('node_modules/bullmq', import.meta.url))) return;
  log('Installing what is measured against (npm ci --prefix bench)');
  execFileSync('npm', ['ci', '--prefix', folder, '--no-audit', '--no-fund'], { stdio: 'inherit' });
}

const ABOUT = `## maesn-sync and the usual ways: \`npm run bench\`

The same pages go into the same Postgres server, one variant after the other, each in a process and a database of its own; the order rotates from run to run. A page is
100 invoices of about 1.9 kB. A variant that ends without every record, or with one twice, ends the benchmark.

- **Page source**: a process that answers as Maesn does, after a delay that the case names.
- **Postgres** with \`fsync\` and synchronous commits, **Temporal**'s dev server in memory, **Redis** with an append-only file.
- **maesn-sync**: a Worker as in production, started through its client. Up to five pages of a connection are asked for at once.
- **bare loop**: fetch a page, write it in one statement, next; no engine. It knows nothing of where it was. With five pages at once it is the yardstick of what this
  machine can do.
- **Temporal, an Activity a page**: the same fetch and write as an Activity, called by a Workflow for each page, which continues as new after 500.
- **BullMQ** and **DBOS**: the same fetch and write as a job, or as a step. DBOS keeps its state on the same Postgres server.

**time** is from the start to the last record, without the start of the process; after a crash it is from the start of the second process. **ratio** is time a record,
compared with the bare loop. **SQL statements** are those of \`pg_stat_statements\`, of the records and of what an engine keeps beside them. **CPU** and **memory** (the
peak) are those of the variant's process; what Temporal's server, Redis and Postgres need is not in them. **Actions** are an approximation of what Temporal Cloud bills:
Workflows started (also as new), attempts of Activities, the Local Activities of a Workflow Task as one, timers, Signals, Updates, changes of search attributes, and one
heartbeat for every three seconds of an Activity that sends them.

**How to read them.** With one connection, what counts is how many pages are asked for and written at once. \`no-change\` and \`fleet\` are the price of a Workflow: each is on record before it
runs, can be stopped, signalled and looked at, and says how it ended; a job of a queue has none of that, and costs a fraction. Temporal with an Activity a page pays the same. What maesn-sync
pays on top is what the others leave out: the look for what changed while the list was read, deletes, limits, events, and what is offered. Of the others' \`no-change\`, nearly all of the SQL time
is the look for the newest record; a watermark of their own would spare them that.
`;

function toSections(
  results: ReadonlyMap<BenchCase, CaseResult>,
  runs: number,
  records: number,
): Record<string, string> {
  const sections: Record<string, string> = { about: ABOUT };
  for (const [one, result] of results) {
    const times = runs === 1 ? 'One run' : `Medians of ${runs} runs`;
    const about = `${times}, ${records.toLocaleString('en')} records where nothing else is said. ${machine()}`;
    sections[one.name] = `${toText(one, result)}\n\n${about}`;
  }
  return sections;
}

function toText({ name, title }: BenchCase, result: CaseResult | undefined): string {
  const { text = '', claims = [] } = result ?? {};
  return [`### ${title}: \`--cases ${name}\``, text, ...(claims.length === 0 ? [] : [toShows(claims)])].join('\n\n');
}

function addresses({ postgres, temporal, redis, pageSource }: Awaited<ReturnType<typeof startServers>>) {
  return { postgres: postgres.url, temporal: temporal.address, redis: redis.url, pageSource: pageSource.url };
}

function log(line: string): void {
  console.error(`${new Date().toISOString().slice(11, 19)} ${line}`);
}

await runMain(command);
