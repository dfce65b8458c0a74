/** What is not listed any more is marked as deleted, and nothing else ever is. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { SandboxAccount } from '../sandbox/index.js';
import { decideDeletesUpdate, pauseUpdate } from '../src/workflows/messages.js';
import type { SyncReport } from '../src/workflows/messages.js';
import { startHarness } from './support/harness.js';
import type { Harness } from './support/harness.js';
import { expectSameRecords } from './support/records.js';
import { waitFor } from './support/wait.js';

const RESOURCE = 'customers';
const RECORDS = 250;

let harness: Harness;
beforeAll(async () => {
  // Every walk is a full one.
  harness = await startHarness({ overrides: { MAESN_SYNC_FULL_WALK_EVERY: '1 ms' } });
});
afterAll(() => harness.close());

interface Books {
  readonly connectionId: string;
  readonly account: SandboxAccount;
  /** Called before the next lists are answered. */
  onList: ((list: number) => void) | undefined;
}

/** All in the store. */
async function pulled(targetSystem = 'abaconnect'): Promise<Books> {
  let lists = 0;
  const books: { onList: Books['onList'] } = { onList: undefined };
  const beforeList = () => {
    if (books.onList !== undefined) books.onList((lists += 1));
  };
  const opened = await harness.connect({ records: { [RESOURCE]: RECORDS }, targetSystem, account: { beforeList } });
  await run(opened.connectionId);
  return Object.assign(books, opened);
}

async function run(connectionId: string): Promise<SyncReport['resources'][typeof RESOURCE]> {
  const { workflowId } = await harness.sync.startSync(connectionId, { resources: [RESOURCE] });
  await harness.temporal.workflow
    .getHandle(workflowId)
    .result()
    .catch(() => undefined);
  return (await harness.sync.syncStatus(connectionId)).lastReport?.resources[RESOURCE];
}

const keysOf = async (connectionId: string) =>
  (await harness.store.records.list({ connectionId, resource: RESOURCE, limit: 10_000 })).map(({ key }) => key);

async function removeSome({ account, connectionId }: Books, count: number): Promise<string[]> {
  const keys = (await keysOf(connectionId)).slice(0, count);
  for (const key of keys) account.remove(RESOURCE, key);
  return keys;
}

const untilHeld = (connectionId: string) =>
  waitFor('it is held', async () => (await harness.sync.syncStatus(connectionId)).state === 'Held');

describe('what is not listed any more', () => {
  it('is marked by a full walk, with the time, and read on request', async () => {
    const books = await pulled();
    const [key = '', ...others] = await removeSome(books, 5);
    expect(await run(books.connectionId)).toMatchObject({ status: 'completed', verified: true, deleted: 5 });
    await expectSameRecords(harness.store, books.connectionId, books.account, [RESOURCE]);
    const found = await harness.store.records.find({ connectionId: books.connectionId, resource: RESOURCE, key });
    expect(found?.deletedAt).toBeInstanceOf(Date);
    expect(others).toHaveLength(4);
  });

  it('is taken back when it returns', async () => {
    const books = await pulled();
    const [key = ''] = await removeSome(books, 1);
    await run(books.connectionId);
    books.account.put(RESOURCE, { id: key });
    await run(books.connectionId);
    await expectSameRecords(harness.store, books.connectionId, books.account, [RESOURCE]);
  });
});

