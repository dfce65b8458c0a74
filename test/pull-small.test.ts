/** What is small is pulled within the Workflow Task; what that does not bring to its end, an Activity does, as the error guide says. */
import { MockActivityEnvironment } from '@temporalio/testing';
import { afterAll, beforeAll, describe, expect, it, onTestFinished, vi } from 'vitest';
import { createActivities } from '../src/activities/index.js';
import type { Resource } from '../src/spec/resources.js';
import type { SmallPulls, SyncConnectionStatus } from '../src/workflows/messages.js';
import { activityDependencies } from './support/activities.js';
import { readActivities } from './support/history.js';
import { startHarness } from './support/harness.js';
import type { Harness } from './support/harness.js';
import { expectSameRecords } from './support/records.js';
import { waitFor } from './support/wait.js';

let harness: Harness;
beforeAll(async () => {
  harness = await startHarness({ overrides: { MAESN_RETRY_TIME_SCALE: '60', MAESN_TIMEOUT: '2 seconds' } });
});
afterAll(() => harness.close());

/** Of a resource of which no list of changes can be had. */
const LARGE = 1_000;

type Connected = Awaited<ReturnType<Harness['connect']>>;

/** After its first cycle. */
async function idle({
  resources = ['customers', 'items'],
  targetSystem = 'sevdesk',
  unsupported = [],
}: { resources?: Resource[]; targetSystem?: string; unsupported?: object[] } = {}) {
  const records = { customers: 5, items: 5, units: LARGE, accounts: 5 };
  const connected = await harness.connect({ records, targetSystem, account: { unsupported } });
  const { connectionId } = connected;
  await harness.sync.startSync(connectionId, { resources, every: '1 hour' });
  await inCycle(connectionId, 2, ({ state }) => state === 'Idle');
  return connected;
}

const inCycle = (connectionId: string, cycle: number, is: (status: SyncConnectionStatus) => boolean) =>
  waitFor(`cycle ${cycle}`, async () => {
    const handle = harness.temporal.workflow.getHandle(`sync/${connectionId}`);
    const status = await handle.query<SyncConnectionStatus>('status');
    return status.cycle === cycle && is(status) && status;
  });

const done = (connectionId: string) => inCycle(connectionId, 3, ({ state }) => state === 'Idle');

/** The second cycle, to its end. */
async function again({ connectionId }: Connected): Promise<SyncConnectionStatus> {
  await harness.sync.syncNow(connectionId);
  return done(connectionId);
}

/** Of the second cycle: a cycle is a run, and the third one waits. */
async function activities(connectionId: string): Promise<string[]> {
  const workflowId = `sync/${connectionId}`;
  const { events } = await harness.temporal.workflow.getHandle(workflowId).fetchHistory();
  const second = events?.[0]?.workflowExecutionStartedEventAttributes?.continuedExecutionRunId ?? '';
  return readActivities(harness.temporal, workflowId, second);
}

/** The Activity that is under way, once it has failed. */
async function failedActivity(connectionId: string) {
  const { raw } = await harness.temporal.workflow.getHandle(`sync/${connectionId}`).describe();
  return raw.pendingActivities?.find(({ lastFailure }) => lastFailure);
}

const requestsSince = ({ account }: Connected, at: number) =>
  harness.sandbox.requests.filter(({ account: of }) => of === account.name).slice(at);

describe('the first cycle', () => {
  it('of little schedules no Activity either', async () => {
    const { connectionId, account } = await idle();
    expect(await activities(connectionId)).toEqual(['beginCycle (local)']);
    await expectSameRecords(harness.store, connectionId, account, ['customers', 'items']);
  });

  it('leaves what turns out to be large to an Activity, which goes on behind its first page', async () => {
    const connected = await idle({ resources: ['units', 'items'] });
    const names = await activities(connected.connectionId);
    expect(names).toEqual(['beginCycle (local)', 'pullResource', 'pullSmall (local)', 'tellApplication (local)']);
    const pages = requestsSince(connected, 0).filter(({ resource }) => resource === 'units');
    // Twice, since nothing tells what has changed meanwhile; none a third time.
    const twice = Array.from({ length: 20 }, (_, index) => Math.floor(index / 2) + 1);
    expect(pages.map(({ page }) => Number(page)).toSorted((a, b) => a - b)).toEqual(twice);
  });

  it('leaves children to an Activity, however many there are', async () => {
    const { connectionId } = await idle({ resources: ['invoices', 'invoiceLineItems'] });
    expect(await activities(connectionId)).toContain('pullResource');
  });
});

