/**
 * Writes under every fault at every point: what is created is created once, what is said to be applied is, and nothing is lost.
 * `WRITES_RUNS=2000 npx vitest run test/writes-model.test.ts` is the long mode.
 */
import { AsyncLocalStorage } from 'node:async_hooks';
import { once } from 'node:events';
import { IncomingMessage, request } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';
import { ApplicationFailure } from '@temporalio/common';
import { MockActivityEnvironment } from '@temporalio/testing';
import { DefaultLogger } from '@temporalio/worker';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { z } from 'zod';
import type { SandboxAccount } from '../sandbox/index.js';
import { createActivities } from '../src/activities/index.js';
import type { ActivityDependencies } from '../src/activities/index.js';
import { requireVariables } from '../src/config.js';
import type { MaesnClient } from '../src/maesn/client.js';
import { createConfiguredMaesnClient } from '../src/maesn/configured.js';
import { createTargetSystems } from '../src/spec/target-systems.js';
import { recordOf } from '../src/spec/writes.js';
import type { WriteOperation } from '../src/spec/writes.js';
import type { Write } from '../src/store/index.js';
import type { WriteRecordInput, WriteStep } from '../src/workflows/messages.js';
import { startHarness } from './support/harness.js';
import type { Harness } from './support/harness.js';
import { waitFor } from './support/wait.js';

const SIDE_BY_SIDE = 4;
const RUNS = z.coerce
  .number()
  .int()
  .multipleOf(SIDE_BY_SIDE)
  .parse(process.env['WRITES_RUNS'] ?? 100);
/** A request that hangs is given up after it, and what became of it is looked up no sooner. */
const TIMEOUT = '250 ms';

let harness: Harness;
beforeAll(async () => {
  harness = await startHarness({ overrides: { MAESN_TIMEOUT: TIMEOUT } });
});
afterAll(() => harness.close());

const ITEM = '0';

/** Few that differ little, so that they are easily taken for each other. */
const WANTED = {
  'an invoice with a number': { operation: 'createInvoice', body: { invoiceNumber: 'R-1', name: 'Chairs' } },
  'the same without': { operation: 'createInvoice', body: { name: 'Chairs' } },
  'one of which it could be': { operation: 'createInvoice', body: { name: 'Chairs', reference: 'B' } },
  'an item that the list filters': { operation: 'createItem', body: { itemNumber: 'I-1', name: 'Chair' } },
  'an expense, by a task': {
    operation: 'createExpense',
    body: { expense: { documentId: 'E-1', description: 'Taxi' } },
  },
  'an expense, by a task that fails': {
    operation: 'createExpenseAsync',
    body: { expense: { documentId: 'E-2', description: 'Taxi' } },
  },
  'a change': { operation: 'patchItem', body: { name: 'Stool' } },
  'what cannot be looked up': { operation: 'createTransaction', body: { transaction: { amount: 1 } } },
} as const satisfies Record<string, { operation: WriteOperation; body: object }>;

type WantedName = keyof typeof WANTED;
const NAMES = Object.keys(WANTED).filter((name): name is WantedName => name in WANTED);

const OPERATIONS = [...new Set(Object.values(WANTED).map(({ operation }) => operation))];
const LISTS = ['invoices', 'items', 'expenses', 'asyncTask'] as const;
const TARGETS = [...OPERATIONS, ...LISTS];
const ANSWERS = [
  { status: 500 },
  { status: 502 },
  { status: 429 },
  { status: 400 },
  { status: 404 },
  'cut',
  'hang',
  'garbage',
  'truncated',
  'revoke',
] as const;

/** What Maesn answers so, it has not done. */
const isRefusal = (answer: (typeof ANSWERS)[number]) =>
  answer === 'revoke' || (typeof answer === 'object' && answer.status < 500);

const scenario = fc.record({
  wanted: fc.array(fc.constantFrom(...NAMES), { minLength: 1, maxLength: 4 }),
  /** Whether the target system shows for certain what was written. */
  shows: fc.boolean(),
  faults: fc.array(
    fc.record({
      target: fc.constantFrom(...TARGETS),
      request: fc.integer({ min: 1, max: 3 }),
      answer: fc.constantFrom(...ANSWERS),
      applied: fc.boolean(),
    }),
    { maxLength: 5 },
  ),
  // At that call of the store or of Maesn the Worker dies, before it or after; or another attempt begins beside it.
  kills: fc.array(fc.record({ call: fc.integer({ min: 1, max: 25 }), after: fc.boolean(), dead: fc.boolean() }), {
    maxLength: 3,
  }),
});
type Scenario = typeof scenario extends fc.Arbitrary<infer Value> ? Value : never;

