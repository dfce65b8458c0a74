/** The fault suite: everything that can break is broken, in turn and mixed, and at the end nothing may be missing. docs/operations.md says how to read it. */
import { randomBytes } from 'node:crypto';
import Table from 'cli-table3';
import { defineCommand, runMain } from 'citty';
import { checkBuilds, checkEvents, checkSecrets, checkStore, checkWrites, storeDifferences } from './checks.js';
import type { Check } from './checks.js';
import { FAULTS } from './faults.js';
import type { Fault } from './faults.js';
import { processesOf } from './processes.js';
import { createRandom } from './random.js';
import type { Random } from './random.js';
import { until } from './until.js';
import { createWorkload } from './workload.js';
import type { Workload } from './workload.js';
import { startWorld } from './world.js';
import type { World } from './world.js';

/** What must have come through after a fault. A lease, a heartbeat that is missed and the first retry are real time. */
const PROGRESS_LIMIT_MS = 150_000;
const SETTLE_LIMIT_MS = 240_000;

interface Row {
  injected: number;
  met: number;
  readonly seconds: number[];
  readonly problems: string[];
}

const command = defineCommand({
  meta: {
    name: 'test:faults',
    description:
      'Breaks everything that can break while syncs and writes run, in turn and then mixed; ends with a table of the faults that were survived, and with 1 when anything is not as it must be. ' +
      'Needs Linux and the Debian package postgresql.',
  },
  args: {
    minutes: {
      type: 'string',
      default: '10',
      description: 'How long faults are begun; to settle and to check comes after',
      valueHint: 'number',
    },
    seed: { type: 'string', description: 'Draws the same faults again', valueHint: 'text' },
    faults: {
      type: 'string',
      description: `Some of: ${FAULTS.map(({ name }) => name).join(', ')}. Default: all`,
      valueHint: 'name,name',
    },
    keep: { type: 'boolean', default: false, description: 'Keep the logs, also when all is well' },
  },
  run: async ({ args }) => {
    const minutes = Number(args.minutes);
    if (!(minutes > 0)) throw new Error(`--minutes must be a number above 0, not ${args.minutes}`);
    const chosen = choose(args.faults);
    const seed = args.seed ?? randomBytes(4).toString('hex');
    say(`Seed ${seed}`);
    process.exitCode = (await runSuite({ minutes, seed, chosen, keep: args.keep })) ? 0 : 1;
    process.exit();
  },
});

function choose(given: string | undefined): readonly Fault[] {
  if (given === undefined) return FAULTS;
  return given.split(',').map((name) => {
    const found = FAULTS.find((fault) => fault.name === name.trim());
    if (found === undefined)
      throw new Error(`--faults: there is no ${name}; there are ${FAULTS.map((fault) => fault.name).join(', ')}`);
    return found;
  });
}

interface SuiteOptions {
  readonly minutes: number;
  readonly seed: string;
  readonly chosen: readonly Fault[];
  readonly keep: boolean;
}

async function runSuite({ minutes, seed, chosen, keep }: SuiteOptions): Promise<boolean> {
  const random = createRandom(seed);
  const workload = createWorkload(random);
  const interrupted = new AbortController();
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.once(signal, () => interrupted.abort());
  const world = await startWorld((event) => workload.onEvent(event), say);
  const rows = new Map(
    chosen.map((fault) => [fault, { injected: 0, met: 0, seconds: [], problems: [] } satisfies Row as Row]),
  );
  const checks: Check[] = [];
  let ended = false;
  try {
    await Promise.race([
      carryOut(),
      new Promise((resolve) => {
        interrupted.signal.addEventListener('abort', resolve, { once: true });
      }),
    ]);
  } finally {
    await workload.end();
    const running = await processesOf(world.run, world.dir);
    await world.stopProcesses();
    const left = await processesOf(world.run, world.dir);
    checks.push({
      name: 'no process is left',
      looked: `${running.length} processes before the end`,
      wrong: [...left, ...(running.length < 10 ? ['fewer were seen than there must be'] : [])],
    });
    // Whatever becomes of the servers behind them, they go on.
    const ours = Object.values(world.processes).filter(({ name }) => name !== 'postgres' && name !== 'temporal');
    checks.push({
      name: 'none of our processes has ended by itself',
      looked: `${ours.length} processes`,
      wrong: ours.flatMap(({ name, endedByItself: times }) => (times === 0 ? [] : [`${name}, ${times} times`])),
    });
    const good = ended && report(world, workload, rows, checks);
    await world.close({ keep: keep || !good });
    if (keep || !good) say(`Logs and databases are kept in ${world.dir}`);
    if (interrupted.signal.aborted) say('Interrupted: everything was ended.');
  }
  return ended && [...rows.values()].every(isSurvived) && checks.every(({ wrong }) => wrong.length === 0);

  async function carryOut(): Promise<void> {
    await workload.begin(world);
    const first = await workload.progress(PROGRESS_LIMIT_MS);
    if (first.missing.length > 0) throw new Error(`Nothing works before any fault: ${first.missing.join(', ')}`);
    say(`Everything runs: new records of all connections and a write came through in ${first.seconds.toFixed(1)} s`);
    const deadline = Date.now() + minutes * 60_000;
    const isTime = () => Date.now() < deadline && !interrupted.signal.aborted;
    for (const fault of chosen) if (isTime()) await inject([fault]);
    while (isTime()) await inject(draw(chosen, random));

    say('All faults are off; waiting until everything is right');
    workload.calm();
    await settle(world, workload, interrupted.signal);
    if (interrupted.signal.aborted) return;
    checks.push(await checkStore(world, workload));
    checks.push(await checkWrites(world, workload));
    checks.push(await checkEvents(world));
    checks.push(await checkBuilds(world));
    checks.push(await checkSecrets(world, workload));
    ended = true;
  }

  /** All of them at once; then everybody must get on. */
  async function inject(faults: readonly Fault[]): Promise<void> {
    const names = faults.map(({ name }) => name).join(' + ');
    const problems: string[] = [];
    await Promise.all(
      faults.map(async (fault) => {
        const row = rows.get(fault);
        if (row === undefined) return;
        row.injected += 1;
        try {
          const met = await fault.carryOut({ world, customers: workload.customers, random });
          row.met += met;
          if (met === 0) problems.push(`${fault.name} was not met`);
        } catch (error) {
          problems.push(`${fault.name}: ${error instanceof Error ? error.message : String(error)}`);
        }
      }),
    );
    const { seconds, missing } = await workload.progress(PROGRESS_LIMIT_MS);
    if (missing.length > 0)
      problems.push(`${names}: after ${seconds.toFixed(0)} s still without progress: ${missing.join(', ')}`);
    for (const fault of faults) {
      if (missing.length === 0) rows.get(fault)?.seconds.push(seconds);
      rows.get(fault)?.problems.push(...problems);
    }
    say(`${names}: ${problems.length === 0 ? `on again after ${seconds.toFixed(1)} s` : problems.join('; ')}`);
  }
}

