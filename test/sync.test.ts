import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { FAILURE_TYPES, classifyStatus, errorRule } from '../src/spec/error-guide.js';
import { DEFAULT_RESOURCES, RESOURCE_NAMES, resourceRow } from '../src/spec/resources.js';
import type { Resource } from '../src/spec/resources.js';
import type { SyncReport } from '../src/workflows/messages.js';
import { startHarness } from './support/harness.js';
import type { Harness } from './support/harness.js';
import { readEvents } from './support/history.js';
import { expectSameRecords } from './support/records.js';
import { untilIdle } from './support/sync-states.js';
import { waitFor } from './support/wait.js';

let harness: Harness;
beforeAll(async () => {
  harness = await startHarness();
});
afterAll(() => harness.close());

async function run(connectionId: string, resources: readonly Resource[]): Promise<SyncReport> {
  const { workflowId } = await harness.sync.startSync(connectionId, { resources });
  await harness.temporal.workflow
    .getHandle(workflowId)
    .result()
    .catch(() => undefined);
  const { lastReport } = await harness.sync.syncStatus(connectionId);
  if (lastReport === undefined) throw new Error('the sync ended without a report');
  return lastReport;
}

const requestsOf = (name: string) => harness.sandbox.requests.filter(({ account }) => account === name);

