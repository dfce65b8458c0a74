/** The faults, as a table: what each does, where, and by what it is known to have been met. */
import { setTimeout as sleep } from 'node:timers/promises';
import type { FaultAnswer } from '../../sandbox/index.js';
import { buildsOf } from './checks.js';
import type { Random } from './random.js';
import { until } from './until.js';
import type { WeatherRule } from './weather.js';
import type { Customer } from './workload.js';
import { BUILDS } from './world.js';
import type { World } from './world.js';

export interface FaultScene {
  readonly world: World;
  readonly customers: readonly Customer[];
  readonly random: Random;
}

export interface Fault {
  readonly name: string;
  readonly what: string;
  /** What `met` counts. */
  readonly counts: string;
  /** Two faults of one place are not on at the same time. */
  readonly place: 'processes' | 'postgres' | 'maesn' | 'application' | 'logins';
  /** Brings it about, waits until it was met, undoes it. Answers how often it was met. */
  carryOut(scene: FaultScene): Promise<number>;
}

/** A fault that is not met within this time was none, and the run fails. */
const MET_LIMIT_MS = 45_000;
const HOLD_MS = 4_000;

const killed = (names: readonly (keyof World['processes'])[]): Fault['carryOut'] => {
  return async ({ world }) => {
    for (const name of names) await world.processes[name].kill();
    return names.length;
  };
};

/** On while it is held, and until it was met; then off, whatever has happened. */
async function held(
  met: () => Promise<number> | number,
  off: () => Promise<unknown> | void,
  { least = 1 }: { readonly least?: number } = {},
): Promise<number> {
  try {
    await sleep(HOLD_MS);
    await until(async () => (await met()) >= least, MET_LIMIT_MS);
    return await met();
  } finally {
    await off();
  }
}

/** What the Postgres server says from now on. */
async function newIn(world: World, words: string): Promise<() => Promise<number>> {
  const count = async () => (await world.postgresLog()).split(words).length - 1;
  const before = await count();
  return async () => (await count()) - before;
}

/** Begins something in Postgres, which may be just starting, and goes on trying to undo it: nothing may stay. */
async function surely(act: () => Promise<unknown>): Promise<void> {
  const done = await until(async () => {
    await act();
    return true;
  }, 60_000);
  if (done === undefined) throw new Error('Postgres could not be told');
}

/** From now on before each statement that writes; the trigger is there already, so that no table has to be locked. */
async function withTrigger(world: World, body: string, met: () => Promise<number>): Promise<number> {
  await surely(() => world.beforeWrites(body));
  return held(met, () => surely(() => world.beforeWrites('')));
}

/** On until every answer was given twice, and ten were given in all. */
const weather = (rule: WeatherRule): Fault['carryOut'] => {
  return async ({ world }) => {
    const { met, end } = world.weather.begin(rule);
    return held(met, end, { least: Math.max(10, 2 * rule.answers.length) });
  };
};

/** One after the other, each until it was answered several times. */
async function eachStatus({ world }: FaultScene): Promise<number> {
  let all = 0;
  for (const status of STATUSES) {
    const { met, end } = world.weather.begin({ answers: [{ status }], every: 10, hidesOutcome: status >= 500 });
    await until(() => met() >= 2, MET_LIMIT_MS, 50);
    end();
    if (met() === 0) throw new Error(`no request was answered ${status}`);
    all += met();
  }
  return all;
}

const STATUSES = [400, 401, 403, 404, 405, 409, 422, 429, 500, 502, 503];

/** As a clock that jumps makes them, and as no clock does. */
const RETRY_AFTERS: readonly (() => string)[] = [
  () => new Date(Date.now() - 3_600_000).toUTCString(),
  () => new Date(Date.now() + 90_000).toUTCString(),
  () => new Date(Date.now() + 400 * 86_400_000).toUTCString(),
  () => 'Thu, 01 Jan 1970 00:00:00 GMT',
  () => 'Thu, 31 Feb 2099 25:61:61 GMT',
  () => 'soon',
  () => '-1',
  () => '0',
  () => '99999999999999999999',
];

