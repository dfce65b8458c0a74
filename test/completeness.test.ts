/**
 * Lists that change while they are read: what a walk calls verified has missed nothing, and what it deletes is gone.
 * `COMPLETENESS_RUNS=1000 npx vitest run test/completeness.test.ts` is the long mode.
 */
import { ApplicationFailure } from '@temporalio/common';
import { MockActivityEnvironment } from '@temporalio/testing';
import { DefaultLogger } from '@temporalio/worker';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { z } from 'zod';
import type { SandboxAccount } from '../sandbox/index.js';
import { createPullResource } from '../src/activities/pull-resource.js';
import type { MaesnClient } from '../src/maesn/client.js';
import { isCollapse, judgePass } from '../src/spec/completeness.js';
import { resourceRow } from '../src/spec/resources.js';
import { createTargetSystems } from '../src/spec/target-systems.js';
import type { PullResourceResult } from '../src/workflows/messages.js';
import { activityDependencies } from './support/activities.js';
import { startHarness } from './support/harness.js';
import type { Harness } from './support/harness.js';
import { expectSameRecords } from './support/records.js';
import { beginWalk } from './support/walks.js';

const RUNS = z.coerce.number().parse(process.env['COMPLETENESS_RUNS'] ?? 50);
/** Maesn's smallest. */
const PAGE_LIMIT = 5;

let harness: Harness;
beforeAll(async () => {
  harness = await startHarness();
});
afterAll(() => harness.close());

const RESOURCES = ['invoices', 'units', 'trialBalance'] as const;
type Kind = (typeof RESOURCES)[number];

/** What somebody does in the books. Which record: a share of those that there are. */
const change = fc.record({
  what: fc.constantFrom('insert', 'update', 'remove', 'remove and insert'),
  where: fc.double({ min: 0, max: 0.999, noNaN: true }),
});
type Change = typeof change extends fc.Arbitrary<infer Value> ? Value : never;

const FAULTS = [{ status: 500 }, { status: 429 }, { status: 503 }, 'cut', 'garbage', 'truncated', 'empty'] as const;

const scenario = fc.record({
  resource: fc.constantFrom<Kind>(...RESOURCES),
  records: fc.integer({ min: 0, max: 28 }),
  order: fc.constantFrom('created', 'newestFirst', 'modified'),
  pagination: fc.boolean(),
  /** Whether the second walk asks for changes only, where that is possible. */
  incremental: fc.boolean(),
  // Before the first, the second, ... request for the list.
  changes: fc.array(fc.array(change, { maxLength: 2 }), { maxLength: 14 }),
  faults: fc.uniqueArray(fc.record({ request: fc.integer({ min: 1, max: 20 }), answer: fc.constantFrom(...FAULTS) }), {
    maxLength: 3,
    selector: ({ request }) => request,
  }),
  // At these requests the Worker dies, or seems to: another attempt begins while this one goes on.
  kills: fc.uniqueArray(fc.record({ request: fc.integer({ min: 1, max: 20 }), dead: fc.boolean() }), {
    maxLength: 2,
    selector: ({ request }) => request,
  }),
});
type Scenario = typeof scenario extends fc.Arbitrary<infer Value> ? Value : never;

interface BookChange {
  readonly key: string;
  readonly request: number;
}

/** The books of one run, and everything that happens to them. */
async function open({
  resource,
  records,
  order,
  pagination,
  changes,
  faults,
}: Omit<Scenario, 'kills' | 'incremental'>) {
  let requests = 0;
  let ended = false;
  const removals: BookChange[] = [];
  const insertions: BookChange[] = [];
  const onRequest = new Map<number, () => void>();
  const beforeList = () => {
    requests += 1;
    onRequest.get(requests)?.();
    if (!ended) for (const one of changes[requests - 1] ?? []) apply(one);
  };
  const { connectionId, account } = await harness.connect({
    records: { [resource]: records },
    account: { order, pagination, beforeList },
  });
  for (const fault of faults) account.fault({ resource, ...fault });
  let inserted = 0;

  function apply({ what, where }: Change): void {
    const keys = keysOf(account, resource);
    const key = keys[Math.floor(where * keys.length)];
    if (what.startsWith('remove') && key !== undefined) {
      account.remove(resource, resourceRow(resource).key === null ? Number(key) : key);
      removals.push({ key, request: requests });
    }
    if (what.endsWith('insert')) {
      inserted += 1;
      account.put(resource, { [resourceRow(resource).key ?? 'name']: `new-${inserted}` });
      insertions.push({ key: `new-${inserted}`, request: requests });
    }
    if (what === 'update' && key !== undefined) {
      const { key: field } = resourceRow(resource);
      if (field !== null) account.put(resource, { [field]: key, note: `changed at ${requests}` });
    }
  }

  return {
    connectionId,
    account,
    removals,
    insertions,
    onRequest,
    requests: () => requests,
    changedUntil: () => changes.slice(0, requests).some((some) => some.length > 0),
    standStill: () => (ended = true),
  };
}

