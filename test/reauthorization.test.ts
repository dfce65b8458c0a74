import { afterAll, beforeAll, describe, expect, it, onTestFinished, vi } from 'vitest';
import { RESOURCE_NAMES } from '../src/spec/resources.js';
import { createTargetSystems } from '../src/spec/target-systems.js';
import type { Resource } from '../src/spec/resources.js';
import { reauthorizationStatusQuery } from '../src/workflows/messages.js';
import type { SyncReport } from '../src/workflows/messages.js';
import { openConnection, triedVersion } from '../src/activities/open-connection.js';
import { untilAwaiting } from './support/sync-states.js';
import { startHarness } from './support/harness.js';
import type { Harness } from './support/harness.js';
import { readActivities } from './support/history.js';
import { expectSameRecords } from './support/records.js';
import { waitFor } from './support/wait.js';

let harness: Harness;
beforeAll(async () => {
  harness = await startHarness();
});
afterAll(() => harness.close());

/** With several requests in flight, as many can meet the 401; see the last test. */
const ONE_AT_A_TIME = { targetSystem: 'abaconnect' } as const;

const TWELVE: readonly Resource[] = RESOURCE_NAMES.slice(0, 12);

const requestsOf = (name: string) => harness.sandbox.requests.filter(({ account }) => account === name);
const refusals = (name: string) => requestsOf(name).filter(({ status }) => status === 401);

async function eventsOf(connectionId: string): Promise<string[]> {
  const events = await harness.sync.events({ limit: 1_000, connectionId });
  return events.map(({ type }) => type).filter((type) => type.startsWith('connection.'));
}

const awaiting = (connectionId: string) => untilAwaiting(harness.sync, connectionId);

const closed = (workflowId: string) =>
  waitFor(`${workflowId} has ended`, async () => {
    const { status } = await harness.temporal.workflow.getHandle(workflowId).describe();
    return status.name !== 'RUNNING' && status.name;
  });

const told = (connectionId: string, type: string) =>
  waitFor(`${type} is told`, async () => (await eventsOf(connectionId)).includes(type));

/** The end user is asked, and nothing is under way: a Query is answered after every Signal before it has been handled. */
async function untilKeyIsAwaited(connectionId: string): Promise<void> {
  await told(connectionId, 'connection.reauthorization_required');
  await waitFor('a key is awaited', async () => {
    const handle = harness.temporal.workflow.getHandle(`reauthorize/${connectionId}`);
    return (await handle.query(reauthorizationStatusQuery)).state === 'AwaitingReauthorization';
  });
}

/** It has met a 401 at the second page of three. */
async function syncThatWaits() {
  const opened = await harness.connect({ records: { items: 250 }, ...ONE_AT_A_TIME });
  opened.account.fault({ resource: 'items', page: 2, answer: 'revoke' });
  await harness.sync.startSync(opened.connectionId, { resources: ['items'] });
  await awaiting(opened.connectionId);
  return opened;
}

/** Another Workflow of the same connection, such as a write: it meets the 401 without a request, and joins. */
async function anotherThatWaits(connectionId: string, name: string) {
  const workflowId = `${name}/${connectionId}`;
  const other = await harness.temporal.workflow.start('syncConnection', {
    workflowId,
    taskQueue: harness.taskQueue,
    args: [{ connectionId, resources: ['customers'] }],
  });
  await waitFor('the other waits too', async () => {
    const rows = await harness.query(`select 1 from maesn_sync.waiting_workflows where workflow_id = '${workflowId}'`);
    return rows.length === 1;
  });
  return other;
}

async function result(connectionId: string): Promise<SyncReport> {
  return harness.temporal.workflow.getHandle(`sync/${connectionId}`).result();
}