/** Counts calls of whatever is below the Activities, and can let none of them come back. */
function watch<Target extends object>(target: Target, at: (when: 'before' | 'after') => Promise<void>): Target {
  return new Proxy(target, {
    get(of, name, receiver): unknown {
      const value: unknown = Reflect.get(of, name, receiver);
      if (typeof value !== 'function') return value;
      return async (...given: unknown[]): Promise<unknown> => {
        await at('before');
        const result: unknown = await Reflect.apply(value, of, given);
        await at('after');
        return result;
      };
    },
  });
}

/** Which attempt a call belongs to. One for all runs: each that is made costs every promise that comes after it. */
const current = new AsyncLocalStorage<{ readonly die: () => void; readonly beside: () => Promise<unknown> }>();

/**
 * Whoever looks finds what was written before: the target system that this is about. All of it is one process here, and when
 * that is busy, a request that was given up long ago may still be on its way.
 */
function showingForCertain({ name }: SandboxAccount): MaesnClient {
  const maesn = createConfiguredMaesnClient(requireVariables(harness.config, 'MAESN_API_KEY'));
  const underWay = new Set<Promise<unknown>>();

  async function untilCarriedOut(): Promise<void> {
    await Promise.allSettled(underWay);
    // What was sent before has been read before, on whatever connection: each of these is a new one, and accepted after it.
    await askAnew(`${harness.sandbox.url}/health`);
    await askAnew(`${harness.sandbox.url}/health`);
    await waitFor('what was sent is carried out, or never will be', () =>
      harness.sandbox.requests.every(
        ({ account, method, status, fault }) =>
          account !== name || method === 'GET' || status !== null || fault !== undefined,
      ),
    );
  }

  return {
    ...maesn,
    async write(asked) {
      const writing = maesn.write(asked);
      underWay.add(writing);
      return writing.finally(() => underWay.delete(writing));
    },
    async list(asked) {
      await untilCarriedOut();
      return maesn.list(asked);
    },
    async record(asked) {
      await untilCarriedOut();
      return maesn.record(asked);
    },
  };
}

async function askAnew(url: string): Promise<void> {
  const asked = request(url, { agent: false }).end();
  const [response] = await once(asked, 'response');
  if (response instanceof IncomingMessage) response.resume();
}

/** Rare among those that are drawn. */
const REFUSED: Scenario = {
  wanted: ['a change'],
  shows: true,
  faults: [{ target: 'patchItem', request: 1, answer: { status: 400 }, applied: false }],
  kills: [],
};

interface Rules {
  /** Without it, what nobody has answered is sent again: the mistake that all of this is about. */
  readonly looksUp: boolean;
}