/** Of a list without keys: the places. */
function keysOf(account: SandboxAccount, resource: Kind): string[] {
  const { key } = resourceRow(resource);
  const fields = z.array(z.record(z.string(), z.unknown())).parse(account.records(resource));
  return fields.map((record, index) => String(key === null ? index : record[key]));
}

const storedKeys = async (connectionId: string, resource: Kind, includeDeleted = false) => {
  const stored = await harness.store.records.list({ connectionId, resource, limit: 10_000, includeDeleted });
  return stored.map(({ key, deletedAt }) => ({ key, deleted: deletedAt !== null }));
};

function createPull(fullWalkEveryMs: number) {
  return createPullResource(activityDependencies(harness, { fullWalkEveryMs, pageLimit: PAGE_LIMIT }));
}

type Books = Awaited<ReturnType<typeof open>>;

/** What fails on purpose is not worth a line of log. */
const newAttempt = () => new MockActivityEnvironment({}, { logger: new DefaultLogger('ERROR', () => undefined) });

/** As the Workflow does it: again and again until the walk is over, whatever comes in between. */
async function walk(
  books: Books,
  resource: Kind,
  walkId: string,
  { kills = [], fullEveryMs = 0 }: { readonly kills?: Scenario['kills']; readonly fullEveryMs?: number } = {},
): Promise<PullResourceResult> {
  const { connectionId, onRequest } = books;
  const pull = createPull(fullEveryMs);
  const others: Promise<unknown>[] = [];
  for (;;) {
    const environment = newAttempt();
    const attempt = (): Promise<PullResourceResult> => environment.run(pull, { connectionId, resource, walkId });
    for (const { request, dead } of kills) {
      onRequest.set(request, () => {
        if (dead) environment.cancel();
        else {
          others.push(
            newAttempt()
              .run(pull, { connectionId, resource, walkId })
              .catch(() => undefined),
          );
        }
      });
    }
    // oxlint-disable-next-line no-await-in-loop
    const result = await attempt().catch((error: unknown) => {
      if (error instanceof ApplicationFailure && error.nonRetryable === true) throw error;
    });
    // oxlint-disable-next-line no-await-in-loop
    await Promise.all(others);
    if (result?.held === true) {
      // Everything is gone: the guard asks.
      // oxlint-disable-next-line no-await-in-loop
      await harness.store.walks.decideDeletes({ connectionId, decision: 'delete', actor: 'test' });
    } else if (result?.done === true) return result;
  }
}

describe('a list that changes while it is read', () => {
  it(`is in the store when its walk is verified, and else not called complete; ${RUNS} runs`, async () => {
    let verified = 0;
    let unverified = 0;
    await fc.assert(
      fc.asyncProperty(scenario, async ({ kills, incremental, ...about }) => {
        const { resource } = about;
        const books = await open(about);
        const { connectionId, account } = books;
        let holes = false;
        for (const walkId of ['first', 'second']) {
          const isFull = walkId === 'first' || !incremental || about.resource !== 'invoices';
          const before = new Set(keysOf(account, resource));
          const from = books.requests();
          const result = await walk(books, resource, walkId, { kills, fullEveryMs: isFull ? 0 : 86_400_000 });
          const removed = books.removals.filter(({ request }) => request > from);
          const stored = await storedKeys(connectionId, resource, true);
          const isKeyed = resourceRow(resource).key !== null;
          if (result.verified === true) {
            verified += 1;
            if (isFull) holes = false;
            if (isKeyed && !holes) {
              const inStore = new Set(stored.flatMap(({ key, deleted }) => (deleted ? [] : [key])));
              const inBooks = new Set(keysOf(account, resource));
              // What comes or goes meanwhile is for the walks that follow.
              const came = new Set(books.insertions.filter(({ request }) => request > from).map(({ key }) => key));
              expect(
                [...inBooks].filter((key) => !inStore.has(key) && !came.has(key)),
                'missing although it was there all the time',
              ).toEqual([]);
              const went = new Set((isFull ? removed : books.removals).map(({ key }) => key));
              expect(
                [...inStore].filter((key) => !inBooks.has(key) && !went.has(key)),
                'too many',
              ).toEqual([]);
            }
          } else {
            unverified += 1;
            if (isFull) holes = true;
            expect(books.changedUntil(), 'a list that stood still is verified').toBe(true);
          }
          if (isKeyed) {
            const touched = new Set(removed.map(({ key }) => key));
            const falselyDeleted = stored.filter(({ key, deleted }) => deleted && before.has(key) && !touched.has(key));
            expect(falselyDeleted, 'deleted although it was there all the time').toEqual([]);
          }
        }
        books.standStill();
        const settled = await walk(books, resource, 'settled');
        expect(settled.verified).toBe(true);
        await expectSameRecords(harness.store, connectionId, account, [resource]);
      }),
      { numRuns: RUNS },
    );
    console.log(`${RUNS} runs: ${verified} walks verified, ${unverified} not`);
    expect(verified).toBeGreaterThan(0);
  }, 1_800_000);
});