describe('a revoked login', () => {
  it('costs one 401 and one notice for twelve resources, and the walk goes on at the page where it was parked', async () => {
    const records = Object.fromEntries(TWELVE.map((resource) => [resource, 350]));
    const { connectionId, account } = await harness.connect({ records, ...ONE_AT_A_TIME });
    const parkedAt = TWELVE[5];
    if (parkedAt === undefined) throw new Error('there are twelve');
    account.fault({ resource: parkedAt, page: 3, answer: 'revoke' });
    const { runId } = await harness.sync.startSync(connectionId, { resources: TWELVE });

    const status = await awaiting(connectionId);
    expect(status).toMatchObject({ resource: parkedAt, resources: { [parkedAt]: { parkedAtPage: 3, pages: 2 } } });
    await told(connectionId, 'connection.reauthorization_required');
    const parked = requestsOf(account.name).length;

    await harness.sync.reauthorized(connectionId, account.reconnect());
    const report = await result(connectionId);
    expect(report.resources[parkedAt]).toMatchObject({ reauthorizations: 1, parkedAtPage: 3, pages: 4, records: 350 });
    expect((await harness.sync.syncStatus(connectionId)).runId).toBe(runId);

    const after = requestsOf(account.name).slice(parked);
    expect(after[0]).toMatchObject({ path: '/accounting/profile', status: 200 });
    expect(after[1]).toMatchObject({ resource: parkedAt, page: '3', status: 200 });
    expect(refusals(account.name)).toHaveLength(1);
    await closed(`reauthorize/${connectionId}`);
    expect(await eventsOf(connectionId)).toEqual(['connection.reauthorization_required', 'connection.reauthorized']);
    await expectSameRecords(harness.store, connectionId, account, TWELVE);
  });

  it('is over when the same key works again', async () => {
    const { connectionId, account } = await syncThatWaits();
    await harness.sync.reauthorized(connectionId, account.reconnect({ sameKey: true }));
    await result(connectionId);
    await expectSameRecords(harness.store, connectionId, account, ['items']);
  });

  it('can happen again in the same run', async () => {
    const { connectionId, account } = await harness.connect({ records: { items: 450 }, ...ONE_AT_A_TIME });
    for (const page of [2, 4]) account.fault({ resource: 'items', page, answer: 'revoke' });
    await harness.sync.startSync(connectionId, { resources: ['items'] });
    for (const round of [1, 2]) {
      await waitFor(`round ${round}`, async () => {
        const { status, round: now } = await harness.sync.connection(connectionId);
        return status === 'awaiting_reauthorization' && now === round;
      });
      await harness.sync.reauthorized(connectionId, account.reconnect());
    }
    const report = await result(connectionId);
    expect(report.resources.items).toMatchObject({ reauthorizations: 2, parkedAtPage: 4, records: 450 });
    expect(refusals(account.name)).toHaveLength(2);
    await expectSameRecords(harness.store, connectionId, account, ['items']);
  });

  it('releases every Workflow that waits', async () => {
    const { connectionId, account } = await syncThatWaits();
    const other = await anotherThatWaits(connectionId, 'other');
    await harness.sync.reauthorized(connectionId, account.reconnect());
    await Promise.all([other.result(), result(connectionId)]);
    expect(refusals(account.name)).toHaveLength(1);
    expect((await eventsOf(connectionId)).filter((type) => type.endsWith('required'))).toHaveLength(1);
  });

  it('releases those that wait when one of them is gone', async () => {
    const { connectionId, account } = await syncThatWaits();
    const gone = await anotherThatWaits(connectionId, 'gone');
    const other = await anotherThatWaits(connectionId, 'other');
    await gone.terminate('by mistake');
    await harness.sync.reauthorized(connectionId, account.reconnect());
    await Promise.all([other.result(), result(connectionId)]);
    expect(await closed(`reauthorize/${connectionId}`)).toBe('COMPLETED');
    // The one that was gone had not left.
    const reauthorize = harness.temporal.workflow.getHandle(`reauthorize/${connectionId}`);
    expect(await reauthorize.result()).toEqual({ released: 3 });
  });

  it('releases those that wait behind one that cannot be signalled, which is tried again', async () => {
    const { connectionId, account } = await harness.connect({ records: { items: 250 }, ...ONE_AT_A_TIME });
    // That is no id of a Workflow, and Temporal says so.
    await harness.query(
      `insert into maesn_sync.waiting_workflows (connection_id, workflow_id, round) values ('${connectionId}', '', 1)`,
    );
    account.fault({ resource: 'items', page: 2, answer: 'revoke' });
    await harness.sync.startSync(connectionId, { resources: ['items'] });
    await awaiting(connectionId);
    const other = await anotherThatWaits(connectionId, 'other');
    await harness.sync.reauthorized(connectionId, account.reconnect());
    await Promise.all([other.result(), result(connectionId)]);
    const reauthorize = harness.temporal.workflow.getHandle(`reauthorize/${connectionId}`);
    expect((await reauthorize.describe()).status.name).toBe('RUNNING');
    await harness.query(`delete from maesn_sync.waiting_workflows where connection_id = '${connectionId}'`);
    expect(await closed(`reauthorize/${connectionId}`)).toBe('COMPLETED');
  });

  it.each([400, 404, 405, 409])('is over when the probe meets a %i, which is about its path alone', async (status) => {
    const { connectionId, account } = await syncThatWaits();
    account.fault({ resource: 'profile', answer: { status } });
    await harness.sync.reauthorized(connectionId, account.reconnect());
    await result(connectionId);
    const probes = requestsOf(account.name).filter(({ path }) => path === '/accounting/profile');
    expect(probes).toMatchObject([{ status }]);
    await expectSameRecords(harness.store, connectionId, account, ['items']);
  });

  it('is over before anybody is asked to sign in, where the new key comes before the sync waits for it', async () => {
    const { connectionId, account } = await harness.connect({ records: { items: 250 }, ...ONE_AT_A_TIME });
    account.fault({ resource: 'items', page: 2, answer: 'revoke' });
    const { reauthorizations } = harness.store;
    const join = reauthorizations.join.bind(reauthorizations);
    const joining = vi.spyOn(reauthorizations, 'join').mockImplementationOnce(async (input) => {
      await harness.sync.reauthorized(connectionId, account.reconnect());
      return join(input);
    });
    onTestFinished(() => joining.mockRestore());
    await harness.sync.startSync(connectionId, { resources: ['items'] });
    await result(connectionId);
    expect(joining).toHaveBeenCalledOnce();
    expect(refusals(account.name)).toHaveLength(1);
    expect(await eventsOf(connectionId)).toEqual([]);
    await expectSameRecords(harness.store, connectionId, account, ['items']);
  });
});