describe('a sync', () => {
  it('brings every record of every resource into the store', async () => {
    const records = Object.fromEntries(DEFAULT_RESOURCES.map((resource, index) => [resource, 3 + index * 9]));
    const { connectionId, account } = await harness.connect({ records });
    const report = await run(connectionId, RESOURCE_NAMES);
    expect(Object.values(report.resources).map(({ status }) => status)).toEqual(RESOURCE_NAMES.map(() => 'completed'));
    await expectSameRecords(harness.store, connectionId, account, RESOURCE_NAMES);
  });

  it('begins with the answer to its start, where the Worker is in the same process', async () => {
    const { connectionId } = await harness.connect({ records: { units: 3 } });
    await run(connectionId, ['units']);
    const { events } = await harness.temporal.workflow.getHandle(`sync/${connectionId}`).fetchHistory();
    expect(events?.[0]?.workflowExecutionStartedEventAttributes?.eagerExecutionAccepted).toBe(true);
  });

  it('asks for what has changed the second time, and finds it', async () => {
    const { connectionId, account } = await harness.connect({ records: { customers: 250, units: 120 } });
    await run(connectionId, ['customers', 'units']);
    account.put('customers', { id: 'new-1', companyName: 'Neu GmbH' });
    const before = harness.sandbox.requests.length;
    const report = await run(connectionId, ['customers', 'units']);
    expect(report.resources.customers).toMatchObject({ pages: 1, records: 1 });
    // Units know no lastModifiedAt: they are walked in full.
    expect(report.resources.units).toMatchObject({ pages: 2, records: 120 });
    const customers = harness.sandbox.requests.slice(before).find(({ resource }) => resource === 'customers');
    expect(customers?.lastModifiedAt).toBeDefined();
    await expectSameRecords(harness.store, connectionId, account, ['customers', 'units']);
  });

  it.each([400, 403, 409, 418, 422, 451])(
    'makes one request that is answered %d, and goes on with the others',
    async (status) => {
      const { connectionId, account } = await harness.connect({ records: { bills: 5, items: 5 } });
      account.fault({ resource: 'bills', request: 1, times: Infinity, answer: { status } });
      const report = await run(connectionId, ['bills', 'items']);
      expect(report.resources.bills).toMatchObject({ status: 'failed', failure: { type: classifyStatus(status) } });
      expect(report.resources.items).toMatchObject({ status: 'completed', records: 5 });
      expect(requestsOf(account.name).filter(({ resource }) => resource === 'bills')).toHaveLength(1);
      const sync = await harness.sync.syncStatus(connectionId);
      expect(sync).toMatchObject({ state: 'Failed', failure: { type: 'SyncFailed' } });
      expect(sync.failure?.message).toContain('1 of 2 resources failed: bills');
    },
  );

  it.each([404, 405])('takes %d on a collection for "not supported here", asks once, and ends well', async (status) => {
    const { connectionId, account } = await harness.connect({ records: { offers: 5, items: 5 } });
    account.fault({ resource: 'offers', request: 1, times: Infinity, answer: { status } });
    const report = await run(connectionId, ['offers', 'items']);
    expect(report.resources.offers).toMatchObject({ status: 'unsupported', failure: { type: classifyStatus(status) } });
    expect(requestsOf(account.name).filter(({ resource }) => resource === 'offers')).toHaveLength(1);
    expect((await harness.sync.syncStatus(connectionId)).state).toBe('Completed');
  });

  it('does not take a 404 in the middle of a walk for "not supported here"', async () => {
    const { connectionId, account } = await harness.connect({ records: { offers: 250 } });
    account.fault({ resource: 'offers', page: 2, times: Infinity, answer: { status: 404 } });
    const report = await run(connectionId, ['offers']);
    expect(report.resources.offers).toMatchObject({ status: 'failed', pages: 1, records: 100 });
  });

  it('shows in the failure what Maesn and the target system said', async () => {
    const { connectionId, account } = await harness.connect({ records: { bills: 5 } });
    const downstreamErrors = [{ code: 4711, message: 'invalid GL account reference' }];
    account.fault({
      resource: 'bills',
      request: 1,
      answer: { status: 400, downstreamErrors, errors: ['x'.repeat(9_000)] },
    });
    const { workflowId } = await harness.sync.startSync(connectionId, { resources: ['bills'] });
    await harness.temporal.workflow
      .getHandle(workflowId)
      .result()
      .catch(() => undefined);
    const { events } = await harness.temporal.workflow.getHandle(workflowId).fetchHistory();
    const failed = events?.find(({ activityTaskFailedEventAttributes }) => activityTaskFailedEventAttributes);
    const failure = failed?.activityTaskFailedEventAttributes?.failure;
    expect(failure?.applicationFailureInfo?.type).toBe('BadRequest');
    expect(failure?.message).toBe(
      `GET /accounting/bills, page 1, answered 400, and is not retried. ${errorRule('BadRequest').advice}`,
    );
    const [payload] = failure?.applicationFailureInfo?.details?.payloads ?? [];
    const details: unknown = JSON.parse(Buffer.from(payload?.data ?? []).toString('utf8'));
    expect(details).toMatchObject({ status: 400, page: 1, downstreamErrors });
    expect(Buffer.byteLength(JSON.stringify(details))).toBeLessThan(3_072);
  });

  it('polls a list that is answered with a task', async () => {
    const { connectionId, account } = await harness.connect({
      records: { journalEntries: 30 },
      account: { asyncResources: ['journalEntries'], pollsUntilFinished: 2 },
    });
    await run(connectionId, ['journalEntries']);
    await expectSameRecords(harness.store, connectionId, account, ['journalEntries']);
  });

  it('keeps records that are malformed, and counts them', async () => {
    const { connectionId, account } = await harness.connect({
      records: { invoices: 20 },
      account: {
        malformed: [
          { resource: 'invoices', index: 3, as: 'noKey' },
          { resource: 'invoices', index: 7, as: 'badDate' },
          { resource: 'invoices', index: 9, as: 'notAnObject' },
        ],
      },
    });
    const report = await run(connectionId, ['invoices']);
    expect(report.resources.invoices).toMatchObject({ status: 'completed', records: 20, flagged: 3 });
    await expectSameRecords(harness.store, connectionId, account, ['invoices']);
  });

  it('walks 1,000 pages with at most 40 events and 10 Activities', async () => {
    const { connectionId } = await harness.connect({ records: { accounts: 100_000 } });
    const report = await run(connectionId, ['accounts']);
    expect(report.resources.accounts).toMatchObject({ status: 'completed', pages: 1_000, records: 100_000 });
    const events = await readEvents(harness.temporal, `sync/${connectionId}`);
    expect(events.length).toBeLessThanOrEqual(40);
    expect(events.filter(({ type }) => type === 'ACTIVITY_TASK_SCHEDULED').length).toBeLessThanOrEqual(10);
  }, 300_000);
});