it('a walk over the books of a connection that was removed does not go on in those that came under the same id', async () => {
  const connectionId = 'comes-back';
  const resource: Kind = 'invoices';
  const { connections, walks, records } = harness.store;
  const add = (accountKey: string) => connections.add({ connectionId, targetSystem: 'sevdesk', accountKey }, 'test');
  await add('of the old books');
  let lists = 0;
  const dependencies = activityDependencies(harness);
  const list: MaesnClient['list'] = async () => {
    lists += 1;
    // The list has changed: it is read again. Meanwhile, everything else happens.
    if (lists === 3) {
      await connections.remove(connectionId, 'test');
      await add('of the new books');
      await beginWalk(harness.store, { connectionId, resource, walkId: 'new run' });
    }
    const pagination = { total: lists + 1, totalPages: 2 };
    return { kind: 'page', records: [{ invoiceId: String(lists) }], texts: [], pagination, warnings: [] };
  };
  const pull = createPullResource({
    ...dependencies,
    maesn: { ...dependencies.maesn, list },
    targetSystems: createTargetSystems({ sevdesk: { concurrency: 1 } }),
  });
  const result: unknown = await newAttempt().run(pull, { connectionId, resource, walkId: 'old run' });
  expect(result).toMatchObject({ done: false, pages: 0 });
  expect(await records.count(connectionId)).toEqual({});
  expect(await walks.list(connectionId)).toMatchObject([{ walkId: 'new run', nextPage: 1, completedAt: null }]);
});

describe('the judgement on a pass', () => {
  const calm = {
    pages: 3,
    read: 12,
    total: 12,
    totalChanged: false,
    fingerprint: 'a',
    previousFingerprint: null,
    incremental: true,
  };

  it.each([
    ['one page is one answer', { pages: 1, total: null, incremental: false }, 'complete'],
    ['but not one that holds fewer than it counts', { pages: 1, read: 11 }, 'read again'],
    ['unless it does so twice', { pages: 1, read: 11, previousFingerprint: 'a' }, 'complete'],
    ['an empty list, too', { pages: 1, read: 0, total: 0 }, 'complete'],
    ['counts that agree need only that nothing was added', {}, 'ask for changes'],
    ['where changes cannot be asked for, another pass must agree', { incremental: false }, 'read again'],
    ['another pass agrees', { incremental: false, previousFingerprint: 'a' }, 'complete'],
    ['Maesn does not count', { total: null }, 'read again'],
    ['fewer than counted', { read: 11 }, 'read again'],
    ['pages that count differently', { totalChanged: true, previousFingerprint: 'a' }, 'read again'],
  ] as const)('%s', (_, differences, expected) => {
    expect(judgePass({ ...calm, ...differences })).toBe(expected);
  });

  it.each([
    [0, 0, false],
    [0, 100, false],
    [1, 1, true],
    [100, 100, true],
    [10, 20, false],
    [11, 20, true],
    [20, 100, false],
    [21, 100, true],
  ])('%i of %i gone is a collapse: %s', (gone, held, expected) => {
    expect(isCollapse(gone, held, 0.2)).toBe(expected);
  });
});