describe('a wrong key', () => {
  it('leads to another wait and another notice, not to a retry', async () => {
    const { connectionId, account } = await syncThatWaits();
    for (const wrong of [1, 2]) {
      await harness.sync.reauthorized(connectionId, `sandbox_account_key_wrong_${wrong}`);
      await waitFor('the probe is refused', async () => {
        const { refusedVersion } = await harness.sync.connection(connectionId);
        return refusedVersion === wrong + 1;
      });
    }
    expect((await harness.sync.syncStatus(connectionId)).state).toBe('AwaitingReauthorization');
    const probes = harness.sandbox.requests.filter(
      ({ path, status }) => path === '/accounting/profile' && status === 401,
    );
    expect(probes).toHaveLength(2);
    expect(refusals(account.name)).toHaveLength(1);
    expect(await eventsOf(connectionId)).toEqual(
      Array.from({ length: 3 }, () => 'connection.reauthorization_required'),
    );

    await harness.sync.reauthorized(connectionId, account.reconnect());
    await result(connectionId);
    await expectSameRecords(harness.store, connectionId, account, ['items']);
  });
});

describe('a Signal', () => {
  it('that comes for an old version, twice, or with nonsense changes nothing', async () => {
    const { connectionId, account } = await syncThatWaits();
    // Signals that come sooner wake nobody.
    await untilKeyIsAwaited(connectionId);
    const before = requestsOf(account.name).length;
    const reauthorize = harness.temporal.workflow.getHandle(`reauthorize/${connectionId}`);
    // No newer key was stored: whatever is signalled, Maesn is not asked, and nobody is released.
    await reauthorize.signal('reauthorized');
    await reauthorize.signal('reauthorized', { version: 1 });
    await reauthorize.signal('reauthorized', 'nonsense', 7, null);
    await reauthorize.signal('joined');
    await reauthorize.signal('unheard of');
    await harness.temporal.workflow.getHandle(`sync/${connectionId}`).signal('reauthorizationSettled');
    await untilKeyIsAwaited(connectionId);
    await awaiting(connectionId);
    expect(requestsOf(account.name)).toHaveLength(before);
    // They were not just passed over: both have looked once more.
    const times = async (workflowId: string, activity: string) =>
      (await readActivities(harness.temporal, workflowId)).filter((name) => name === activity).length;
    expect(await times(`reauthorize/${connectionId}`, 'probeConnection')).toBeGreaterThan(1);
    expect(await times(`sync/${connectionId}`, 'joinReauthorization')).toBe(2);

    const key = account.reconnect();
    await Promise.all([harness.sync.reauthorized(connectionId, key), harness.sync.reauthorized(connectionId, key)]);
    await result(connectionId);
    await closed(`reauthorize/${connectionId}`);
    expect((await eventsOf(connectionId)).filter((type) => type === 'connection.reauthorized')).toHaveLength(1);
    await expectSameRecords(harness.store, connectionId, account, ['items']);
  });

  it('that comes before anything went wrong changes nothing but the key', async () => {
    const { connectionId, account } = await harness.connect({ records: { items: 5 } });
    const connection = await harness.sync.reauthorized(connectionId, account.reconnect());
    expect(connection).toMatchObject({ status: 'active', keyVersion: 2 });
    await harness.sync.startSync(connectionId, { resources: ['items'] });
    await result(connectionId);
    expect(await eventsOf(connectionId)).toEqual([]);
  });
});