describe('a cycle', () => {
  it('without news schedules no Activity', async () => {
    const connected = await idle();
    const report = await again(connected);
    expect(await activities(connected.connectionId)).toEqual(['beginCycle (local)']);
    expect(report.lastReport?.resources['items']).toMatchObject({ status: 'completed', retries: 0 });
  });

  it('tells the application what it reports, also of what is not offered', async () => {
    const connected = await idle({ unsupported: [{ resource: 'items', status: 404 }] });
    const { connectionId } = connected;
    const { lastReport } = await again(connected);
    expect(lastReport?.resources).toMatchObject({
      customers: { status: 'completed' },
      items: { status: 'unsupported' },
    });
    expect(await activities(connectionId)).toEqual(['beginCycle (local)']);
    const events = await harness.sync.events({ connectionId });
    const second = events.filter(({ data }) => data['cycle'] === 2);
    expect(second.map(({ type }) => type)).toEqual(['sync.started', 'sync.completed']);
    const { runId } = second[0]?.data ?? {};
    // The Workflow has its own clock.
    const endedAt = expect.any(String);
    expect(second[1]?.data).toEqual({ runId, cycle: 2, ...JSON.parse(JSON.stringify(lastReport)), endedAt });
  });

  it('with news does not either, and they are in the store', async () => {
    const connected = await idle();
    const { connectionId, account } = connected;
    account.put('items', { itemNumber: 'new' });
    account.put('customers', { number: 'new' });
    await again(connected);
    expect(await activities(connectionId)).not.toContain('pullResource');
    await expectSameRecords(harness.store, connectionId, account, ['customers', 'items']);
  });

  it('leaves what is large to an Activity, and goes on with what is small behind it', async () => {
    const connected = await idle({ resources: ['customers', 'units', 'items', 'accounts'] });
    const { lastReport } = await again(connected);
    const names = await activities(connected.connectionId);
    expect(names).toEqual(['beginCycle (local)', 'pullResource', 'pullSmall (local)', 'tellApplication (local)']);
    expect(Object.values(lastReport?.resources ?? {}).map(({ status }) => status)).toEqual(Array(4).fill('completed'));
  });

  it('of a target system that runs one request at a time is left to Activities', async () => {
    const connected = await idle({ targetSystem: 'abaconnect' });
    await again(connected);
    const names = await activities(connected.connectionId);
    expect(names.filter((name) => name === 'pullResource')).toHaveLength(2);
  });
});