export const FAULTS: readonly Fault[] = [
  {
    name: 'worker',
    what: 'kill -9 of a Worker',
    counts: 'processes killed',
    place: 'processes',
    carryOut: (scene) => killed([scene.random.pick(BUILDS)])(scene),
  },
  {
    name: 'temporal',
    what: 'kill -9 of the Temporal server',
    counts: 'processes killed',
    place: 'processes',
    carryOut: killed(['temporal']),
  },
  {
    name: 'postgres',
    what: 'kill -9 of Postgres',
    counts: 'processes killed',
    place: 'postgres',
    carryOut: killed(['postgres']),
  },
  {
    name: 'backend',
    what: 'kill -9 of the backend',
    counts: 'processes killed',
    place: 'processes',
    carryOut: killed(['backend']),
  },
  {
    name: 'everything',
    what: 'kill -9 of all five at once',
    counts: 'processes killed',
    place: 'postgres',
    carryOut: killed(['build-a', 'temporal', 'postgres', 'backend', 'build-b']),
  },
  {
    name: 'refused',
    what: 'Postgres refuses connections, and ends those there are',
    counts: 'connections refused',
    place: 'postgres',
    async carryOut({ world }) {
      const met = await newIn(world, 'is not currently accepting connections');
      await surely(() =>
        world.query(
          `alter database books with allow_connections false;
           select pg_terminate_backend(pid) from pg_stat_activity where datname = 'books'`,
          'postgres',
        ),
      );
      return held(met, () => surely(() => world.query('alter database books with allow_connections true', 'postgres')));
    },
  },
  {
    name: 'disk-full',
    what: 'Postgres fails what writes with 53100, as with a full disk',
    counts: 'statements failed',
    place: 'postgres',
    async carryOut({ world }) {
      const raise = `raise exception using errcode = '53100', message = 'could not extend file: No space left on device';`;
      return withTrigger(world, raise, await newIn(world, 'No space left on device'));
    },
  },
  {
    name: 'slow-queries',
    what: 'statements that write take more than a second',
    counts: 'statements slow',
    place: 'postgres',
    carryOut: async ({ world }) => withTrigger(world, 'perform pg_sleep(1.2);', await newIn(world, 'duration: ')),
  },
  {
    name: 'hang',
    what: 'every third request to Maesn hangs',
    counts: 'requests',
    place: 'maesn',
    carryOut: weather({ answers: ['hang'], every: 3, hidesOutcome: true }),
  },
  {
    name: 'cut',
    what: 'every second one is cut, before or within its answer',
    counts: 'requests',
    place: 'maesn',
    carryOut: weather({
      answers: ['cut', { kind: 'truncated', connection: 'destroyed' }, { kind: 'truncated' }],
      every: 2,
      hidesOutcome: true,
    }),
  },
  {
    name: 'garbage',
    what: 'every second one is answered with what is not the envelope',
    counts: 'requests',
    place: 'maesn',
    carryOut: weather({
      answers: [
        'garbage',
        'html',
        'empty',
        'wrongEnvelope',
        'redirect',
        { kind: 'huge', bytes: 40_000_000 },
      ] satisfies FaultAnswer[],
      every: 2,
      hidesOutcome: true,
    }),
  },
  {
    name: 'statuses',
    what: `every tenth one is answered with one of ${STATUSES.length} statuses, one status after the other`,
    counts: 'requests',
    place: 'maesn',
    carryOut: eachStatus,
  },
  {
    name: 'retry-after',
    what: 'every fourth one is 429 or 503, with a Retry-After of the past, of next year, or none that can be read',
    counts: 'requests',
    place: 'maesn',
    carryOut: (scene) =>
      weather({
        answers: RETRY_AFTERS.flatMap((retryAfter) =>
          [429, 503].map((status) => ({ status, retryAfter: retryAfter() })),
        ),
        every: 4,
        hidesOutcome: false,
      })(scene),
  },
  {
    name: 'login',
    what: 'a login is revoked, and its customer signs in again when the application says so',
    counts: 'logins revoked',
    place: 'logins',
    async carryOut({ customers, random }) {
      const { account } = random.pick(customers);
      account.revoke();
      const back = await until(() => !account.revoked, 90_000);
      if (back === undefined) throw new Error(`nobody told the customer of ${account.name} to sign in again`);
      return 1;
    },
  },
  {
    name: 'build',
    what: 'the other build of the Worker becomes the current one',
    counts: 'Workflows gone over',
    place: 'processes',
    async carryOut({ world, random }) {
      const to = random.pick(BUILDS);
      const other = BUILDS.find((build) => build !== to) ?? to;
      await world.makeCurrent(other);
      await world.makeCurrent(to);
      const gone = async () =>
        (await buildsOf(world, "and ExecutionStatus = 'Running'")).filter((build) => build === to).length;
      await until(async () => (await gone()) > 0, MET_LIMIT_MS);
      return gone();
    },
  },
  {
    name: 'application',
    what: 'the application answers events with 503',
    counts: 'events refused',
    place: 'application',
    async carryOut({ world: { application } }) {
      const before = application.refused;
      application.refuses = true;
      return held(
        () => application.refused - before,
        () => void (application.refuses = false),
      );
    },
  },
];
