/** Children: what belongs to single records, asked for parent by parent, over what the store holds of the parents. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { SandboxAccount } from '../sandbox/index.js';
import { CHILD_RESOURCES, DEFAULT_RESOURCES, childPath, parentOf } from '../src/spec/resources.js';
import type { Resource } from '../src/spec/resources.js';
import type { SyncReport } from '../src/workflows/messages.js';
import { untilAwaiting } from './support/sync-states.js';
import { startHarness } from './support/harness.js';
import type { Harness } from './support/harness.js';
import { expectSameRecords } from './support/records.js';
import { waitFor } from './support/wait.js';
import { beginWalk, savePages } from './support/walks.js';

/** A target system that is asked for one parent after the other. */
const ONE_AT_A_TIME = 'abaconnect';
const INVOICES = ['invoices', 'invoiceLineItems'] as const;

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

/** Paths of the requests for a resource, in order. */
const asked = ({ name }: SandboxAccount, resource: Resource) =>
  harness.sandbox.requests.filter((one) => one.account === name && one.resource === resource).map(({ path }) => path);

const invoiceKeys = async (connectionId: string, includeDeleted = false) =>
  (await harness.store.records.list({ connectionId, resource: 'invoices', limit: 10_000, includeDeleted })).map(
    ({ key }) => key,
  );

const lineItemsOf = async (connectionId: string, parentKey: string) =>
  (await harness.store.records.list({ connectionId, resource: 'invoiceLineItems', limit: 10_000 }))
    .map(({ key }) => key)
    .filter((key) => key.startsWith(`${parentKey}/`));

const pathOf = (key: string | undefined) => childPath('invoiceLineItems', key ?? '');
const tell = (account: SandboxAccount, request: number, answer: Parameters<SandboxAccount['fault']>[0]['answer']) =>
  account.fault({ resource: 'invoiceLineItems', request, answer });

describe('a full walk', () => {
  it.each(CHILD_RESOURCES)('brings all %s of all parents into the store', async (resource) => {
    const parent = parentOf(resource);
    const { connectionId, account } = await harness.connect({ records: { [parent]: 12 } });
    const report = await run(connectionId, [parent, resource]);
    expect(report.resources[resource]).toMatchObject({ status: 'completed', pages: 12, totalPages: 12 });
    expect(report.resources[resource]?.records).toBe(account.records(resource).length);
    await expectSameRecords(harness.store, connectionId, account, [resource]);
  });

  it('asks for as many pages as one parent has, and once for every other', async () => {
    const { connectionId, account } = await harness.connect({ records: { dimensionsV2: 4 } });
    await run(connectionId, ['dimensionsV2', 'dimensionValuesV2']);
    // 3, 120, 1 and 250 values.
    expect(asked(account, 'dimensionValuesV2')).toHaveLength(1 + 2 + 1 + 3);
  });

  it('ends at once where there are no parents', async () => {
    const { connectionId, account } = await harness.connect({ records: {} });
    const report = await run(connectionId, INVOICES);
    expect(report.resources.invoiceLineItems).toMatchObject({ status: 'completed', pages: 0, records: 0 });
    expect(asked(account, 'invoiceLineItems')).toEqual([]);
  });

  it('keeps children without key, with the key of another parent’s child, and of parents whose keys hold slashes', async () => {
    const { connectionId, account } = await harness.connect({ records: {} });
    for (const [invoiceId, lineItemIds] of [
      ['a', ['b/c', '1']],
      ['a/b', ['c', '1', null]],
      ['a%2Fb', ['c', 'x'.repeat(200)]],
    ] as const) {
      account.put('invoices', {
        invoiceId,
        lineItems: lineItemIds.map((lineItemId) => ({ lineItemId, name: invoiceId })),
      });
    }
    const report = await run(connectionId, INVOICES);
    expect(report.resources.invoiceLineItems).toMatchObject({ status: 'completed', records: 7, flagged: 2 });
    await expectSameRecords(harness.store, connectionId, account, ['invoiceLineItems']);
    const [first] = await lineItemsOf(connectionId, 'a%2Fb');
    expect(await harness.sync.record(connectionId, 'invoiceLineItems', first ?? '')).toMatchObject({
      record: { name: 'a/b' },
    });
  });

  it('leaves out parents that have no key', async () => {
    const malformed = [{ resource: 'invoices', index: 2, as: 'noKey' }];
    const { connectionId, account } = await harness.connect({ records: { invoices: 5 }, account: { malformed } });
    const report = await run(connectionId, INVOICES);
    expect(report.resources.invoiceLineItems).toMatchObject({ status: 'completed', pages: 4 });
    await expectSameRecords(harness.store, connectionId, account, ['invoiceLineItems']);
  });

  it('polls what is answered with a task', async () => {
    const { connectionId, account } = await harness.connect({
      records: { invoices: 2 },
      account: { asyncResources: ['invoiceLineItems'], pollsUntilFinished: 1 },
    });
    await run(connectionId, INVOICES);
    await expectSameRecords(harness.store, connectionId, account, ['invoiceLineItems']);
  });
});

