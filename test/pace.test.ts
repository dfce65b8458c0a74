/** The limits of the target systems: never exceeded, and used. */
import { MockActivityEnvironment } from '@temporalio/testing';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createPace } from '../src/activities/pace.js';
import { NEW_PACE, reserve, slowDown, speedUp } from '../src/spec/pace.js';
import type { PaceStates } from '../src/spec/pace.js';
import { TARGET_SYSTEMS, createTargetSystems } from '../src/spec/target-systems.js';
import { writeRecordId } from '../src/workflows/messages.js';
import { MAESN_STATE } from '../src/workflows/search-attributes.js';
import { startHarness } from './support/harness.js';
import type { Harness } from './support/harness.js';
import { openTestStore } from './support/store.js';
import { untilRetrying } from './support/sync-states.js';
import { waitFor } from './support/wait.js';

const START_MS = Date.UTC(2026, 10, 23);
const DAY_MS = 86_400_000;
const { get, scopedLimits } = createTargetSystems();
const LIMITED = Object.keys(TARGET_SYSTEMS).filter((slug) => get(slug).rateLimits.length > 0);

/** The most that fell into any window of that length. */
function most(times: readonly number[], perMs: number): number {
  let from = 0;
  return times.reduce((top, time, index) => {
    while ((times[from] ?? 0) <= time - perMs) from += 1;
    return Math.max(top, index - from + 1);
  }, 0);
}

/** Workers that take turns in batches, each for one of several connections, until `untilMs`; when the requests were sent. */
function work(slug: string, workers: number, connections: number, batch: number, untilMs: number) {
  let states: PaceStates = {};
  const sent: { readonly at: number; readonly connectionId: string }[] = [];
  const nowOf = Array.from({ length: workers }, () => START_MS);
  for (let turn = 0; ; turn += 1) {
    // Whoever is free first.
    const worker = nowOf.indexOf(Math.min(...nowOf));
    const now = nowOf[worker] ?? START_MS;
    if (now >= untilMs) return sent.toSorted((a, b) => a.at - b.at);
    const connectionId = `c${turn % connections}`;
    const reserved = reserve(states, scopedLimits(slug, connectionId), batch, now);
    ({ states } = reserved);
    for (const at of reserved.times) sent.push({ at, connectionId });
    nowOf[worker] = Math.max(now + 1, reserved.times.at(-1) ?? now);
  }
}

describe.each(LIMITED)('%s', (slug) => {
  it.each([1, 3])('with %i Workers exceeds no limit, and uses at least 90 % of the tightest', (workers) => {
    const limits = scopedLimits(slug, 'c0');
    const longest = Math.max(...limits.map(({ limit }) => limit.perMs));
    const spanMs = Math.min(longest * 1.5, 36 * 3_600_000);
    const sent = work(slug, workers, 1, 2, START_MS + spanMs).map(({ at }) => at);
    const usage = limits.map(({ limit }) => ({ limit, share: most(sent, limit.perMs) / limit.requests }));
    for (const { limit, share } of usage) expect(share, `${limit.requests}/${limit.perMs}`).toBeLessThanOrEqual(1);
    expect(Math.max(...usage.map(({ share }) => share))).toBeGreaterThanOrEqual(0.9);
  });

  it('for several connections keeps what counts for all of them', () => {
    const sent = work(slug, 3, 5, 2, START_MS + 60_000);
    for (const { scope, limit } of scopedLimits(slug, 'c0')) {
      const counted = sent.filter(({ connectionId }) => scope.startsWith('client/') || connectionId === 'c0');
      expect(
        most(
          counted.map(({ at }) => at),
          limit.perMs,
        ),
      ).toBeLessThanOrEqual(limit.requests);
    }
  });
});