describe('a failure within the Workflow Task', () => {
  it('that is tried again is the first of an Activity: same message, the delay of the guide, counted on, no request more', async () => {
    const connected = await idle();
    const { connectionId, account } = connected;
    const before = requestsSince(connected, 0).length;
    account.fault({ resource: 'customers', times: 2, answer: { status: 429 } });
    await harness.sync.syncNow(connectionId);
    const pending = await waitFor('the Activity waits', () => failedActivity(connectionId));
    expect(pending.activityType?.name).toBe('pullResource');
    expect(pending.lastFailure?.applicationFailureInfo?.type).toBe('TooManyRequests');
    expect(pending.lastFailure?.message).toContain('answered 429, for the first time in a row; the next attempt is in');
    expect(requestsSince(connected, before).filter(({ resource }) => resource === 'customers')).toHaveLength(1);

    await waitFor('it has failed twice', async () =>
      (await failedActivity(connectionId))?.lastFailure?.message?.includes('2 times in a row'),
    );
    expect((await done(connectionId)).lastReport?.resources['customers']).toMatchObject({
      status: 'completed',
      retries: 2,
    });
    const times = requestsSince(connected, before)
      .filter(({ resource }) => resource === 'customers')
      .map(({ time }) => Date.parse(time));
    // A minute, sixtyfold faster, and then two.
    expect(times).toHaveLength(3);
    expect((times[1] ?? 0) - (times[0] ?? 0)).toBeGreaterThan(950);
    expect((times[2] ?? 0) - (times[1] ?? 0)).toBeGreaterThan(1_950);
  });

  it('401 waits for reauthorisation, and goes on', async () => {
    const connected = await idle();
    const { connectionId, account } = connected;
    account.fault({ resource: 'customers', answer: 'revoke' });
    await harness.sync.syncNow(connectionId);
    await inCycle(connectionId, 2, ({ state }) => state === 'AwaitingReauthorization');
    await harness.sync.reauthorized(connectionId, account.reconnect());
    const { lastReport } = await done(connectionId);
    expect(lastReport?.resources['customers']).toMatchObject({ status: 'completed', reauthorizations: 1 });
  });

  it('takes nothing from what was pulled before it, and what follows is small again', async () => {
    const connected = await idle({ resources: ['customers', 'items', 'accounts'] });
    const before = requestsSince(connected, 0).length;
    connected.account.fault({ resource: 'items', answer: { status: 429 } });
    const { lastReport } = await again(connected);
    expect(lastReport?.resources).toMatchObject({
      customers: { retries: 0 },
      items: { retries: 1 },
      accounts: { retries: 0 },
    });
    expect(requestsSince(connected, before).map(({ resource }) => resource)).toEqual([
      'customers',
      'items',
      'items',
      'accounts',
    ]);
    expect(await activities(connected.connectionId)).toEqual([
      'beginCycle (local)',
      'pullResource',
      'pullSmall (local)',
      'tellApplication (local)',
    ]);
  });

  it('that is final is that of an Activity, too, and no request more', async () => {
    const connected = await idle();
    const before = requestsSince(connected, 0).length;
    connected.account.fault({ resource: 'customers', answer: { status: 400 } });
    const { lastReport } = await again(connected);
    expect(lastReport?.resources).toMatchObject({ customers: { status: 'failed' }, items: { status: 'completed' } });
    expect(requestsSince(connected, before).map(({ resource }) => resource)).toEqual(['customers', 'items']);
    expect(await activities(connected.connectionId)).toContain('pullResource');
  });

  it('of the store is tried again by an Activity', async () => {
    const connected = await idle();
    const { connectionId } = connected;
    await harness.query(`alter table maesn_sync.hints rename to hints_away`);
    try {
      await harness.sync.syncNow(connectionId);
      await waitFor('the Activity waits', async () => {
        const activity = await failedActivity(connectionId);
        return activity?.lastFailure?.applicationFailureInfo?.type === 'Unexpected';
      });
    } finally {
      await harness.query(`alter table maesn_sync.hints_away rename to hints`);
    }
    expect((await done(connectionId)).lastReport?.resources['customers']).toMatchObject({ status: 'completed' });
  });
});

describe('a store that fails', () => {
  const failing = (times: number, after = 0) => {
    const { walks } = harness.store;
    const small = walks.small.bind(walks);
    let calls = 0;
    const reading = vi.spyOn(walks, 'small').mockImplementation(async (input) => {
      calls += 1;
      if (calls > after && calls <= after + times) throw new Error('the store is away');
      return small(input);
    });
    onTestFinished(() => reading.mockRestore());
  };

  it('behind what was large leaves the rest to Activities', async () => {
    failing(1, 1);
    const { connectionId } = await idle({ resources: ['units', 'items'] });
    expect((await inCycle(connectionId, 2, () => true)).lastReport?.resources).toMatchObject({
      units: { status: 'completed' },
      items: { status: 'completed' },
    });
    expect((await activities(connectionId)).filter((name) => name === 'pullResource')).toHaveLength(2);
  });

  it('at the begin of a cycle is asked again, and the application is told once', async () => {
    failing(1);
    const { connectionId } = await idle();
    const told = (await harness.sync.events({ connectionId })).map(({ type }) => type);
    expect(told).toEqual(['sync.started', 'sync.completed']);
  });
});

