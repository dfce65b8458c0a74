/** Each type of event is really told, with the data that docs/events.md promises, and with nothing that is secret. */
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { SandboxAccount } from '../sandbox/index.js';
import type { Resource } from '../src/client.js';
import { EVENT_TYPES } from '../src/store/index.js';
import type { EventType } from '../src/store/index.js';
import { startHarness } from './support/harness.js';
import type { Harness } from './support/harness.js';
import { startReceiver } from './support/receiver.js';
import type { Delivery, Receiver } from './support/receiver.js';
import { waitFor } from './support/wait.js';

let receiver: Receiver;
let harness: Harness;
/** In virtual time: days pass while nobody signs in. */
let patient: Harness;
beforeAll(async () => {
  receiver = await startReceiver();
  const overrides = {
    MAESN_SYNC_EVENTS_URL: receiver.url,
    MAESN_SYNC_EVENTS_SECRET: receiver.secret,
    MAESN_SYNC_EVENTS_ALLOW_PRIVATE: 'true',
    MAESN_SYNC_REMIND_EVERY: '1 day',
    MAESN_SYNC_REAUTHORIZATION_EXPIRES: '2.5 days',
    // Every walk finds what was deleted.
    MAESN_SYNC_FULL_WALK_EVERY: '1 ms',
  };
  harness = await startHarness({ overrides });
  patient = await startHarness({ skipTime: ['started by client', 'started by Activities'], overrides });
});
afterAll(async () => {
  await harness.close();
  await patient.close();
  await receiver.close();
});

type Fault = Parameters<SandboxAccount['fault']>[0];

async function start(on: Harness, fault?: Fault, resources: readonly Resource[] = ['customers', 'items']) {
  const { connectionId, account } = await on.connect({ records: { customers: 250, items: 5 } });
  if (fault !== undefined) account.fault(fault);
  const { runId } = await on.sync.startSync(connectionId, { resources });
  return { connectionId, account, runId };
}

const of = (connectionId: string) => receiver.taken.filter(({ data }) => data.connectionId === connectionId);

const told = (connectionId: string, type: EventType, times = 1): Promise<Delivery> =>
  waitFor(`${type} of ${connectionId}`, () => of(connectionId).filter((event) => event.type === type)[times - 1]);

const typesOf = (connectionId: string) => of(connectionId).map(({ type }) => type);

describe('the application is told', () => {
  it('that a sync has started and what came of it', async () => {
    const { connectionId, runId } = await start(harness);
    const { data } = await told(connectionId, 'sync.completed');
    expect(data).toMatchObject({
      runId,
      cycle: 1,
      resources: {
        customers: { status: 'completed', pages: 3, records: 250 },
        items: { status: 'completed', pages: 1, records: 5 },
      },
    });
    expect(typesOf(connectionId)).toEqual(['sync.started', 'sync.completed']);
    expect(of(connectionId)[0]?.data).toEqual({ connectionId, runId, cycle: 1, resources: ['customers', 'items'] });
  });

  it('which resource has failed, and why', async () => {
    const fault: Fault = { resource: 'customers', page: 2, times: Infinity, answer: { status: 403 } };
    const { connectionId } = await start(harness, fault);
    const { data } = await told(connectionId, 'sync.failed');
    expect(data).toMatchObject({
      resources: {
        customers: { status: 'failed', pages: 1, failure: { type: 'Forbidden' } },
        items: { status: 'completed' },
      },
    });
    expect(typesOf(connectionId)).toEqual(['sync.started', 'sync.failed']);
  });

  it('that a request has failed for the third time, once, and when it is tried again', async () => {
    const fault: Fault = { resource: 'customers', page: 2, times: 5, answer: { status: 429 } };
    const { connectionId } = await start(patient, fault);
    const { data } = await told(connectionId, 'sync.stuck');
    expect(data).toMatchObject({ resource: 'customers', page: 2, type: 'TooManyRequests', status: 429, failures: 3 });
    expect(data['request']).toBe('GET /accounting/customers');
    await told(connectionId, 'sync.completed');
    expect(typesOf(connectionId)).toEqual(['sync.started', 'sync.stuck', 'sync.completed']);
  });

  it('that the end user must sign in, that the key was refused, and that it is settled', async () => {
    const { connectionId, account } = await start(harness, { resource: 'customers', page: 2, answer: 'revoke' });
    const { data } = await told(connectionId, 'connection.reauthorization_required');
    expect(data).toEqual({ connectionId, round: 1, since: expect.stringMatching(/^\d{4}-/) });
    await harness.sync.reauthorized(connectionId, 'sandbox_account_key_wrong');
    const refused = await told(connectionId, 'connection.reauthorization_required', 2);
    expect(refused.data).toEqual({ connectionId, round: 1, keyVersion: 2, reason: expect.stringContaining('401') });
    await harness.sync.reauthorized(connectionId, account.reconnect());
    expect((await told(connectionId, 'connection.reauthorized')).data).toEqual({ connectionId, round: 1 });
    await told(connectionId, 'sync.completed');
    expect(typesOf(connectionId)).toEqual([
      'sync.started',
      'connection.reauthorization_required',
      'connection.reauthorization_required',
      'connection.reauthorized',
      'sync.completed',
    ]);
  });

  it('that suspiciously much is gone', async () => {
    const { connectionId, account } = await start(harness, undefined, ['items']);
    await told(connectionId, 'sync.completed');
    for (const { key } of await harness.sync.records(connectionId, 'items')) account.remove('items', key);
    await harness.sync.startSync(connectionId, { resources: ['items'] });
    const { data } = await told(connectionId, 'sync.deletes_withheld');
    expect(data).toEqual({ connectionId, resource: 'items', gone: 5, listed: 0 });
    await harness.sync.decideDeletes(connectionId, { decision: 'delete' });
    await told(connectionId, 'sync.completed', 2);
  });

  it('that nobody knows what became of a write, and what was decided', async () => {
    const { connectionId } = await harness.connect({ records: {} });
    const write = {
      idempotencyKey: 'order-1',
      operation: 'createInvoice',
      parameters: {},
      body: { name: 'n' },
    } as const;
    await harness.store.writes.add({ connectionId, ...write }, 'test');
    await harness.store.writes.move({ connectionId, ...write }, { state: 'undecided', because: 'nobody knows' });
    await harness.sync.write(connectionId, write);
    const { data } = await told(connectionId, 'write.undecided');
    expect(data).toEqual({ connectionId, idempotencyKey: 'order-1', because: 'nobody knows' });
    await harness.sync.resolveWrite(connectionId, 'order-1', { decision: 'abandon' });
    const ended = await told(connectionId, 'write.ended');
    expect(ended.data).toMatchObject({ operation: 'createInvoice', outcome: 'abandoned', sends: 0 });
  });

  it('that many writes have ended', async () => {
    const { connectionId } = await harness.connect({ records: {} });
    const writes = ['a', 'b'].map((name) => ({
      idempotencyKey: name,
      operation: 'createInvoice' as const,
      body: { name },
    }));
    await harness.sync.writeMany(connectionId, { batchId: 'import-1', writes });
    const { data } = await told(connectionId, 'write_batch.ended');
    expect(data).toMatchObject({ batchId: 'import-1', total: 2, applied: 2, running: 0 });
  });

  it('every day that nobody has signed in, and that it was given up', async () => {
    const { connectionId } = await start(patient, { resource: 'customers', page: 2, answer: 'revoke' });
    const { data } = await told(connectionId, 'sync.failed');
    expect(data['failure']).toMatchObject({ type: 'ReauthorizationExpired' });
    expect(typesOf(connectionId)).toEqual([
      'sync.started',
      'connection.reauthorization_required',
      'connection.reauthorization_reminder',
      'connection.reauthorization_reminder',
      'connection.reauthorization_expired',
      'sync.failed',
    ]);
    expect(of(connectionId)[3]?.data).toEqual({ connectionId, round: 1, reminder: 2 });
  });
});