async function run({ wanted, shows, faults, kills }: Scenario, { looksUp }: Rules) {
  const { connectionId, account } = await harness.connect({
    records: { items: 1 },
    account: {
      asyncWrites: ['createExpense', 'createExpenseAsync'],
      taskStatuses: ['IN_PROGRESS', null, 'FINISHED'],
    },
  });
  const [item] = z.array(z.object({ id: z.string() })).parse(account.records('items'));
  for (const { target, applied, ...rule } of faults) {
    const operation = OPERATIONS.find((one) => one === target);
    const resource = LISTS.find((one) => one === target);
    if (operation !== undefined) account.fault({ operation, applied: applied && !isRefusal(rule.answer), ...rule });
    else if (resource !== undefined) account.fault({ resource, ...rule });
  }

  let calls = 0;
  const others: Promise<unknown>[] = [];
  const never = new Promise<never>(() => undefined);
  const at = async (when: 'before' | 'after') => {
    if (when === 'before') calls += 1;
    const kill = kills.find(({ call, after }) => call === calls && after === (when === 'after'));
    if (kill === undefined) return;
    const mine = current.getStore();
    if (mine === undefined) return;
    if (!kill.dead) others.push(mine.beside().catch(() => undefined));
    else {
      mine.die();
      await never;
    }
  };
  const { store } = harness;
  const dependencies: ActivityDependencies = {
    store: { ...store, writes: watch(store.writes, at), records: watch(store.records, at) },
    maesn: watch(showingForCertain(account), at),
    temporal: harness.temporal,
    taskQueue: harness.taskQueue,
    targetSystems: createTargetSystems(shows ? { sevdesk: { readsOwnWritesAfterMs: 0 } } : {}),
    options: {
      timeScale: 1,
      heartbeatEveryMs: 60_000,
      walkForMs: 60_000,
      pageLimit: 5,
      fullWalkEveryMs: 0,
      maximumDeletedShare: 1,
      deliverForMs: 1,
      deliverAtOnce: 1,
      keepEventsForMs: 60_000,
      remindEveryMs: 1,
      expireAfterMs: 1,
    },
  };
  const activities = createActivities(dependencies);

  /** Resolves with nothing when its Worker dies. */
  function attempt(of: WriteRecordInput, activity: (of: WriteRecordInput) => Promise<WriteStep>): Promise<unknown> {
    return new Promise((resolve, reject) => {
      const about = { die: () => resolve(undefined), beside: () => attempt(of, activity) };
      void current.run(about, () => newAttempt().run(activity, of).then(resolve, reject));
    });
  }

  /** As Temporal: an attempt whose Worker dies, or that fails and may be tried again, is followed by another one. */
  async function attempts(
    of: WriteRecordInput,
    activity: (of: WriteRecordInput) => Promise<WriteStep>,
  ): Promise<WriteStep> {
    for (;;) {
      try {
        // oxlint-disable-next-line no-await-in-loop
        const step = await attempt(of, activity);
        if (isStep(step)) return step;
      } catch (error) {
        if (!(error instanceof ApplicationFailure)) throw error;
        if (error.type === 'Unauthorized') {
          // oxlint-disable-next-line no-await-in-loop
          await store.connections.storeKey(connectionId, account.reconnect(), 'test');
        }
        // A fault of ours, or the store is closed because another run has failed.
        else if (error.nonRetryable === true || error.type === 'Unexpected') throw error;
        // oxlint-disable-next-line no-await-in-loop
        else if (error.type === 'OutcomeNotVisibleYet') await sleep(100);
      }
    }
  }

  const ACTIVITY = {
    send: activities.sendWrite,
    waitForTurn: activities.sendWrite,
    lookUp: looksUp ? activities.lookUpWrite : sendAgain,
    poll: activities.pollWriteTask,
  };

  /** As the Workflow does it. */
  async function writeOne(of: WriteRecordInput): Promise<void> {
    let step: WriteStep = { next: 'send' };
    while (step.next !== 'nothing' && step.next !== 'decide') {
      // oxlint-disable-next-line no-await-in-loop
      if (step.next === 'waitForTurn') await sleep(20);
      // oxlint-disable-next-line no-await-in-loop
      if (step.next === 'waitForTurn' && (await isHeldUp())) return;
      // oxlint-disable-next-line no-await-in-loop
      step = await attempts(of, ACTIVITY[step.next]);
    }
    if (step.next === 'nothing') await activities.endWrite(of);
  }

  async function sendAgain(of: WriteRecordInput): Promise<WriteStep> {
    await store.writes.release(of);
    return { next: 'send' };
  }

  const all: { readonly name: WantedName; readonly of: WriteRecordInput }[] = [];
  for (const [index, name] of wanted.entries()) {
    const { operation, body } = WANTED[name];
    const of = { connectionId, idempotencyKey: `w-${index}` };
    const parameters: Record<string, string> = operation === 'patchItem' ? { itemId: item?.id ?? ITEM } : {};
    // oxlint-disable-next-line no-await-in-loop
    await store.writes.add({ ...of, operation, parameters, body }, 'test');
    all.push({ name, of });
  }
  await Promise.all(all.map(({ of }) => writeOne(of)));
  await Promise.all(others);
  const ends: { readonly name: WantedName; readonly write: Write }[] = [];
  for (const { name, of } of all) {
    // oxlint-disable-next-line no-await-in-loop
    const write = await store.writes.find(of);
    if (write === undefined) throw new Error('the write is gone');
    ends.push({ name, write });
  }
  return { account, connectionId, ends };

  /** One that stands behind an undecided one stays there: nothing else moves any more. */
  async function isHeldUp(): Promise<boolean> {
    const found = await store.writes.list({ connectionId });
    const isStill = found.every(({ state }) => state === 'undecided' || state === 'ended' || state === 'waiting');
    return isStill && found.some(({ state }) => state === 'undecided');
  }
}