it.each([
  ['a day’s budget alone', [{ requests: 10, perMs: DAY_MS }]],
  [
    'one with a pace',
    [
      { requests: 7, perMs: 1_000 },
      { requests: 40, perMs: DAY_MS },
    ],
  ],
  [
    'two budgets',
    [
      { requests: 10, perMs: DAY_MS / 4 },
      { requests: 25, perMs: DAY_MS },
    ],
  ],
])('whoever asks whenever, for however many, of %s: no window holds more than its limit, and turns ascend', (_, of) => {
  const limits = of.map((limit) => ({ scope: 's', limit }));
  fc.assert(
    fc.property(
      fc.array(fc.tuple(fc.nat(4 * 3_600_000), fc.integer({ min: 1, max: 6 })), { maxLength: 60 }),
      (asked) => {
        let states: PaceStates = {};
        let now = START_MS;
        const sent: number[] = [];
        for (const [laterMs, count] of asked) {
          now += laterMs;
          const reserved = reserve(states, limits, count, now);
          ({ states } = reserved);
          sent.push(...reserved.times);
          expect(reserved.times.every((time) => time >= now)).toBe(true);
        }
        expect(sent).toEqual(sent.toSorted((a, b) => a - b));
        for (const limit of of) expect(most(sent, limit.perMs)).toBeLessThanOrEqual(limit.requests);
      },
    ),
  );
});

it('a day’s budget is there at once, and comes back as it was used', () => {
  const limits = [{ scope: 's', limit: { requests: 10, perMs: 86_400_000 } }];
  const { times } = reserve({}, limits, 11, START_MS);
  expect(times.slice(0, 10)).toEqual(Array.from({ length: 10 }, () => START_MS));
  expect((times[10] ?? 0) - START_MS).toBeGreaterThanOrEqual(86_400_000);
  expect((times[10] ?? 0) - START_MS).toBeLessThanOrEqual(86_400_000 * (1 + 1 / 48));
});

it('a turn that is too far away is not reserved, and nothing is changed for it', () => {
  const day = { requests: 3, perMs: DAY_MS };
  const limits = [{ requests: 60, perMs: 60_000 }, day].map((limit) => ({ scope: 's', limit }));
  const first = reserve({}, limits, 5, START_MS, 90_000);
  expect(first.times).toHaveLength(3);
  expect(first.far?.limit).toBe(day);
  const again = reserve(first.states, limits, 5, START_MS, 90_000);
  expect(again).toEqual({ states: first.states, times: [], far: first.far });
  // Who has the time still gets it.
  expect(reserve(first.states, limits, 1, START_MS).times).toEqual([first.far?.at]);
});

it('a 429 makes it slower, success faster again, both within bounds', () => {
  let state = NEW_PACE;
  for (let i = 0; i < 20; i += 1) state = slowDown(state);
  expect(state.slowdown).toBe(16);
  const limits = [{ scope: 's', limit: { requests: 60, perMs: 60_000 } }];
  const slow = reserve({ s: { ...state } }, limits, 2, START_MS).times;
  expect((slow[1] ?? 0) - (slow[0] ?? 0)).toBeCloseTo(16_480, 0);
  expect(speedUp(state, 1_000).slowdown).toBe(1);
});

it('Workers share it through the store', async () => {
  const { store } = await openTestStore();
  const limits = scopedLimits('xero', 'shared');
  const reserved = await Promise.all(Array.from({ length: 10 }, () => store.paces.reserve(limits, 3)));
  const waits = reserved.flatMap(({ waitsMs }) => waitsMs).toSorted((a, b) => a - b);
  // Thirty turns, a little more than a second apart; the reservations themselves took some of the time.
  expect(waits.at(-1)).toBeGreaterThan(25_000);
  expect(new Set(waits.map((wait) => Math.round(wait / 500))).size).toBeGreaterThan(25);
  await store.paces.slowDown(['connection/shared']);
  expect((await store.paces.reserve(limits, 1)).isSlow).toBe(true);
  await store.paces.speedUp(['connection/shared'], 1_000);
  expect((await store.paces.reserve(limits, 1)).isSlow).toBe(false);
  await store.close();
});