describe('the second walk', () => {
  it('asks for the children of those parents alone that have changed', async () => {
    const { connectionId, account } = await harness.connect({ records: { invoices: 30 } });
    await run(connectionId, INVOICES);
    const [, changed] = await invoiceKeys(connectionId);
    account.put('invoices', { invoiceId: changed, lineItems: [{ lineItemId: 'new' }] });
    account.put('invoices', { invoiceId: 'zzz' });
    const before = asked(account, 'invoiceLineItems').length;
    const report = await run(connectionId, INVOICES);
    expect(asked(account, 'invoiceLineItems').slice(before)).toEqual([pathOf(changed), pathOf('zzz')]);
    expect(report.resources.invoiceLineItems).toMatchObject({ status: 'completed', pages: 2, totalPages: 2 });
    await expectSameRecords(harness.store, connectionId, account, INVOICES);
  });

  it('asks for nothing where no parent has changed', async () => {
    const { connectionId, account } = await harness.connect({ records: { invoices: 30 } });
    await run(connectionId, INVOICES);
    await run(connectionId, INVOICES);
    expect(asked(account, 'invoiceLineItems')).toHaveLength(30);
    await expectSameRecords(harness.store, connectionId, account, INVOICES);
  });

  it('finds a parent that has changed after its children were asked for', async () => {
    const { connectionId, account } = await harness.connect({ records: { invoices: 10 }, targetSystem: ONE_AT_A_TIME });
    await run(connectionId, ['invoices']);
    tell(account, 5, 'hang');
    await harness.sync.startSync(connectionId, { resources: INVOICES });
    await waitFor('the fifth parent is asked', () => asked(account, 'invoiceLineItems').length === 5);
    const [first] = await invoiceKeys(connectionId);
    account.put('invoices', { invoiceId: first, lineItems: [] });
    await harness.sync.cancelSync(connectionId);
    await waitFor('it is cancelled', async () => (await harness.sync.syncStatus(connectionId)).state === 'Cancelled');
    // The walk is taken up behind that parent; the one after it comes back to it.
    await run(connectionId, INVOICES);
    await run(connectionId, INVOICES);
    await expectSameRecords(harness.store, connectionId, account, INVOICES);
  });

  it('marks line items that are gone as deleted, and takes them back when they come back', async () => {
    const { connectionId, account } = await harness.connect({ records: { invoices: 3 } });
    await run(connectionId, INVOICES);
    const [key = ''] = await invoiceKeys(connectionId);
    const change = async (ids: readonly string[]) => {
      account.put('invoices', { invoiceId: key, lineItems: ids.map((lineItemId) => ({ lineItemId })) });
      await run(connectionId, INVOICES);
      return lineItemsOf(connectionId, key);
    };
    expect(await change(['1', '2'])).toEqual([`${key}/1`, `${key}/2`]);
    expect(await change(['2'])).toEqual([`${key}/2`]);
    expect(
      await harness.store.records.find({ connectionId, resource: 'invoiceLineItems', key: `${key}/1` }),
    ).toMatchObject({
      deletedAt: expect.any(Date),
    });
    expect(await change(['1'])).toEqual([`${key}/1`]);
    await expectSameRecords(harness.store, connectionId, account, INVOICES);
  });

  it('takes the line items of a deleted parent along, and of no other', async () => {
    const { connectionId, account } = await harness.connect({ records: { invoices: 5 } });
    await run(connectionId, INVOICES);
    const [, key = ''] = await invoiceKeys(connectionId);
    account.remove('invoices', key);
    await harness.store.webhooks.markDeleted(connectionId, [{ resource: 'invoices', key, deletedAt: new Date() }]);
    await run(connectionId, INVOICES);
    expect(await lineItemsOf(connectionId, key)).toEqual([]);
    expect(asked(account, 'invoiceLineItems')).toHaveLength(5);
    await expectSameRecords(harness.store, connectionId, account, INVOICES);
  });
});