describe('starting', () => {
  it('a sync that runs already finds the running one', async () => {
    const { connectionId, account } = await harness.connect({ records: { items: 5 } });
    account.fault({ resource: 'items', request: 1, answer: 'hang' });
    const starts = await Promise.all(
      [1, 2, 3].map(() => harness.sync.startSync(connectionId, { resources: ['items'] })),
    );
    expect(starts.filter(({ alreadyRunning }) => !alreadyRunning)).toHaveLength(1);
    expect(new Set(starts.map(({ runId }) => runId)).size).toBe(1);
    await harness.sync.cancelSync(connectionId);
  });
});

describe('pausing', () => {
  it('stops within a walk and goes on at the page where it stopped', async () => {
    const { connectionId, account } = await harness.connect({ records: { items: 1_000 } });
    account.fault({ resource: 'items', page: 5, answer: 'hang' });
    await harness.sync.startSync(connectionId, { resources: ['items'] });
    const isAskedFor = (wanted: string) => requestsOf(account.name).some(({ page }) => page === wanted);
    // And whatever is asked for ahead of it.
    await waitFor('page 5 is asked for, and the last one', () => isAskedFor('5') && isAskedFor('10'));
    await waitFor('the pages before it are in the store', async () => {
      const [cursor] = await harness.store.walks.list(connectionId);
      return cursor?.nextPage === 5;
    });
    await harness.sync.pauseSync(connectionId, { reason: 'month-end closing' });
    const paused = await harness.sync.syncStatus(connectionId);
    expect(paused).toMatchObject({
      state: 'Paused',
      holds: [{ kind: 'paused', reason: 'month-end closing' }],
      resource: 'items',
    });
    await expect(harness.sync.pauseSync(connectionId, { reason: 'again' })).rejects.toMatchObject({ code: 'Refused' });

    const asked = requestsOf(account.name).length;
    await harness.sync.resumeSync(connectionId);
    await expect(harness.sync.resumeSync(connectionId)).rejects.toMatchObject({ code: 'Refused' });
    await harness.temporal.workflow.getHandle(`sync/${connectionId}`).result();
    // Those that are asked for at once arrive in any order; what has changed since is asked for from its own page 1.
    const pages = requestsOf(account.name)
      .slice(asked)
      .flatMap(({ page, lastModifiedAt }) => (lastModifiedAt === undefined ? [Number(page)] : []));
    expect(Math.min(...pages)).toBe(5);
    await expectSameRecords(harness.store, connectionId, account, ['items']);
  });

  it('cuts a waiting retry short', async () => {
    const { connectionId, account } = await harness.connect({ records: { items: 5 } });
    account.fault({ resource: 'items', request: 1, answer: { status: 429 } });
    await harness.sync.startSync(connectionId, { resources: ['items'] });
    const { retry } = await waitFor('the retry waits', async () => {
      const status = await harness.sync.syncStatus(connectionId);
      return status.retry === undefined ? undefined : status;
    });
    expect(retry).toMatchObject({ type: 'TooManyRequests' });
    expect(retry?.message).toContain(
      'GET /accounting/items, page 1, answered 429, for the first time in a row; the next attempt is in 1m',
    );
    await harness.sync.pauseSync(connectionId, { reason: 'test' });
    await harness.sync.resumeSync(connectionId);
    await harness.temporal.workflow.getHandle(`sync/${connectionId}`).result();
    await expectSameRecords(harness.store, connectionId, account, ['items']);
  });

  it('refuses nonsense', async () => {
    const { connectionId, account } = await harness.connect({ records: { items: 5 } });
    account.fault({ resource: 'items', request: 1, answer: 'hang' });
    await harness.sync.startSync(connectionId, { resources: ['items'] });
    const handle = harness.temporal.workflow.getHandle(`sync/${connectionId}`);
    await expect(handle.executeUpdate('pause', { args: [] })).rejects.toThrow('Update failed');
    await expect(handle.executeUpdate('pause', { args: [{ reason: 7 }] })).rejects.toThrow('Update failed');
    expect((await harness.sync.syncStatus(connectionId)).state).toBe('Syncing');
    await harness.sync.cancelSync(connectionId);
  });
});