it('a turn that was missed is not taken late: with others it would be a burst', async () => {
  const { store } = await openTestStore();
  const limit = { requests: 2, perMs: 1_000 };
  const waits = [-30_000, 0];
  const reserveOne: typeof store.paces.reserve = async (_, count) => {
    expect(count).toBe(1);
    return { waitsMs: waits.splice(0, 1), isSlow: false };
  };
  const paced = { ...store, paces: { ...store.paces, reserve: reserveOne } };
  const pace = createPace({ store: paced, limits: [{ scope: 'a', limit }], maxWaitMs: 1_000, name: 'Xero' });
  await new MockActivityEnvironment().run(() => pace.turn());
  expect(waits).toEqual([]);
  await store.close();
});

it.each([1, 9])('an operator’s own limit is what counts: %i requests at once', async (concurrency) => {
  const harness = await startHarness({
    overrides: { MAESN_SYNC_TARGET_SYSTEMS: JSON.stringify({ sevdesk: { concurrency } }) },
    sandbox: { latencyMs: 100 },
  });
  try {
    const { connectionId } = await harness.connect({ records: { items: 3_000 } });
    const { workflowId } = await harness.sync.startSync(connectionId, { resources: ['items'] });
    await harness.temporal.workflow.getHandle(workflowId).result();
    expect(Math.max(...harness.sandbox.requests.map(({ running = 0 }) => running))).toBe(concurrency);
  } finally {
    await harness.close();
  }
});

describe('a day’s budget that is spent', () => {
  const DAILY = { requests: 6, perMs: DAY_MS };
  let harness: Harness;
  beforeAll(async () => {
    const sevdesk = { rateLimits: [DAILY], concurrency: 3 };
    harness = await startHarness({ overrides: { MAESN_SYNC_TARGET_SYSTEMS: JSON.stringify({ sevdesk }) } });
  });
  afterAll(() => harness.close());

  const untilItWaits = (workflowId: string) =>
    waitFor('its next attempt is waited for', async () => {
      const { raw, typedSearchAttributes } = await harness.temporal.workflow.getHandle(workflowId).describe();
      const pending = raw.pendingActivities?.find(({ nextAttemptScheduleTime }) => nextAttemptScheduleTime);
      return typedSearchAttributes.get(MAESN_STATE) === 'Waiting' && pending;
    });

  /** As if a day and a part of one had passed since what the store remembers. */
  const passDayInStore = (connectionId: string) =>
    harness.query(`
      update maesn_sync.paces set state = jsonb_set(state, '{used}', (
        select jsonb_object_agg(name, (select jsonb_object_agg((slot::bigint - 49)::text, sent) from jsonb_each(slots) as one(slot, sent)))
        from jsonb_each(state->'used') as each(name, slots)))
      where scope = 'connection/${connectionId}'`);

  it('is waited for by the retry, and what was fetched before is in the store', async () => {
    const { connectionId, account } = await harness.connect({ records: { items: 800 } });
    const { workflowId } = await harness.sync.startSync(connectionId, { resources: ['items'] });
    const pending = await untilItWaits(workflowId);
    expect(pending.lastFailure?.applicationFailureInfo?.type).toBe('RateLimitSpent');
    const requests = () => harness.sandbox.requests.filter(({ account: name }) => name === account.name);
    // One within the Workflow Task, and five in the Activity: no turn is lost between them.
    expect(requests()).toHaveLength(6);
    expect(await harness.store.records.count(connectionId)).toEqual({ items: 600 });

    const { state, retry, summary } = await harness.sync.syncStatus(connectionId);
    expect(state).toBe('Waiting');
    expect(retry?.message).toMatch(
      /^The rate limit of sevdesk is used up \(6 requests in 1 day\): the next request may be sent in 1d .*, at 20.* It goes on by itself\.$/,
    );
    expect((retry?.nextAttemptAt.getTime() ?? 0) - Date.now()).toBeGreaterThan(DAY_MS - 60_000);
    expect(summary).toMatch(
      /^The rate limit of sevdesk is used up, at items; next attempt in 1d .*\. It goes on by itself\.$/,
    );

    // Asked again too early, it reserves nothing, and is no failure: nobody is told of one.
    let { activityId } = pending;
    for (let early = 0; early < 3; early += 1) {
      await harness.sync.retryNow(connectionId);
      const before = activityId;
      ({ activityId } = await waitFor('it has tried again', async () => {
        const again = await untilItWaits(workflowId);
        return again.activityId !== before && again;
      }));
    }
    expect(requests()).toHaveLength(6);
    expect((await harness.sync.events({ connectionId })).map(({ type }) => type)).toEqual(['sync.started']);

    await passDayInStore(connectionId);
    await harness.sync.retryNow(connectionId);
    await harness.temporal.workflow.getHandle(workflowId).result();
    expect(await harness.store.records.count(connectionId)).toEqual({ items: 800 });
    // Those that are in flight together come in any order.
    const pages = requests().map(({ page }) => Number(page));
    expect(pages.slice(0, 8).toSorted((a, b) => a - b)).toEqual([1, 2, 3, 4, 5, 6, 7, 8]);
  });

  it('holds up a write, which is sent once when it comes back', async () => {
    const { connectionId, account } = await harness.connect({ records: {} });
    await harness.store.paces.reserve([{ scope: `connection/${connectionId}`, limit: DAILY }], DAILY.requests);
    const idempotencyKey = 'order-1';
    await harness.sync.write(connectionId, {
      idempotencyKey,
      operation: 'createInvoice',
      body: { invoiceNumber: 'A-1' },
    });
    await untilItWaits(writeRecordId({ connectionId, idempotencyKey }));
    expect(await harness.sync.writeStatus(connectionId, idempotencyKey)).toMatchObject({ state: 'waiting', sends: 0 });
    await passDayInStore(connectionId);
    await harness.sync.retryNow(connectionId);
    expect(await harness.sync.writeEnd(connectionId, idempotencyKey)).toMatchObject({ outcome: 'applied', sends: 1 });
    expect(account.writes).toHaveLength(1);
  });
});