describe('a walk that is interrupted', () => {
  it('goes on at the same parent after it was cancelled', async () => {
    const { connectionId, account } = await harness.connect({ records: { invoices: 20 }, targetSystem: ONE_AT_A_TIME });
    tell(account, 8, 'hang');
    await harness.sync.startSync(connectionId, { resources: INVOICES });
    await waitFor('the eighth parent is asked', () => asked(account, 'invoiceLineItems').length === 8);
    await harness.sync.cancelSync(connectionId);
    await waitFor('it is cancelled', async () => (await harness.sync.syncStatus(connectionId)).state === 'Cancelled');
    const report = await run(connectionId, INVOICES);
    const keys = await invoiceKeys(connectionId);
    expect(asked(account, 'invoiceLineItems')).toEqual([...keys.slice(0, 8), ...keys.slice(7)].map(pathOf));
    expect(report.resources.invoiceLineItems).toMatchObject({ status: 'completed', pages: 20 });
    await expectSameRecords(harness.store, connectionId, account, INVOICES);
  });

  it('goes on behind the last parent that was written, whoever has written it', async () => {
    const records = { invoices: 20 };
    const { connectionId, account } = await harness.connect({ records });
    await run(connectionId, ['invoices']);
    const keys = await invoiceKeys(connectionId);
    const walk = { connectionId, resource: 'invoiceLineItems' as const };
    const begun = await beginWalk(harness.store, walk);
    expect(begun).toMatchObject({ nextPage: 1, nextParent: keys[0], totalPages: 20, completedAt: null });
    const parent = { ...walk, totalPages: 20, last: false, parents: keys.slice(0, 1), records: [] };
    const [one, two] = await Promise.all([savePages(harness.store, parent), savePages(harness.store, parent)]);
    // Two attempts that hold the same parent: one of them writes.
    expect([one.pages, two.pages]).toEqual([1, 1]);
    expect(await beginWalk(harness.store, walk)).toMatchObject({ nextPage: 2, nextParent: keys[1], pages: 1 });
    await run(connectionId, INVOICES);
    expect(asked(account, 'invoiceLineItems')[0]).toBe(pathOf(keys[1]));
  });

  it('stands still at a 401 and goes on at the same parent', async () => {
    const { connectionId, account } = await harness.connect({ records: { invoices: 10 }, targetSystem: ONE_AT_A_TIME });
    tell(account, 4, 'revoke');
    await harness.sync.startSync(connectionId, { resources: INVOICES });
    await untilAwaiting(harness.sync, connectionId);
    expect(asked(account, 'invoiceLineItems')).toHaveLength(4);
    await harness.sync.reauthorized(connectionId, account.reconnect());
    await harness.temporal.workflow.getHandle(`sync/${connectionId}`).result();
    const keys = await invoiceKeys(connectionId);
    expect(asked(account, 'invoiceLineItems')).toEqual([...keys.slice(0, 4), ...keys.slice(3)].map(pathOf));
    const { lastReport } = await harness.sync.syncStatus(connectionId);
    expect(lastReport?.resources.invoiceLineItems).toMatchObject({ reauthorizations: 1, parkedAtPage: 4, pages: 10 });
    await expectSameRecords(harness.store, connectionId, account, INVOICES);
  });

  it('waits for a rate limit at the same parent', async () => {
    const { connectionId, account } = await harness.connect({ records: { invoices: 4 }, targetSystem: ONE_AT_A_TIME });
    tell(account, 2, { status: 429, retryAfter: 1 });
    await harness.sync.startSync(connectionId, { resources: INVOICES });
    await waitFor('it retries', async () => (await harness.sync.syncStatus(connectionId)).retry?.page === 2);
    await harness.sync.retryNow(connectionId);
    await harness.temporal.workflow.getHandle(`sync/${connectionId}`).result();
    expect(asked(account, 'invoiceLineItems')).toHaveLength(5);
    await expectSameRecords(harness.store, connectionId, account, INVOICES);
  });
});