describe('while a connection awaits reauthorisation', () => {
  it('whose key has come and was not tried yet waits for that key, not for another one', async () => {
    const { connectionId } = await harness.connect({ records: {} });
    expect(triedVersion(await openConnection(harness.store, connectionId))).toBe(1);
    await harness.store.reauthorizations.join({ connectionId, refusedVersion: 1 });
    await harness.store.connections.storeKey(connectionId, 'another', 'test');
    // Whoever asks now makes no request: what was refused is still the key before.
    expect(triedVersion(await openConnection(harness.store, connectionId))).toBe(1);
    const { round } = (await harness.store.reauthorizations.join({ connectionId, refusedVersion: 1 })) ?? {};
    await harness.store.reauthorizations.settle({ connectionId, round: round ?? 0, outcome: 'reauthorized' });
    expect(await harness.store.reauthorizations.join({ connectionId, refusedVersion: 1 })).toMatchObject({
      decision: 'proceed',
    });
  });

  it('a cancelled sync waits no more, and nothing is asked for the connection', async () => {
    const { connectionId, account } = await syncThatWaits();
    await harness.sync.cancelSync(connectionId);
    expect(await closed(`sync/${connectionId}`)).toBe('CANCELLED');
    const asked = requestsOf(account.name).length;

    // The next sync finds out without asking Maesn, and goes on at page 2 once somebody has signed in.
    await harness.sync.startSync(connectionId, { resources: ['items'] });
    await awaiting(connectionId);
    expect(requestsOf(account.name)).toHaveLength(asked);
    await harness.sync.reauthorized(connectionId, account.reconnect());
    await result(connectionId);
    expect(refusals(account.name)).toHaveLength(1);
    await expectSameRecords(harness.store, connectionId, account, ['items']);
  });

  it('a terminated reauthorizeConnection is started again by the key that comes', async () => {
    const { connectionId, account } = await syncThatWaits();
    await untilKeyIsAwaited(connectionId);
    await harness.temporal.workflow.getHandle(`reauthorize/${connectionId}`).terminate('by mistake');
    await harness.sync.reauthorized(connectionId, account.reconnect());
    await result(connectionId);
    await expectSameRecords(harness.store, connectionId, account, ['items']);
  });

  it('a cancelled reauthorizeConnection leaves nobody waiting: the sync ends, and says why', async () => {
    const { connectionId, account } = await harness.connect({ records: { items: 250 }, ...ONE_AT_A_TIME });
    account.fault({ resource: 'items', page: 2, answer: 'revoke' });
    await harness.sync.startSync(connectionId, { resources: ['items'] });
    await untilKeyIsAwaited(connectionId);
    await harness.temporal.workflow.getHandle(`reauthorize/${connectionId}`).cancel();
    expect(await closed(`reauthorize/${connectionId}`)).toBe('CANCELLED');
    expect(await closed(`sync/${connectionId}`)).toBe('FAILED');
    expect(await harness.sync.syncStatus(connectionId)).toMatchObject({
      state: 'Failed',
      failure: { type: 'ReauthorizationExpired' },
      connection: { status: 'reauthorization_expired' },
    });
  });

  /** Until the answer is called, nobody can enter such a thing of the connection in the journal. */
  function keepFromEntering(connectionId: string, action: string) {
    const { journal } = harness.store;
    const add = journal.add.bind(journal);
    let isKept = true;
    let tries = 0;
    const adding = vi.spyOn(journal, 'add').mockImplementation(async (entry) => {
      if (isKept && entry.connectionId === connectionId && entry.action === action) {
        tries += 1;
        throw new Error('the store is away');
      }
      return add(entry);
    });
    onTestFinished(() => adding.mockRestore());
    return { tried: () => waitFor(`${action} is tried`, () => tries > 0), proceed: () => void (isKept = false) };
  }

  it('cancelled while it releases those who wait, it releases them all the same', async () => {
    const { connectionId, account } = await harness.connect({ records: { items: 250 }, ...ONE_AT_A_TIME });
    account.fault({ resource: 'items', page: 2, answer: 'revoke' });
    await harness.sync.startSync(connectionId, { resources: ['items'] });
    await untilKeyIsAwaited(connectionId);
    const { tried, proceed } = keepFromEntering(connectionId, 'reauthorization.settled');
    await harness.sync.reauthorized(connectionId, account.reconnect());
    await tried();
    await harness.temporal.workflow.getHandle(`reauthorize/${connectionId}`).cancel();
    proceed();
    expect((await result(connectionId)).resources.items).toMatchObject({ status: 'completed', records: 250 });
    expect(await closed(`reauthorize/${connectionId}`)).toBe('COMPLETED');
  });

  it('cancelled while it opens the round, it leaves nobody waiting', async () => {
    const { connectionId, account } = await harness.connect({ records: { items: 250 }, ...ONE_AT_A_TIME });
    const { tried, proceed } = keepFromEntering(connectionId, 'reauthorization.required');
    account.fault({ resource: 'items', page: 2, answer: 'revoke' });
    await harness.sync.startSync(connectionId, { resources: ['items'] });
    await tried();
    await harness.temporal.workflow.getHandle(`reauthorize/${connectionId}`).cancel();
    proceed();
    expect(await closed(`reauthorize/${connectionId}`)).toBe('CANCELLED');
    expect(await closed(`sync/${connectionId}`)).toBe('FAILED');
  });

  it('removing the connection ends everything of it', async () => {
    const { connectionId } = await syncThatWaits();
    await harness.sync.removeConnection(connectionId);
    expect(await closed(`sync/${connectionId}`)).toBe('TERMINATED');
    expect(await closed(`reauthorize/${connectionId}`)).toBe('TERMINATED');
    await expect(harness.sync.syncStatus(connectionId)).rejects.toMatchObject({ code: 'ConnectionNotFound' });
    expect(await harness.store.records.count(connectionId)).toEqual({});
  });
});