it('a 429 is waited for as it says, also where the store cannot be told of it', async () => {
  const harness = await startHarness();
  try {
    await harness.query(`alter table maesn_sync.paces add constraint refused check (state->>'slowdown' = '1')`);
    const { connectionId, account } = await harness.connect({ records: { items: 5 }, targetSystem: 'xero' });
    account.fault({ resource: 'items', times: Infinity, answer: { status: 429, retryAfter: 3_600 } });
    await harness.sync.startSync(connectionId, { resources: ['items'] });
    const { retry } = await untilRetrying(harness.sync, connectionId);
    expect(retry).toMatchObject({ type: 'TooManyRequests', status: 429, failures: 1 });
    expect((retry?.nextAttemptAt.getTime() ?? 0) - Date.now()).toBeGreaterThan(3_500_000);

    const write = { idempotencyKey: 'order-1', operation: 'createInvoice', body: { invoiceNumber: 'A-1' } } as const;
    account.fault({ operation: write.operation, times: Infinity, answer: { status: 429, retryAfter: 3_600 } });
    await harness.sync.write(connectionId, write);
    const failure = await waitFor('the write waits', async () => {
      const { raw } = await harness.temporal.workflow.getHandle(writeRecordId({ connectionId, ...write })).describe();
      return raw.pendingActivities?.find(({ lastFailure }) => lastFailure)?.lastFailure;
    });
    expect(failure?.applicationFailureInfo?.type).toBe('TooManyRequests');
    await harness.sync.removeConnection(connectionId);
  } finally {
    await harness.close();
  }
});