const newAttempt = () => new MockActivityEnvironment({}, { logger: new DefaultLogger('ERROR', () => undefined) });

type End = Awaited<ReturnType<typeof run>>;

const isStep = (value: unknown): value is WriteStep => typeof value === 'object' && value !== null;

/** All that is ever written, in the order in which it is named. */
const FIELDS = ['invoiceNumber', 'itemNumber', 'documentId', 'name', 'description', 'reference', 'amount'];

/** How often something was really done, as the target system knows it. */
function timesApplied(account: SandboxAccount, name: WantedName): number {
  const { operation, body } = WANTED[name];
  const wanted = JSON.stringify(recordOf(operation, body));
  const asWanted = (record: Readonly<Record<string, unknown>>) =>
    JSON.stringify(
      Object.fromEntries(FIELDS.flatMap((field) => (record[field] === undefined ? [] : [[field, record[field]]]))),
    );
  return account.writes.filter(
    (one) => one.operation === operation && (operation === 'patchItem' || asWanted(one.record) === wanted),
  ).length;
}

async function expectOnce({ account, connectionId, ends }: End): Promise<void> {
  for (const name of NAMES) {
    const mine = ends.filter((end) => end.name === name).map(({ write }) => write);
    const applied = mine.filter(({ outcome }) => outcome === 'applied').length;
    const open = mine.filter(({ state }) => state === 'undecided').length;
    const times = timesApplied(account, name);
    if (name === 'a change') {
      // Twice the same is the same.
      if (applied > 0) expect(times, name).toBeGreaterThan(0);
      continue;
    }
    expect(times, `${name}: applied ${times} times, said of ${applied}, undecided ${open}`).toBeGreaterThanOrEqual(
      applied,
    );
    expect(times, `${name}: applied ${times} times, said of ${applied}, undecided ${open}`).toBeLessThanOrEqual(
      applied + open,
    );
  }
  const created = ends.flatMap(({ write: { recordKey, resource, outcome } }) =>
    outcome === 'applied' && recordKey !== null && resource !== null ? [{ recordKey, resource }] : [],
  );
  for (const { recordKey, resource } of created) {
    // oxlint-disable-next-line no-await-in-loop
    expect(await harness.store.records.find({ connectionId, resource, key: recordKey })).toMatchObject({
      deletedAt: null,
    });
  }
}

describe('writes under every fault at every point', () => {
  it(
    `are applied once, or undecided; ${RUNS} runs`,
    async () => {
      const outcomes = new Map<string, number>();
      const property = fc.asyncProperty(scenario, async (given) => {
        const end = await run(given, { looksUp: true });
        for (const { write } of end.ends) {
          const what = write.outcome ?? write.state;
          outcomes.set(what, (outcomes.get(what) ?? 0) + 1);
        }
        await expectOnce(end);
      });
      // Each run is a connection of its own, and waits most of the time.
      await Promise.all(
        Array.from({ length: SIDE_BY_SIDE }, () =>
          fc.assert(property, { numRuns: RUNS / SIDE_BY_SIDE, examples: [[REFUSED]] }),
        ),
      );
      console.log(Object.fromEntries(outcomes));
      // All of it has happened.
      expect(outcomes.get('applied') ?? 0).toBeGreaterThan(RUNS / 2);
      expect(outcomes.get('undecided') ?? 0).toBeGreaterThan(0);
      expect(outcomes.get('refused') ?? 0).toBeGreaterThan(0);
    },
    Math.max(600_000, RUNS * 5_000),
  );

  it('would be applied twice if nobody looked: this test can tell', async () => {
    const found = await fc.check(
      fc.asyncProperty(scenario, async (given) => expectOnce(await run(given, { looksUp: false }))),
      { numRuns: 500, endOnFailure: true },
    );
    expect(found.failed).toBe(true);
  }, 600_000);
});