describe('when nobody signs in', () => {
  let patient: Harness;
  beforeAll(async () => {
    patient = await startHarness({
      skipTime: ['started by Activities'],
      overrides: { MAESN_SYNC_REMIND_EVERY: '1 day', MAESN_SYNC_REAUTHORIZATION_EXPIRES: '3.5 days' },
    });
  });
  afterAll(() => patient.close());

  it('the application is reminded, and then the sync ends and says what to do', async () => {
    const { connectionId, account } = await patient.connect({ records: { items: 250 } });
    account.fault({ resource: 'items', page: 2, answer: 'revoke' });
    await patient.sync.startSync(connectionId, { resources: ['items'] });
    await patient.temporal.workflow
      .getHandle(`sync/${connectionId}`)
      .result()
      .catch(() => undefined);
    const status = await patient.sync.syncStatus(connectionId);
    expect(status).toMatchObject({
      state: 'Failed',
      failure: { type: 'ReauthorizationExpired' },
      connection: { status: 'reauthorization_expired' },
    });
    expect(status.failure?.message).toContain('Reconnect it, then start the sync again');
    const notices = (await patient.sync.events({ connectionId }))
      .map(({ type }) => type)
      .filter((type) => type.startsWith('connection.'));
    expect(notices).toEqual([
      'connection.reauthorization_required',
      ...Array.from({ length: 3 }, () => 'connection.reauthorization_reminder'),
      'connection.reauthorization_expired',
    ]);

    // The customer comes after all: the walk goes on where it stopped, in a new run.
    expect(await patient.sync.reauthorized(connectionId, account.reconnect())).toMatchObject({ status: 'active' });
    const asked = patient.sandbox.requests.length;
    await patient.sync.startSync(connectionId, { resources: ['items'] });
    await patient.temporal.workflow.getHandle(`sync/${connectionId}`).result();
    expect(patient.sandbox.requests[asked]).toMatchObject({ resource: 'items', page: '2' });
    await expectSameRecords(patient.store, connectionId, account, ['items']);
  });

  it('a write that waited is given up, and was not applied', async () => {
    const { connectionId, account } = await patient.connect({ records: {} });
    account.revoke();
    const idempotencyKey = 'w';
    await patient.sync.write(connectionId, { idempotencyKey, operation: 'createInvoice', body: { name: 'Chairs' } });
    expect(await patient.sync.writeEnd(connectionId, idempotencyKey)).toMatchObject({
      outcome: 'cancelled',
      sends: 0,
      because: 'nobody signed in again in time',
    });
    expect(account.writes).toEqual([]);
  });
});