describe('cancelling', () => {
  it('leaves whole pages and a cursor that the next sync goes on from', async () => {
    const { connectionId, account } = await harness.connect({ records: { items: 1_000 } });
    account.fault({ resource: 'items', page: 7, answer: 'hang' });
    await harness.sync.startSync(connectionId, { resources: ['items'] });
    await waitFor('page 7 is asked for', () => requestsOf(account.name).some(({ page }) => page === '7'));
    await harness.sync.cancelSync(connectionId);
    await waitFor('it is cancelled', async () => (await harness.sync.syncStatus(connectionId)).state === 'Cancelled');
    expect(await harness.store.records.count(connectionId)).toEqual({ items: 600 });

    const asked = requestsOf(account.name).length;
    await run(connectionId, ['items']);
    expect(requestsOf(account.name)[asked]).toMatchObject({ page: '7' });
    await expectSameRecords(harness.store, connectionId, account, ['items']);
    await expect(harness.sync.cancelSync(connectionId)).rejects.toMatchObject({ code: 'SyncNotRunning' });
  });
});

describe('a repeating sync', () => {
  it('is cancelled, also where another plan came just before and nobody has seen it yet', async () => {
    const { connectionId } = await harness.connect({ records: { items: 5 } });
    const plan = (every: string) => harness.sync.startSync(connectionId, { resources: ['items'], every });
    await plan('1 hour');
    await untilIdle(harness.sync, connectionId, 2);
    await harness.stopWorker();
    await plan('2 hours');
    await harness.sync.cancelSync(connectionId);
    await harness.startWorker();
    const state = async () => (await harness.sync.syncStatus(connectionId)).state;
    expect(await waitFor('it has ended', async () => (await state()) !== 'Idle' && (await state()))).toBe('Cancelled');
  });

  it('runs again after its interval, and at once when it is asked to', async () => {
    const { connectionId, account } = await harness.connect({ records: { items: 5 } });
    await harness.sync.startSync(connectionId, { resources: ['items'], every: '1 hour' });
    const idle = (cycle: number) =>
      waitFor(`cycle ${cycle} is waited for`, async () => {
        const status = await harness.sync.syncStatus(connectionId);
        return status.state === 'Idle' && requestsOf(account.name).length === cycle ? status : undefined;
      });
    const first = await idle(1);
    expect(first.lastReport?.resources.items).toMatchObject({ status: 'completed', records: 5 });
    const inMs = (first.nextCycleAt?.getTime() ?? 0) - Date.parse(first.lastReport?.startedAt ?? '');
    expect(Math.abs(inMs - 3_600_000)).toBeLessThan(5_000);
    account.put('items', { id: 'late', name: 'Nachzügler' });
    await harness.sync.syncNow(connectionId);
    await idle(2);
    await expectSameRecords(harness.store, connectionId, account, ['items']);
    await harness.sync.cancelSync(connectionId);
    await waitFor('it is cancelled', async () => (await harness.sync.syncStatus(connectionId)).state === 'Cancelled');
  });
});

it('the guide’s non-retryable statuses were all asked for once above', () => {
  const single = FAILURE_TYPES.filter((type) => errorRule(type).action === 'fail').flatMap(
    (type) => errorRule(type).statuses,
  );
  expect(single.filter((status) => typeof status === 'number')).toEqual([400, 403, 404, 405]);
});

it('a resource without key is no exception to "one row per record"', () => {
  expect(RESOURCE_NAMES.filter((resource) => resourceRow(resource).key === null)).toEqual(['trialBalance']);
});
