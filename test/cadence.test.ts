/** A connection that keeps failing is asked less often, and as often as before once it is answered. */
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Resource } from '../src/spec/resources.js';
import { cycleIntervalMs } from '../src/spec/cadence.js';
import { atCycleEnds } from './support/cycle-ends.js';
import { startHarness } from './support/harness.js';
import type { Harness } from './support/harness.js';
import { untilIdle, untilRetrying } from './support/sync-states.js';
import { waitFor } from './support/wait.js';

const MINUTE_MS = 60_000;
const HOUR_MS = 60 * MINUTE_MS;
const DAY_MS = 24 * HOUR_MS;

describe('the time from one cycle to the next', () => {
  it('doubles with every cycle in vain, up to a day', () => {
    const intervals = [0, 1, 2, 3, 6, 7, 1_000, 5_000].map((cycles) => cycleIntervalMs(15 * MINUTE_MS, cycles));
    expect(intervals).toEqual([15, 30, 60, 120, 960, 1_440, 1_440, 1_440].map((minutes) => minutes * MINUTE_MS));
  });

  it('is never shorter than was asked for, never falls, and is a day at most where less was asked for', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1_000, max: 999 * DAY_MS }), fc.nat(100), (everyMs, cycles) => {
        const interval = cycleIntervalMs(everyMs, cycles);
        expect(interval).toBeGreaterThanOrEqual(everyMs);
        expect(interval).toBeLessThanOrEqual(Math.max(everyMs, DAY_MS));
        expect(cycleIntervalMs(everyMs, cycles + 1)).toBeGreaterThanOrEqual(interval);
      }),
    );
  });
});

let harness: Harness;
beforeAll(async () => {
  harness = await startHarness();
});
afterAll(() => harness.close());

const idleIn = (connectionId: string, cycle: number) => untilIdle(harness.sync, connectionId, cycle);

async function repeat(resources: readonly Resource[], failing: Readonly<Partial<Record<Resource, number>>>) {
  const { connectionId, account } = await harness.connect({ records: { items: 5, bills: 5, offers: 5 } });
  for (const [resource, times] of Object.entries(failing)) {
    // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- the keys of a record of resources
    account.fault({ resource: resource as Resource, times, answer: { status: 400 } });
  }
  await harness.sync.startSync(connectionId, { resources, every: '1 hour' });
  return { connectionId, account };
}

/** From the end of the last cycle to the start of the next, in hours. */
async function hoursAfter(connectionId: string, cycle: number): Promise<number> {
  const { nextCycleAt, lastReport } = await idleIn(connectionId, cycle + 1);
  const ms = (nextCycleAt?.getTime() ?? 0) - Date.parse(lastReport?.endedAt ?? '');
  return Math.round(ms / MINUTE_MS) / 60;
}

/** Cycles that the application was told of. */
const completed = async (connectionId: string) =>
  (await harness.sync.events({ connectionId })).filter(({ type }) => type === 'sync.completed').length;

it('a sync that does not repeat pulls what webhooks have hinted at meanwhile', async () => {
  const { connectionId, account } = await harness.connect({ records: { items: 5, bills: 5 } });
  account.fault({ resource: 'bills', answer: { status: 429, retryAfter: 3_600 } });
  const { workflowId } = await harness.sync.startSync(connectionId, { resources: ['items', 'bills'] });
  await untilRetrying(harness.sync, connectionId);
  account.put('items', { name: 'new' });
  await harness.store.webhooks.hint(connectionId, 'items', 1);
  await harness.temporal.workflow.getHandle(workflowId).signal('hinted');
  await harness.sync.retryNow(connectionId);
  await harness.temporal.workflow.getHandle(workflowId).result();
  expect((await harness.store.records.count(connectionId)).items).toBe(6);
});