it('where pages are fetched ahead, costs at most as many 401s as there are requests in flight', async () => {
  const { connectionId, account } = await harness.connect({ records: { items: 2_000 }, targetSystem: 'quickbooks' });
  account.fault({ resource: 'items', page: 7, answer: 'revoke' });
  await harness.sync.startSync(connectionId, { resources: ['items'] });
  await awaiting(connectionId);
  expect(refusals(account.name).length).toBeLessThanOrEqual(createTargetSystems().requestsInFlight('quickbooks'));
  expect(refusals(account.name).length).toBeGreaterThan(0);
  await harness.sync.reauthorized(connectionId, account.reconnect());
  const { resources } = await result(connectionId);
  expect(resources.items).toMatchObject({ records: 2_000, pages: 20, reauthorizations: 1 });
});

it('where requests wait for their turn, does not cost a 401 for each of them', async () => {
  const { connectionId, account } = await harness.connect({ records: {}, targetSystem: 'xero' });
  account.revoke();
  const writes = ['w-1', 'w-2', 'w-3', 'w-4'];
  for (const idempotencyKey of writes) {
    const body = { invoiceNumber: idempotencyKey };
    await harness.sync.write(connectionId, { idempotencyKey, operation: 'createInvoice', body });
  }
  await waitFor('all of them wait for the end user', async () => {
    const waiting = await harness.query(
      `select workflow_id from maesn_sync.waiting_workflows where connection_id = '${connectionId}'`,
    );
    return waiting.length === writes.length;
  });
  expect(refusals(account.name).length).toBeLessThan(writes.length);
  await harness.sync.reauthorized(connectionId, account.reconnect());
  for (const idempotencyKey of writes) {
    expect(await harness.sync.writeEnd(connectionId, idempotencyKey)).toMatchObject({ outcome: 'applied', sends: 1 });
  }
});