describe('nothing is deleted', () => {
  it('by a walk that ends in the middle with 403', async () => {
    const books = await pulled();
    await removeSome(books, 5);
    books.account.fault({ resource: RESOURCE, page: 2, times: Infinity, answer: { status: 403 } });
    expect(await run(books.connectionId)).toMatchObject({ status: 'failed', failure: { type: 'Forbidden' } });
    expect(await keysOf(books.connectionId)).toHaveLength(RECORDS);
  });

  it('by a walk that is cut off', async () => {
    const books = await pulled();
    await removeSome(books, 5);
    books.account.fault({ resource: RESOURCE, page: 2, answer: 'hang' });
    await harness.sync.startSync(books.connectionId, { resources: [RESOURCE] });
    await waitFor('it hangs', () =>
      harness.sandbox.requests.some(({ account, fault }) => account === books.account.name && fault === 'hang'),
    );
    await harness.sync.cancelSync(books.connectionId);
    await waitFor('it is cancelled', async () =>
      ['Cancelled'].includes((await harness.sync.syncStatus(books.connectionId)).state),
    );
    expect(await keysOf(books.connectionId)).toHaveLength(RECORDS);
    // Negative control: the walk that takes it up deletes them.
    expect(await run(books.connectionId)).toMatchObject({ verified: true, deleted: 5 });
  });

  it('by a walk whose list went on changing, which is said', async () => {
    const books = await pulled();
    const keys = await keysOf(books.connectionId);
    // A record that was read goes away between two pages: one that is still there slides past.
    books.onList = (list) => {
      if (list % 3 === 2) books.account.remove(RESOURCE, keys[list] ?? '');
    };
    expect(await run(books.connectionId)).toMatchObject({
      status: 'completed',
      passes: 3,
      verified: false,
      deleted: 0,
    });
    expect(await keysOf(books.connectionId)).toHaveLength(RECORDS);
    books.onList = undefined;
    expect(await run(books.connectionId)).toMatchObject({ verified: true, deleted: 3 });
    await expectSameRecords(harness.store, books.connectionId, books.account, [RESOURCE]);
  });

  it.each([
    ['an empty list', RECORDS, `${RECORDS} of ${RECORDS}`],
    ['a list that has lost more than the guard lets pass', 60, `60 of ${RECORDS}`],
  ])('by %s until somebody confirms it', async (_, gone, said) => {
    const books = await pulled();
    const { connectionId, account } = books;
    await removeSome(books, gone);
    await harness.sync.startSync(connectionId, { resources: [RESOURCE] });
    await untilHeld(connectionId);
    expect(await keysOf(connectionId)).toHaveLength(RECORDS);
    const { holds, summary } = await harness.sync.syncStatus(connectionId);
    expect(holds).toMatchObject([{ kind: 'delete_guard', placedBy: 'maesn-sync' }]);
    expect(summary).toContain(`${said} ${RESOURCE} are not listed any more`);
    const told = async () =>
      (await harness.sync.events({ connectionId })).filter(({ type }) => type === 'sync.deletes_withheld');
    await waitFor('the application is told', async () => (await told()).length > 0);
    expect(await told()).toMatchObject([{ data: { resource: RESOURCE, gone, listed: RECORDS - gone } }]);

    await harness.sync.decideDeletes(connectionId, { decision: 'delete' });
    await harness.temporal.workflow.getHandle(`sync/${connectionId}`).result();
    await expectSameRecords(harness.store, connectionId, account, [RESOURCE]);
    const { lastReport } = await harness.sync.syncStatus(connectionId);
    expect(lastReport?.resources[RESOURCE]).toMatchObject({ status: 'completed', verified: true, deleted: gone });
    const confirmed = (await harness.store.journal.list({ connectionId, limit: 10 })).find(
      ({ action }) => action === 'deletes.confirmed',
    );
    expect(confirmed?.detail).toEqual({ resource: RESOURCE, gone });
  });

  it('when the answer is to keep it; the next full walk asks again', async () => {
    const books = await pulled();
    const { connectionId } = books;
    await removeSome(books, 100);
    await harness.sync.startSync(connectionId, { resources: [RESOURCE] });
    await untilHeld(connectionId);
    await harness.sync.decideDeletes(connectionId, { decision: 'keep' });
    await harness.temporal.workflow.getHandle(`sync/${connectionId}`).result();
    expect(await keysOf(connectionId)).toHaveLength(RECORDS);
    await harness.sync.startSync(connectionId, { resources: [RESOURCE] });
    await untilHeld(connectionId);
    await expect(harness.sync.resumeSync(connectionId)).rejects.toThrow('is not paused');
    await harness.sync.cancelSync(connectionId);
  });
});

describe('a decision on deletes', () => {
  it('can be given to the Workflow, and only while one is wanted', async () => {
    const books = await pulled();
    const { connectionId, account } = books;
    await removeSome(books, 100);
    await expect(harness.sync.decideDeletes(connectionId, { decision: 'keep' })).rejects.toThrow(
      'No deletes of connection',
    );
    await harness.sync.startSync(connectionId, { resources: [RESOURCE] });
    await untilHeld(connectionId);
    const handle = harness.temporal.workflow.getHandle(`sync/${connectionId}`);
    const wrong: unknown[] = [{ decision: 'maybe' }, {}, undefined, { decision: 'delete', by: '' }];
    for (const args of wrong) {
      await expect(handle.executeUpdate('decideDeletes', { args: [args] })).rejects.toThrow('Update failed');
    }
    expect(await keysOf(connectionId)).toHaveLength(RECORDS);
    // A pause beside it stays when the guard is lifted.
    await handle.executeUpdate(pauseUpdate, { args: [{ reason: 'a closer look' }] });
    const status = await handle.executeUpdate(decideDeletesUpdate, { args: [{ decision: 'delete' }] });
    expect(status.holds.map(({ kind }) => kind)).toEqual(['paused']);
    await harness.sync.resumeSync(connectionId);
    await handle.result();
    await expectSameRecords(harness.store, connectionId, account, [RESOURCE]);
  });
});

describe('a record', () => {
  it('does not go back to an older version', async () => {
    const { connectionId, account } = await pulled();
    const [key = ''] = await keysOf(connectionId);
    const newer = { id: key, companyName: 'Neu GmbH' };
    account.put(RESOURCE, newer);
    await run(connectionId);
    const find = () => harness.store.records.find({ connectionId, resource: RESOURCE, key });
    const before = await find();
    // What a page shows that was read before the change and is written after it.
    const { store } = harness;
    const walk = { connectionId, resource: RESOURCE, walkId: 'late' } as const;
    await store.walks.begin({ ...walk, now: new Date(), fullEveryMs: 1 });
    const old = { key, parentKey: null, json: Buffer.from(JSON.stringify({ id: key })), hash: 'old', problems: null };
    const page = { page: 1, pages: 1, keys: [key], totalPages: 9, totalRecords: 900, last: false };
    const write = (modifiedAt: Date | null) =>
      store.walks.savePages({
        ...walk,
        ...page,
        pass: 1,
        phase: 'pages',
        records: [{ ...old, modifiedAt }],
        maximumDeletedShare: 1,
      });
    await write(new Date('2020-01-01'));
    expect(await find()).toEqual(before);
    // Negative control: without a date there is nothing to hold against it.
    await store.walks.savePages({
      ...walk,
      ...page,
      page: 2,
      pass: 1,
      phase: 'pages',
      records: [{ ...old, modifiedAt: null }],
      maximumDeletedShare: 1,
    });
    expect((await find())?.record).toEqual({ id: key });
  });
});