it('a sync that does not repeat, asked for while it is under way, does so once', async () => {
  const { connectionId, account } = await harness.connect({ records: { items: 5, bills: 5 } });
  account.fault({ resource: 'bills', answer: { status: 429, retryAfter: 3_600 } });
  const { workflowId } = await harness.sync.startSync(connectionId, { resources: ['items', 'bills'] });
  await untilRetrying(harness.sync, connectionId);
  account.put('items', { name: 'new' });
  await harness.sync.syncNow(connectionId);
  await harness.sync.retryNow(connectionId);
  await harness.temporal.workflow.getHandle(workflowId).result();
  expect((await harness.store.records.count(connectionId)).items).toBe(6);
  expect(await completed(connectionId)).toBe(2);
});

describe('a repeating sync', () => {
  it('whose cycles bring nothing waits longer after each, says so, and is as before when it is answered', async () => {
    const { connectionId } = await repeat(['items', 'bills'], { items: 3, bills: 3 });
    const waits: number[] = [];
    for (const cycle of [1, 2, 3, 4]) {
      waits.push(await hoursAfter(connectionId, cycle));
      const { failedCycles, summary, nextCycleAt } = await harness.sync.syncStatus(connectionId);
      expect(failedCycles).toBe(cycle % 4);
      const at = nextCycleAt?.toISOString().slice(0, 16).replace('T', ' ');
      if (cycle === 3) expect(summary).toBe(`Asked less often: 3 failed cycles in a row, next at ${at} UTC.`);
      if (cycle === 4) expect(summary).toBe(`Up to date; next cycle at ${at} UTC.`);
      // Whoever asks for it need not wait.
      await harness.sync.syncNow(connectionId);
    }
    expect(waits).toEqual([2, 4, 8, 1]);
    await harness.sync.cancelSync(connectionId);
  });

  it('that brings anything at all is asked as often as before', async () => {
    const { connectionId } = await repeat(['items', 'bills'], { items: 9 });
    for (const cycle of [1, 2]) {
      expect(await hoursAfter(connectionId, cycle)).toBe(1);
      await harness.sync.syncNow(connectionId);
    }
    expect((await idleIn(connectionId, 4)).failedCycles).toBe(0);
    await harness.sync.cancelSync(connectionId);
  });

  it('that is asked for while a cycle is under way is asked once more, right after it', async () => {
    const { connectionId, account } = await repeat(['items', 'bills'], {});
    await idleIn(connectionId, 2);
    account.fault({ resource: 'bills', answer: { status: 429, retryAfter: 3_600 } });
    await harness.sync.syncNow(connectionId);
    await waitFor('the cycle is under way', async () => {
      const status = await harness.sync.syncStatus(connectionId);
      return status.cycle === 2 && status.retry !== undefined;
    });
    // What comes now, this cycle has missed.
    account.put('items', { name: 'new' });
    await harness.sync.syncNow(connectionId);
    await harness.sync.syncNow(connectionId);
    await harness.sync.retryNow(connectionId);
    await idleIn(connectionId, 4);
    expect((await harness.store.records.count(connectionId)).items).toBe(6);
    await harness.sync.cancelSync(connectionId);
  });

  it.each([
    ['a small one', 'items', 5],
    ['one of an Activity', 'units', 600],
  ] as const)('that is asked for just when a cycle ends, %s, is asked once more', async (_, resource, records) => {
    const { connectionId } = await harness.connect({ records: { [resource]: records } });
    atCycleEnds(harness.store, 2, () => harness.sync.syncNow(connectionId));
    await harness.sync.startSync(connectionId, { resources: [resource], every: '1 hour' });
    await idleIn(connectionId, 4);
    expect(await completed(connectionId)).toBe(3);
    await harness.sync.cancelSync(connectionId);
  });

  it('that is asked for twice, the second time just when the cycle ends, is asked once more', async () => {
    const { connectionId } = await repeat(['items'], {});
    await idleIn(connectionId, 2);
    atCycleEnds(harness.store, 1, () => harness.sync.syncNow(connectionId));
    await harness.sync.syncNow(connectionId);
    await idleIn(connectionId, 4);
    expect(await completed(connectionId)).toBe(3);
    await harness.sync.cancelSync(connectionId);
  });

  it('follows the hint of a webhook at once, however long it waits', async () => {
    const { connectionId } = await repeat(['items'], { items: 1 });
    expect(await hoursAfter(connectionId, 1)).toBe(2);
    await harness.store.webhooks.hint(connectionId, 'items', 1);
    await harness.temporal.workflow.getHandle(`sync/${connectionId}`).signal('hinted');
    await waitFor('it is there', async () => (await harness.store.records.count(connectionId)).items === 5);
    await harness.sync.cancelSync(connectionId);
  });
});