/** Two or three, of different places. */
function draw(chosen: readonly Fault[], random: Random): readonly Fault[] {
  const drawn: Fault[] = [];
  for (let draws = 0; draws < 3; draws += 1) {
    const fault = random.pick(chosen);
    if (drawn.every(({ place }) => place !== fault.place)) drawn.push(fault);
  }
  return drawn;
}

/** Until every check that time can mend is right; what is still wrong then, the checks say. */
async function settle(world: World, workload: Workload, signal: AbortSignal): Promise<void> {
  const began = Date.now();
  let wrong: readonly string[] = [];
  let saidAt = 0;
  const untilNothingIsWrong = (look: () => Promise<readonly string[]>) =>
    until(
      async () => {
        if (signal.aborted) return true;
        wrong = ['a process does not answer'];
        wrong = await look();
        const seconds = Math.round((Date.now() - began) / 1_000);
        if (wrong.length > 0 && seconds >= saidAt + 30) {
          saidAt = seconds;
          say(`  after ${seconds} s not yet: ${wrong.slice(0, 3).join('; ')}`);
        }
        return wrong.length === 0;
      },
      SETTLE_LIMIT_MS,
      1_000,
    );
  await untilNothingIsWrong(async () => {
    if (!(await world.ready())) return ['a process is not ready'];
    const differ = await storeDifferences(world, workload.customers);
    return [...differ, ...(await checkWrites(world, workload)).wrong];
  });
  // Syncs that go on have always just told something.
  if (wrong.length === 0 && !signal.aborted) {
    await workload.stopSyncs();
    await untilNothingIsWrong(async () => (await checkEvents(world)).wrong);
  }
  const seconds = ((Date.now() - began) / 1_000).toFixed(0);
  say(
    wrong.length === 0
      ? `Right after ${seconds} s`
      : `Still not right after ${seconds} s: ${wrong.slice(0, 3).join('; ')}`,
  );
}

const isSurvived = ({ injected, problems }: Row) => injected === 0 || problems.length === 0;

function report(world: World, workload: Workload, rows: ReadonlyMap<Fault, Row>, checks: readonly Check[]): boolean {
  const table = new Table({
    head: ['fault', 'injected', 'met', 'on again after, s (median, longest)', 'survived'],
    colAligns: ['left', 'right', 'left', 'right', 'left'],
    style: { head: [], border: [], compact: true },
  });
  for (const [fault, row] of rows) {
    const sorted = row.seconds.toSorted((a, b) => a - b);
    const seconds =
      sorted.length === 0
        ? '-'
        : `${sorted[Math.floor((sorted.length - 1) / 2)]?.toFixed(1)}, ${sorted.at(-1)?.toFixed(1)}`;
    const survived = row.injected === 0 ? 'not reached' : isSurvived(row) ? 'yes' : 'NO';
    table.push([`${fault.name}: ${fault.what}`, row.injected, `${row.met} ${fault.counts}`, seconds, survived]);
  }
  say(`\n${table.toString()}\n`);
  const supervised = Object.values(world.processes);
  say(
    `Ended by themselves and started again: ${supervised.map(({ name, endedByItself }) => `${name} ${endedByItself}`).join(', ')}`,
  );
  say(
    `Requests to Maesn: ${world.sandbox.requests.length}. Sign-ins: ${workload.signIns}. Writes that a person decided: ${workload.decisions}.\n`,
  );
  for (const { name, looked, wrong } of checks) {
    say(`${wrong.length === 0 ? 'ok   ' : 'WRONG'} ${name} (${looked})`);
    for (const line of wrong.slice(0, 20)) say(`        ${line}`);
  }
  const problems = [...rows.values()].flatMap((row) => row.problems);
  for (const problem of new Set(problems)) say(`WRONG ${problem}`);
  const good = problems.length === 0 && checks.every(({ wrong }) => wrong.length === 0);
  const unreached = [...rows].flatMap(([{ name }, { injected }]) => (injected === 0 ? [name] : []));
  const which = unreached.length === 0 ? 'All faults' : `The faults that were reached (not: ${unreached.join(', ')})`;
  say(good ? `\n${which} were survived.` : '\nNot all is as it must be.');
  return good;
}

function say(line: string): void {
  console.log(line);
}

await runMain(command);