describe('a parent that is not found', () => {
  it('has no line items any more', async () => {
    const { connectionId, account } = await harness.connect({ records: { invoices: 10 } });
    await run(connectionId, INVOICES);
    const [, key = ''] = await invoiceKeys(connectionId);
    account.put('invoices', { invoiceId: key, reference: 'changed' });
    await run(connectionId, ['invoices']);
    account.remove('invoices', key);
    expect(await lineItemsOf(connectionId, key)).not.toEqual([]);
    const report = await run(connectionId, INVOICES);
    expect(report.resources.invoiceLineItems).toMatchObject({ status: 'completed', pages: 1, records: 0 });
    expect(await lineItemsOf(connectionId, key)).toEqual([]);
    await expectSameRecords(harness.store, connectionId, account, ['invoiceLineItems']);
  });

  it('does not hold up the others', async () => {
    const { connectionId, account } = await harness.connect({ records: { invoices: 10 } });
    tell(account, 1, { status: 404 });
    tell(account, 5, { status: 404 });
    const report = await run(connectionId, INVOICES);
    expect(report.resources.invoiceLineItems).toMatchObject({ status: 'completed', pages: 10 });
    const [first = ''] = await invoiceKeys(connectionId);
    expect(await lineItemsOf(connectionId, first)).toEqual([]);
  });

  it.each([404, 405])(
    'is one of many where the target system has no such children: %d, at most five times',
    async (status) => {
      const unsupported = [{ resource: 'invoiceLineItems', status }];
      const { connectionId, account } = await harness.connect({ records: { invoices: 30 }, account: { unsupported } });
      const report = await run(connectionId, INVOICES);
      expect(report.resources.invoiceLineItems).toMatchObject({ status: 'unsupported', pages: 0 });
      expect(asked(account, 'invoiceLineItems')).toHaveLength(status === 404 ? 5 : 1);
      expect((await harness.sync.syncStatus(connectionId)).state).toBe('Completed');
    },
  );

  it('after others of which none is found any more empties nothing', async () => {
    const { connectionId, account } = await harness.connect({ records: { invoices: 30 } });
    await run(connectionId, INVOICES);
    const counts = await harness.store.records.count(connectionId);
    for (const key of await invoiceKeys(connectionId))
      account.put('invoices', { invoiceId: key, reference: 'changed' });
    account.fault({ resource: 'invoiceLineItems', request: 31, times: Infinity, answer: { status: 404 } });
    const report = await run(connectionId, INVOICES);
    expect(report.resources.invoiceLineItems).toMatchObject({ status: 'unsupported' });
    expect(await harness.store.records.count(connectionId)).toEqual(counts);
  });
});

describe('starting', () => {
  it('a sync of children pulls their parents, too', async () => {
    const { connectionId, account } = await harness.connect({ records: { invoices: 3 } });
    const report = await run(connectionId, ['invoiceLineItems']);
    expect(Object.keys(report.resources)).toEqual(INVOICES);
    await expectSameRecords(harness.store, connectionId, account, INVOICES);
  });

  it('pulls parents first, whatever the order', async () => {
    const { connectionId, account } = await harness.connect({ records: { invoices: 3 } });
    await run(connectionId, INVOICES.toReversed());
    await expectSameRecords(harness.store, connectionId, account, INVOICES);
  });

  it('without resources pulls the collections alone', async () => {
    const { connectionId, account } = await harness.connect({ records: { invoices: 3 } });
    await harness.sync.startSync(connectionId);
    const handle = harness.temporal.workflow.getHandle<() => Promise<SyncReport>>(`sync/${connectionId}`);
    expect(Object.keys((await handle.result()).resources)).toEqual(DEFAULT_RESOURCES);
    expect(asked(account, 'invoiceLineItems')).toEqual([]);
  });
});

it('keeps the pace that the target system allows', async () => {
  // 100 requests in 5 seconds: 50 ms apart.
  const { connectionId, account } = await harness.connect({ records: { invoices: 20 }, targetSystem: 'datev-rewe' });
  await run(connectionId, INVOICES);
  const times = harness.sandbox.requests
    .filter(({ account: name, resource }) => name === account.name && resource === 'invoiceLineItems')
    .map(({ time }) => Date.parse(time));
  expect(times).toHaveLength(20);
  // Nineteen gaps; arrivals may swing by a few.
  expect((times.at(-1) ?? 0) - (times[0] ?? 0)).toBeGreaterThanOrEqual(17 * 50);
});