it('is told what many connections met at once, and its end', async () => {
  // As many as have asked Maesn above.
  const started = await Promise.all(
    [1, 2, 3, 4, 5, 6].map(() => start(harness, { times: 2, answer: { status: 403 } })),
  );
  const ofType = (type: EventType) => receiver.taken.find((event) => event.type === type);
  await waitFor('it is told', () => ofType('incident.opened'));
  const { connectionId } = started[0] ?? { connectionId: '' };
  await waitFor('it has ended', async () => (await harness.sync.syncStatus(connectionId)).state === 'Failed');
  await harness.sync.startSync(connectionId, { resources: ['items'] });
  const closed = await waitFor('its end is told', () => ofType('incident.closed'));
  expect(closed.data).toMatchObject({ kind: 'api_key_refused' });
  expect(closed.data['connections']).toBeGreaterThanOrEqual(3);
});

/** `type` -> its fields; those that may be absent end with `?`. */
function documented(markdown: string): Map<string, string[]> {
  const rows = markdown.matchAll(/^\| `([a-z._]+)` +\|[^|]*\|([^|]*)\|$/gm);
  return new Map(
    [...rows].map(([, type = '', cell = '']) => [
      type,
      [...cell.matchAll(/`(\w+\??)`/g)].map(([, field = '']) => field),
    ]),
  );
}

/** What a payload has that its row does not name, and the other way round. */
function differences(fields: readonly string[], data: object): string[] {
  const seen = Object.keys(data).filter((name) => name !== 'connectionId');
  const required = fields.filter((field) => !field.endsWith('?'));
  const known = new Set(fields.map((field) => field.replace('?', '')));
  return [...seen.filter((name) => !known.has(name)), ...required.filter((name) => !seen.includes(name))];
}

describe('docs/events.md', () => {
  const table = documented(readFileSync(path.resolve(import.meta.dirname, '../docs/events.md'), 'utf8'));

  it('names every type of event and no other', () => {
    expect([...table.keys()].toSorted()).toEqual([...EVENT_TYPES].toSorted());
  });

  it.each(EVENT_TYPES)('names the data of %s, which was told above', (type) => {
    const events = receiver.taken.filter((event) => event.type === type);
    expect(events.length).toBeGreaterThan(0);
    expect(events.flatMap(({ data }) => differences(table.get(type) ?? [], data))).toEqual([]);
  });

  it('is told apart from one that says something else', () => {
    const fields = ['round', 'since?'];
    expect(differences(fields, { connectionId: 'a', round: 1 })).toEqual([]);
    expect(differences(fields, { since: 'x' })).toEqual(['round']);
    expect(differences(fields, { round: 1, more: 2 })).toEqual(['more']);
  });
});

/** As in test/after: every key of every sandbox begins like this; `GmbH` stands in the names of customers. */
const SECRETS = /sandbox_(?:account|api)_key_\w+|\bGmbH\b|whsec_/;

it('no event holds a key or a record', async () => {
  expect(receiver.taken.filter(({ body }) => SECRETS.test(body))).toEqual([]);
  // There was something to give away.
  const { account } = await harness.connect({ records: { customers: 250 } });
  expect(JSON.stringify(account.records('customers'))).toMatch(SECRETS);
  expect(account.accountKey).toMatch(SECRETS);
  expect(receiver.taken.length).toBeGreaterThan(15);
});