describe('a sync that runs already, and is started with an interval', () => {
  const again = (connectionId: string, resources: readonly Resource[], every?: string) =>
    harness.sync.startSync(connectionId, { resources, every });

  it('has those resources and that interval from its next cycle on, and waits no longer than that for it', async () => {
    const { connectionId } = await repeat(['items'], {});
    await idleIn(connectionId, 2);
    expect(await again(connectionId, ['items', 'bills'], '10 minutes')).toMatchObject({ alreadyRunning: true });
    const { nextCycleAt } = await waitFor('it knows', async () => {
      const status = await harness.sync.syncStatus(connectionId);
      return Object.keys(status.resources).length === 2 && status;
    });
    const minutes = ((nextCycleAt?.getTime() ?? 0) - Date.now()) / MINUTE_MS;
    expect(minutes).toBeGreaterThan(9);
    expect(minutes).toBeLessThanOrEqual(10);
    expect(await harness.store.records.count(connectionId)).toEqual({ items: 5 });
    await harness.sync.syncNow(connectionId);
    expect(await hoursAfter(connectionId, 2)).toBeCloseTo(1 / 6);
    expect(await harness.store.records.count(connectionId)).toEqual({ items: 5, bills: 5 });
    await harness.sync.cancelSync(connectionId);
  });

  it('and is asked for while it pulls what was hinted at, is asked at once', async () => {
    const { connectionId, account } = await repeat(['items'], {});
    await idleIn(connectionId, 2);
    account.fault({ resource: 'items', answer: { status: 429, retryAfter: 3_600 } });
    await harness.store.webhooks.hint(connectionId, 'items', 1);
    await harness.temporal.workflow.getHandle(`sync/${connectionId}`).signal('hinted');
    await untilRetrying(harness.sync, connectionId);
    await again(connectionId, ['items', 'bills'], '1 hour');
    await harness.sync.syncNow(connectionId);
    await harness.sync.retryNow(connectionId);
    await idleIn(connectionId, 3);
    expect(await completed(connectionId)).toBe(2);
    await harness.sync.cancelSync(connectionId);
  });

  it('repeats, if it did not, and is as it was without one, or with what is none', async () => {
    const { connectionId, account } = await harness.connect({ records: { items: 5 } });
    account.fault({ resource: 'items', answer: { status: 429, retryAfter: 3_600 } });
    await again(connectionId, ['items']);
    await untilRetrying(harness.sync, connectionId);
    await again(connectionId, ['items'], '2 hours');
    await harness.sync.retryNow(connectionId);
    expect(await hoursAfter(connectionId, 1)).toBe(2);
    await again(connectionId, ['bills']);
    const workflow = harness.temporal.workflow.getHandle(`sync/${connectionId}`);
    for (const plan of [
      undefined,
      { resources: ['items'] },
      { resources: ['nonsense'], everyMs: 1 },
      { resources: [], everyMs: 1 },
      { resources: ['bills'], everyMs: -1 },
    ]) {
      await workflow.signal('plan', plan);
    }
    const { nextCycleAt, resources } = await idleIn(connectionId, 2);
    expect(Object.keys(resources)).toEqual(['items']);
    expect((nextCycleAt?.getTime() ?? 0) - Date.now()).toBeGreaterThan(HOUR_MS);
    await harness.sync.cancelSync(connectionId);
  });
});