/** In its second cycle, at its first request. */
async function hanging(): Promise<string> {
  const connected = await idle();
  const { connectionId, account } = connected;
  account.fault({ resource: 'customers', answer: 'hang' });
  const before = requestsSince(connected, 0).length;
  await harness.sync.syncNow(connectionId);
  await waitFor('it hangs', () => requestsSince(connected, before).length > 0);
  return connectionId;
}

describe('what takes long', () => {
  it('is paused while it is under way, and resumed', async () => {
    const connectionId = await hanging();
    await harness.sync.pauseSync(connectionId, { reason: 'to be seen' });
    await inCycle(connectionId, 2, ({ state }) => state === 'Paused');
    await harness.sync.resumeSync(connectionId);
    expect((await done(connectionId)).lastReport?.resources['customers']).toMatchObject({ status: 'completed' });
  });

  it('is gone on with by the next Worker, where one stops meanwhile', async () => {
    const connectionId = await hanging();
    await harness.stopWorker();
    await harness.startWorker();
    expect((await done(connectionId)).lastReport?.resources).toMatchObject({
      customers: { status: 'completed' },
      items: { status: 'completed' },
    });
  });

  it('is ended by a hold, and by whoever cancels the sync, once Temporal tells the Worker', async () => {
    // The Workflow hears of it with the next heartbeat of its task, after eight seconds.
    const slow = await startHarness({ overrides: { MAESN_TIMEOUT: '1 minute' } });
    try {
      const start = async () => {
        const { connectionId, account } = await slow.connect({ records: { customers: 5 } });
        account.fault({ resource: 'customers', answer: 'hang' });
        await slow.sync.startSync(connectionId, { resources: ['customers'] });
        return connectionId;
      };
      const [held, cancelled] = [await start(), await start()];
      await waitFor('both hang', () => slow.sandbox.requests.length >= 2);
      await slow.sync.pauseSync(held, { reason: 'to be seen' });
      await slow.sync.cancelSync(cancelled);
      const handle = slow.temporal.workflow.getHandle(`sync/${held}`);
      await waitFor('it is paused', async () => {
        const { state } = await handle.query<SyncConnectionStatus>('status');
        return state === 'Paused';
      });
      await expect(slow.temporal.workflow.getHandle(`sync/${cancelled}`).result()).rejects.toThrow('cancelled');
      for (const id of [held, cancelled])
        expect(await readActivities(slow.temporal, `sync/${id}`)).not.toContain('pullResource');
      await slow.sync.resumeSync(held);
      await handle.result();
    } finally {
      await slow.close();
    }
  });

  it('keeps no more than twenty Workflow Tasks of a Worker', async () => {
    const { connectionId, account } = await idle();
    const { pullSmall } = createActivities(activityDependencies(harness));
    account.fault({ resource: 'customers', times: 20, answer: 'hang' });
    const call = (walkId: string): Promise<SmallPulls> =>
      new MockActivityEnvironment({ isLocal: true }).run(() =>
        pullSmall({ connectionId, resources: ['customers'], walkId }),
      );
    const pulls = await Promise.all(Array.from({ length: 22 }, (_, n) => call(`walk-${n}`)));
    expect(pulls.filter(({ failed }) => failed?.met?.details.type === 'NoResponse')).toHaveLength(20);
    const notBegun = { done: false, pages: 0, records: 0, flagged: 0, retries: 0 };
    expect(pulls.flatMap(({ results }) => results.customers ?? [])).toEqual([notBegun, notBegun]);
  });
});
