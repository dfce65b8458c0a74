import { createHash, randomBytes } from 'node:crypto';
import { Client, Connection } from '@temporalio/client';
import { sql } from 'drizzle-orm';
import { afterAll, beforeAll, describe, expect, it, onTestFinished, vi } from 'vitest';
import type { SandboxAccount, SandboxEvent } from '../sandbox/index.js';
import { createWebhookRoutes } from '../src/backend/webhooks.js';
import type { Resource } from '../src/client.js';
import { createMaesnSync } from '../src/client.js';
import { createConnections } from '../src/store/connections.js';
import { openPglite } from '../src/store/database.js';
import { createSealing } from '../src/store/sealing.js';
import { createWebhooks } from '../src/store/webhooks.js';
import { readActivities, readEvents, readSignals } from './support/history.js';
import { expectSameRecords } from './support/records.js';
import { TEST_SEALING_KEY, openTestStore } from './support/store.js';
import { untilAwaiting } from './support/sync-states.js';
import { waitFor } from './support/wait.js';
import { beginWalk, savePages } from './support/walks.js';
import { post, sign, startWebhookHarness, subscribed, webhookOf } from './support/webhooks.js';
import type { WebhookHarness } from './support/webhooks.js';

let harness: WebhookHarness;
beforeAll(async () => {
  harness = await startWebhookHarness();
});
afterAll(() => harness.close());

const requestsOf = (name: string) => harness.sandbox.requests.filter(({ account }) => account === name);
/** Each walk over a list begins with one of these. */
const walksOf = (name: string) =>
  requestsOf(name).filter(({ resource, page }) => resource !== undefined && page === '1');

const idle = (connectionId: string) =>
  waitFor('the sync is idle', async () => {
    const { state, nextCycleAt } = await harness.sync.syncStatus(connectionId);
    return state === 'Idle' && nextCycleAt !== undefined;
  });

/** A repeating sync that waits for its next cycle, and every webhook there is. */
async function connect(options: {
  readonly records: Partial<Record<Resource, number>>;
  readonly resources: readonly Resource[];
  readonly targetSystem?: string;
}): Promise<{ readonly connectionId: string; readonly account: SandboxAccount }> {
  const { records, resources, targetSystem = 'moneybird' } = options;
  const connected = await harness.connect({ records, targetSystem });
  await harness.sync.startSync(connected.connectionId, { resources, every: '1 day' });
  await subscribed(harness, connected.connectionId, connected.account);
  await idle(connected.connectionId);
  return connected;
}

const pulled = (connectionId: string) =>
  waitFor('everything that was hinted at is pulled', async () => {
    const { state } = await harness.sync.syncStatus(connectionId);
    return state === 'Idle' && (await harness.store.webhooks.hints(connectionId)).length === 0;
  });

const historyLength = async (workflowId: string) =>
  (await harness.temporal.workflow.getHandle(workflowId).describe()).historyLength;

/** Everything that an event could change. */
async function everything(connectionId: string, resources: readonly Resource[]) {
  const { store, sync, temporal } = harness;
  const lists = resources.map((resource) =>
    store.records.list({ connectionId, resource, limit: 10_000, includeDeleted: true }),
  );
  const { status } = await temporal.workflow
    .getHandle(`reauthorize/${connectionId}`)
    .describe()
    .catch(() => ({ status: undefined }));
  return {
    records: await Promise.all(lists),
    hints: await store.webhooks.hints(connectionId),
    subscriptions: await store.webhooks.list(connectionId),
    connection: await sync.connection(connectionId),
    journal: await sync.journal(connectionId),
    events: await sync.events({ connectionId }),
    signalled: await historyLength(`sync/${connectionId}`),
    reauthorize: status,
  };
}

const eventOf = (event: Partial<SandboxEvent> = {}) => ({
  eventType: 'CREATED',
  resource: 'INVOICE',
  resourceId: 'i-1',
  filterDate: new Date().toISOString(),
  ...event,
});

describe('a request that is not Maesn’s', () => {
  const resources = ['invoices', 'customers'] as const;
  let one: Awaited<ReturnType<typeof connect>>;
  let other: Awaited<ReturnType<typeof connect>>;
  let url: string;
  let secret: string;
  let key: string;
  beforeAll(async () => {
    one = await connect({ records: { invoices: 30, customers: 30 }, resources });
    other = await connect({ records: { invoices: 30, customers: 30 }, resources });
    ({ callbackUrl: url, secret } = webhookOf(one.account, 'DELETED', 'INVOICE'));
    const [first] = await harness.store.records.list({ ...one, resource: 'invoices', limit: 1 });
    key = first?.key ?? '';
  });

  interface Forged {
    readonly url?: string;
    readonly body?: string;
    readonly chunked?: boolean;
    readonly signature?: string | undefined;
  }
  /** What would delete an invoice, if it were believed; always the same bytes. */
  const filterDate = new Date().toISOString();
  const deletion = () => JSON.stringify(eventOf({ eventType: 'DELETED', resourceId: key, filterDate }));
  const garbled = (text: string): Forged => ({ body: text, signature: sign(secret, text) });
  const unconfirmed = async (expiresAt?: Date): Promise<Forged> => {
    const token = randomBytes(32).toString('base64url');
    const about = { connectionId: one.connectionId, eventType: 'DELETED', webhookResource: 'INVOICE', token };
    await harness.store.webhooks.add(about);
    if (expiresAt !== undefined) await harness.store.webhooks.confirm(token, { maesnId: 'm', secret, expiresAt });
    return { url: `${harness.publicUrl}/webhooks/${token}`, signature: sign(secret, deletion()) };
  };
  const removed = async (): Promise<Forged> => {
    const token = randomBytes(32).toString('base64url');
    const about = { connectionId: one.connectionId, eventType: 'DELETED', webhookResource: 'INVOICE', token };
    const hash = await harness.store.webhooks.add(about);
    await harness.store.webhooks.confirm(token, { maesnId: 'm', secret, expiresAt: null });
    await harness.store.webhooks.remove(hash);
    return { url: `${harness.publicUrl}/webhooks/${token}` };
  };
  const million = (bytes: number) => `[${deletion()}${' '.repeat(bytes)}]`;

  it.each<[string, number, string, () => Forged | Promise<Forged>]>([
    [
      'for a token that was never given out',
      404,
      'WebhookUnknown',
      () => ({ url: url.replace(/.{43}$/, 'A'.repeat(43)) }),
    ],
    ['for half a token', 404, 'WebhookUnknown', () => ({ url: url.slice(0, -20) })],
    ['for a token and more', 404, 'WebhookUnknown', () => ({ url: `${url}A` })],
    [
      'for a token in capitals',
      404,
      'WebhookUnknown',
      () => ({ url: `${harness.publicUrl}/webhooks/${url.slice(-43).toUpperCase()}` }),
    ],
    ['for a token with NUL', 404, 'WebhookUnknown', () => ({ url: `${url}%00` })],
    [
      'for what the store keeps of a token',
      404,
      'WebhookUnknown',
      () => ({
        url: `${harness.publicUrl}/webhooks/${createHash('sha256').update(url.slice(-43)).digest('base64url')}`,
      }),
    ],
    [
      'for the id of the connection',
      404,
      'WebhookUnknown',
      () => ({ url: `${harness.publicUrl}/webhooks/${one.connectionId}` }),
    ],
    ['for a subscription that is over', 404, 'WebhookUnknown', removed],
    ['without signature', 401, 'WebhookRefused', () => ({ signature: undefined })],
    ['with an empty signature', 401, 'WebhookRefused', () => ({ signature: '' })],
    ['with a signature of nonsense', 401, 'WebhookRefused', () => ({ signature: 'nonsense, of no length' })],
    ['with half a signature', 401, 'WebhookRefused', () => ({ signature: sign(secret, deletion()).slice(0, 32) })],
    ['with 32 zero bytes for a signature', 401, 'WebhookRefused', () => ({ signature: '00'.repeat(32) })],
    ['signed with a secret that was guessed', 401, 'WebhookRefused', () => ({ signature: sign('secret', deletion()) })],
    ['signed with the token', 401, 'WebhookRefused', () => ({ signature: sign(url.slice(-43), deletion()) })],
    ['signed with our API key', 401, 'WebhookRefused', () => ({ signature: sign(harness.sandbox.apiKey, deletion()) })],
    [
      'signed for another subscription of the same connection',
      401,
      'WebhookRefused',
      () => ({ signature: sign(webhookOf(one.account, 'UPDATED', 'INVOICE').secret, deletion()) }),
    ],
    [
      'signed for the same subscription of another connection',
      401,
      'WebhookRefused',
      () => ({ signature: sign(webhookOf(other.account, 'DELETED', 'INVOICE').secret, deletion()) }),
    ],
    ['signed for another body', 401, 'WebhookRefused', () => ({ signature: sign(secret, `${deletion()} `) })],
    [
      'whose body was changed on the way',
      401,
      'WebhookRefused',
      () => ({ body: deletion().replace('DELETED', 'CREATED') }),
    ],
    ['for a subscription that Maesn has not confirmed', 401, 'WebhookRefused', () => unconfirmed()],
    ['for a subscription that has expired', 401, 'WebhookRefused', () => unconfirmed(new Date(Date.now() - 1))],
    ['whose signed body is empty', 400, 'InvalidInput', () => garbled('')],
    ['whose signed body is no JSON', 400, 'InvalidInput', () => garbled('eventType=DELETED')],
    ['whose signed body is half an event', 400, 'InvalidInput', () => garbled(deletion().slice(0, -9))],
    ['whose signed body is null', 400, 'InvalidInput', () => garbled('null')],
    ['whose signed body holds no event', 400, 'InvalidInput', () => garbled('[{"hello":"world"},7]')],
    [
      'whose signed body holds too many events',
      400,
      'InvalidInput',
      () =>
        garbled(JSON.stringify(Array.from({ length: 5_001 }, () => ({ eventType: 'DELETED', resource: 'INVOICE' })))),
    ],
    ['that is too large', 413, 'TooLarge', () => garbled(million(1024 * 1024))],
    [
      'that is too large and does not say so',
      413,
      'TooLarge',
      () => ({ ...garbled(million(1024 * 1024)), chunked: true }),
    ],
  ])('%s is answered with %d %s, and changes nothing', async (_name, status, code, forge) => {
    const body = deletion();
    const forged = { url, body, signature: sign(secret, body), ...(await forge()) };
    const before = await Promise.all([one, other].map(({ connectionId }) => everything(connectionId, resources)));
    const posted = await post(forged.url, forged.body, forged.signature, forged.chunked);
    expect(posted).toMatchObject({ status, answer: { type: 'about:blank', status, code } });
    expect(JSON.stringify(posted.answer)).not.toContain(secret);
    const after = await Promise.all([one, other].map(({ connectionId }) => everything(connectionId, resources)));
    expect(after).toEqual(before);
  });

  it('is told apart from one that is', async () => {
    const before = await everything(one.connectionId, resources);
    const body = deletion();
    for (const encoding of ['hex', 'base64'] as const) {
      expect(await post(url, body, sign(secret, body, encoding))).toEqual({
        status: 202,
        answer: { accepted: 1, ignored: 0 },
      });
    }
    const after = await everything(one.connectionId, resources);
    expect(after.records).not.toEqual(before.records);
    // A deletion is news of the store alone.
    expect(after).toMatchObject({ hints: [], signalled: before.signalled });
  });

  it('of another method has nobody to answer it', async () => {
    expect((await fetch(url)).status).toBe(404);
  });
});

describe('an event', () => {
  it('brings what has changed into the store without waiting for the next cycle', async () => {
    const { connectionId, account } = await connect({
      records: { invoices: 120, customers: 20 },
      resources: ['invoices', 'customers'],
    });
    const walks = walksOf(account.name).length;
    const { invoiceId } = account.put('invoices', { invoiceId: 'new-1' });
    const [delivery] = await account.emit([eventOf({ resourceId: String(invoiceId) })]);
    expect(delivery).toMatchObject({ status: 202, answer: '{"accepted":1,"ignored":0}' });
    await waitFor('the invoice is there', () =>
      harness.store.records.find({ connectionId, resource: 'invoices', key: 'new-1' }),
    );
    await pulled(connectionId);
    // Only what was hinted at was asked for.
    expect(
      walksOf(account.name)
        .slice(walks)
        .map(({ resource }) => resource),
    ).toEqual(['invoices']);
  });

  it('in an older shape counts, too, and so does a list', async () => {
    const { connectionId, account } = await connect({
      records: { items: 5 },
      resources: ['items'],
      targetSystem: 'quickbooks',
    });
    for (const shape of ['resourceType', 'swapped', 'withUserId'] as const) {
      account.put('items', { id: shape });
      const [delivery] = await account.emit([eventOf({ resource: 'ITEM' })], { shape, signature: 'base64' });
      expect(delivery).toMatchObject({ status: 202, answer: '{"accepted":1,"ignored":0}' });
      expect(delivery?.body).toMatch(/^\[/);
      await waitFor('the item is there', () =>
        harness.store.records.find({ connectionId, resource: 'items', key: shape }),
      );
    }
  });

  it('of another resource than its subscription’s is about the subscription’s connection alone', async () => {
    const { connectionId, account } = await connect({ records: { items: 5 }, resources: ['items'] });
    const { callbackUrl, secret } = webhookOf(account, 'CREATED', 'INVOICE');
    account.put('items', { id: 'new-1' });
    const body = JSON.stringify([eventOf({ resource: 'ITEM' }), eventOf({ resource: 'UNICORN' })]);
    expect(await post(callbackUrl, body, sign(secret, body))).toMatchObject({ answer: { accepted: 1, ignored: 1 } });
    await waitFor('the item is there', () =>
      harness.store.records.find({ connectionId, resource: 'items', key: 'new-1' }),
    );
  });

  it('that comes while the sync is paused is pulled when it goes on', async () => {
    const { connectionId, account } = await connect({ records: { items: 5 }, resources: ['items'] });
    await harness.sync.pauseSync(connectionId, { reason: 'month-end closing' });
    account.put('items', { id: 'new-1' });
    await account.emit([eventOf({ resource: 'ITEM' })]);
    const walks = walksOf(account.name).length;
    expect(await harness.store.webhooks.hints(connectionId)).toEqual(['items']);
    // A run takes only so many Signals, and this can last for weeks: it is not told, and looks when it goes on.
    const { events } = await harness.temporal.workflow.getHandle(`sync/${connectionId}`).fetchHistory();
    const names = events?.map((event) => event.workflowExecutionSignaledEventAttributes?.signalName);
    expect(names).not.toContain('hinted');
    expect(walksOf(account.name)).toHaveLength(walks);
    await harness.sync.resumeSync(connectionId);
    await waitFor('the item is there', () =>
      harness.store.records.find({ connectionId, resource: 'items', key: 'new-1' }),
    );
  });

  it('is one Signal, however many follow while the sync waits for the end user, and is pulled when that is back', async () => {
    const { connectionId, account } = await connect({ records: { items: 5 }, resources: ['items'] });
    account.revoke();
    await harness.sync.syncNow(connectionId);
    await untilAwaiting(harness.sync, connectionId);
    const emit = (id: string) => {
      account.put('items', { id });
      return account.emit([eventOf({ resource: 'ITEM' })]);
    };
    for (const id of ['new-1', 'new-2', 'new-3', 'new-4']) {
      await emit(id);
      await harness.query(`update maesn_sync.hints set since = since - interval '31 seconds'`);
    }
    const signals = await readSignals(harness.temporal, `sync/${connectionId}`);
    expect(signals.filter((name) => name === 'hinted')).toHaveLength(1);
    await harness.sync.reauthorized(connectionId, account.reconnect());
    await pulled(connectionId);
    await expectSameRecords(harness.store, connectionId, account, ['items']);
    // What it has pulled, it must be told of again.
    await emit('new-5');
    await waitFor('the item is there', () =>
      harness.store.records.find({ connectionId, resource: 'items', key: 'new-5' }),
    );
  });

  it('that comes during a cycle is pulled after it, in the run that waits for the next', async () => {
    const { connectionId, account } = await connect({
      records: { items: 250, customers: 5 },
      resources: ['customers', 'items'],
    });
    const asked = requestsOf(account.name).filter(({ resource }) => resource === 'items').length;
    account.fault({ resource: 'items', request: asked + 1, answer: 'hang' });
    await harness.sync.syncNow(connectionId);
    await waitFor('the cycle hangs', () => requestsOf(account.name).some(({ fault }) => fault === 'hang'));
    account.put('customers', { id: 'new-1' });
    await account.emit([eventOf({ resource: 'CUSTOMER' })]);
    expect(await harness.store.webhooks.hints(connectionId)).toEqual(['customers']);
    await waitFor(
      'the hang has timed out',
      async () => (await harness.sync.syncStatus(connectionId)).retry !== undefined,
    );
    await harness.sync.retryNow(connectionId);
    await waitFor('the customer is there', () =>
      harness.store.records.find({ connectionId, resource: 'customers', key: 'new-1' }),
    );
  });

  it('without a sync is taken, and nobody misses it', async () => {
    const { connectionId, account } = await connect({ records: { items: 5 }, resources: ['items'] });
    const handle = harness.temporal.workflow.getHandle(`sync/${connectionId}`);
    await handle.terminate('by mistake');
    expect(await account.emit([eventOf({ resource: 'ITEM' })])).toMatchObject([{ status: 202 }]);
    await harness.sync.startSync(connectionId, { resources: ['items'] });
    await handle.result();
    expect(await harness.store.webhooks.hints(connectionId)).toEqual([]);
  });
});

describe('1,000 events in one burst', () => {
  it('are all in the store afterwards, at the price of five pulls', async () => {
    const resources = ['invoices', 'items'] as const;
    const { connectionId, account } = await connect({ records: { invoices: 500, items: 500 }, resources });
    const keysOf = async (resource: Resource) =>
      (await harness.sync.records(connectionId, resource, { limit: 400 })).map(({ key }) => key);
    const [invoices, items] = await Promise.all([keysOf('invoices'), keysOf('items')]);
    const asked = requestsOf(account.name).length;
    const deliveries = [];
    const begun = performance.now();
    for (let part = 0; part < 10; part += 1) {
      const events: SandboxEvent[] = [];
      for (let n = part * 40; n < part * 40 + 40; n += 1) {
        account.put('invoices', { invoiceId: `new-${n}` });
        account.put('invoices', { invoiceId: invoices[n], paymentReference: `changed-${n}` });
        events.push({ eventType: 'CREATED', resource: 'INVOICE', resourceId: `new-${n}` });
        events.push({ eventType: 'UPDATED', resource: 'INVOICE', resourceId: invoices[n] ?? '' });
      }
      for (const key of items.slice(part * 20, part * 20 + 20)) {
        account.remove('items', key);
        events.push({ eventType: 'DELETED', resource: 'ITEM', resourceId: key });
      }
      deliveries.push(...(await account.emit(events, { concurrency: 20 })));
    }
    const seconds = (performance.now() - begun) / 1_000;
    expect(deliveries.map(({ status }) => status)).toEqual(Array.from({ length: 1_000 }, () => 202));
    await waitFor('everything is there', async () => {
      const { invoices: created, items: left } = await harness.store.records.count(connectionId);
      const last = await harness.store.records.find({ connectionId, resource: 'invoices', key: invoices[399] ?? '' });
      return created === 900 && left === 300 && JSON.stringify(last?.record).includes('changed-399');
    });
    await pulled(connectionId);
    await expectSameRecords(harness.store, connectionId, account, resources);
    // The run that waits for the next cycle has done nothing else.
    const activities = await readActivities(harness.temporal, `sync/${connectionId}`);
    const pulls = activities.filter((name) => name.startsWith('pull')).length;
    console.log(`1,000 webhooks in ${seconds.toFixed(1)} s: ${pulls} pulls`);
    expect(pulls).toBeGreaterThan(0);
    expect(pulls).toBeLessThanOrEqual(5);
    // What is gone cannot be pulled.
    expect(requestsOf(account.name).slice(asked)).not.toContainEqual(expect.objectContaining({ resource: 'items' }));
  });
});

describe('a deletion', () => {
  it('marks the record, harms nobody who sends it again, and is over when the record comes back', async () => {
    const { connectionId, account } = await connect({ records: { customers: 5 }, resources: ['customers'] });
    const [{ key } = { key: '' }] = await harness.sync.records(connectionId, 'customers');
    const find = () => harness.store.records.find({ connectionId, resource: 'customers', key });
    const whole = await find();
    account.remove('customers', key);
    const filterDate = new Date().toISOString();
    const [delivery] = await account.emit([
      eventOf({ eventType: 'DELETED', resource: 'CUSTOMER', resourceId: key, filterDate }),
    ]);
    if (delivery === undefined) throw new Error('it was told to nobody');
    const replay = () => post(delivery.callbackUrl, delivery.body, delivery.signature);
    expect(await find()).toEqual({ ...whole, deletedAt: new Date(filterDate) });
    expect(await harness.sync.records(connectionId, 'customers')).toHaveLength(4);

    expect(await replay()).toMatchObject({ status: 202 });
    expect(await find()).toEqual({ ...whole, deletedAt: new Date(filterDate) });

    account.put('customers', { id: key, companyName: 'Wieder da GmbH' });
    await account.emit([eventOf({ resource: 'CUSTOMER', resourceId: key })]);
    await waitFor('it is back', async () => (await find())?.deletedAt === null);
    expect(await replay()).toMatchObject({ status: 202, answer: { accepted: 1 } });
    expect((await find())?.deletedAt).toBeNull();
    await pulled(connectionId);
    await expectSameRecords(harness.store, connectionId, account, ['customers']);
  });

  it('of what never was here changes nothing', async () => {
    const { connectionId, account } = await connect({ records: { customers: 5 }, resources: ['customers'] });
    const before = await everything(connectionId, ['customers']);
    const event = eventOf({ eventType: 'DELETED', resource: 'CUSTOMER', resourceId: 'never-seen' });
    expect(await account.emit([event])).toMatchObject([{ status: 202 }]);
    expect(await everything(connectionId, ['customers'])).toEqual(before);
  });

  it('is not undone by a page that was listed before it, nor done again to what came back without a date', async () => {
    const { store } = await openTestStore();
    try {
      const connectionId = 'c';
      await store.connections.add({ connectionId, targetSystem: 'xero', accountKey: 'k' }, 'test');
      const walk = async (walkId: string, now: Date) => {
        const of = { connectionId, resource: 'invoices', walkId } as const;
        await beginWalk(store, { ...of, now });
        const record = {
          key: 'a',
          parentKey: null,
          json: Buffer.from('{"invoiceId":"a"}'),
          modifiedAt: null,
          hash: 'h',
          problems: null,
        };
        return () => savePages(store, { ...of, records: [record], totalPages: 1, totalRecords: 1 });
      };
      const find = () => store.records.find({ connectionId, resource: 'invoices', key: 'a' });
      const save = await walk('1', new Date(Date.now() - 60_000));
      await save();
      const deletedAt = new Date(Date.now() + 1_000);
      const deletion = { resource: 'invoices', key: 'a', deletedAt } as const;
      // Listed while the record was there, saved when it was not any more.
      const savePage = await walk('2', new Date());
      expect(await store.webhooks.markDeleted(connectionId, [deletion, { ...deletion, deletedAt: new Date(0) }])).toBe(
        1,
      );
      await savePage();
      expect((await find())?.deletedAt).toEqual(deletedAt);
      expect(await store.webhooks.markDeleted(connectionId, [deletion])).toBe(0);
      // A walk begins no later than now.
      await waitFor('it is later', () => Date.now() > deletedAt.getTime());
      const saveLater = await walk('3', new Date());
      await saveLater();
      expect((await find())?.deletedAt).toBeNull();
      expect(
        await store.webhooks.markDeleted(connectionId, [{ ...deletion, deletedAt: new Date(Date.now() - 60_000) }]),
      ).toBe(0);
      expect((await find())?.deletedAt).toBeNull();
    } finally {
      await store.close();
    }
  });
});

describe('a hint', () => {
  it('is told once, and once more by a later event if it may have been lost on its way', async () => {
    const { db, close } = await openPglite('memory://');
    try {
      const sealing = createSealing(TEST_SEALING_KEY);
      await createConnections(db, sealing).add({ connectionId: 'c', targetSystem: 'xero', accountKey: 'k' }, 'test');
      const webhooks = createWebhooks(db, sealing);
      const since = (age: string) => db.execute(sql`update maesn_sync.hints set since = now() - ${age}::interval`);
      const hint = () => webhooks.hint('c', 'invoices', 3);
      expect(await hint()).toBe(true);
      await since('29 seconds');
      expect([await hint(), await hint()]).toEqual([false, false]);
      await since('31 seconds');
      expect([await hint(), await hint()]).toEqual([true, false]);
      expect(await webhooks.hint('c', 'items', 1)).toBe(true);
      expect(await webhooks.hints('c')).toEqual(['invoices', 'items']);
      await webhooks.told('c', ['invoices']);
      await since('31 seconds');
      expect([await hint(), await webhooks.hint('c', 'items', 1)]).toEqual([false, true]);
    } finally {
      await close();
    }
  });
});

describe('when something of ours does not answer', () => {
  /** The same routes over a store and a Temporal of their own. */
  async function withSubscription(break_: 'the store' | 'Temporal'): Promise<[number, unknown, unknown[]]> {
    const { store } = await openTestStore();
    const connection = Connection.lazy({ address: '127.0.0.1:1' });
    const sync = createMaesnSync({
      temporal: break_ === 'Temporal' ? new Client({ connection }) : harness.temporal,
      store,
      taskQueue: 'none',
      reauthorization: { remindEveryMs: 1_000, expireAfterMs: 2_000 },
    });
    const failures: unknown[] = [];
    const routes = createWebhookRoutes(sync, (error) => failures.push(error));
    const connectionId = `c-${randomBytes(5).toString('hex')}`;
    await store.connections.add({ connectionId, targetSystem: 'xero', accountKey: 'k' }, 'test');
    await store.webhooks.add({ connectionId, eventType: 'CREATED', webhookResource: 'ITEM', token: 't' });
    await store.webhooks.confirm('t', { maesnId: 'm', secret: 's', expiresAt: null });
    if (break_ === 'the store') await store.close();
    const body = JSON.stringify(eventOf({ resource: 'ITEM' }));
    const headers = { 'X-MAESN-SIGNATURE': sign('s', body) };
    const response = await routes.request('/webhooks/t', { method: 'POST', headers, body });
    // What was hinted at is not lost: the next event, or the next cycle, finds it.
    if (break_ === 'Temporal') expect(await store.webhooks.hints(connectionId)).toEqual(['items']);
    if (break_ === 'Temporal') await store.close();
    await connection.close();
    return [response.status, await response.json(), failures];
  }

  it.each(['the store', 'Temporal'] as const)('as %s, Maesn is asked to come back', async (broken) => {
    const [status, answer, failures] = await withSubscription(broken);
    expect([status, answer]).toMatchObject([503, { code: 'Unavailable' }]);
    expect(failures).toHaveLength(1);
  });
});

describe('a login that Maesn says is revoked', () => {
  const resources = ['items'] as const;
  const revokedEvent = () => eventOf({ eventType: 'REVOKED', resource: 'TOKEN', resourceId: 'token' });
  const probes = (name: string) => requestsOf(name).filter(({ path }) => path === '/accounting/profile');
  const reauthorizeEnded = (connectionId: string) =>
    waitFor('reauthorizeConnection has ended', async () => {
      const { status } = await harness.temporal.workflow.getHandle(`reauthorize/${connectionId}`).describe();
      return status.name === 'COMPLETED';
    });

  const required = (connectionId: string) =>
    waitFor('the application is told', async () =>
      (await harness.sync.events({ connectionId })).some(({ type }) => type.endsWith('reauthorization_required')),
    );
  const sayRevoked = async (account: SandboxAccount) => {
    const { callbackUrl, secret } = webhookOf(account, 'CREATED', 'ITEM');
    const body = JSON.stringify(revokedEvent());
    expect(await post(callbackUrl, body, sign(secret, body))).toMatchObject({ status: 202 });
  };

  it('is probed, and then the customer is asked to sign in before any list was refused; a replay changes nothing', async () => {
    const { connectionId, account } = await connect({
      records: { items: 5 },
      resources,
      targetSystem: 'lexware-office',
    });
    account.revoke();
    const [delivery] = await account.emit([revokedEvent()]);
    if (delivery === undefined) throw new Error('it was told to nobody');
    expect(delivery.status).toBe(202);
    await required(connectionId);
    expect(await harness.sync.connection(connectionId)).toMatchObject({ status: 'awaiting_reauthorization', round: 1 });
    const refused = requestsOf(account.name).filter(({ status }) => status === 401);
    expect(refused.map(({ path }) => path)).toEqual(['/accounting/profile']);
    expect(await harness.sync.journal(connectionId)).toContainEqual(
      expect.objectContaining({ action: 'webhook.login_revoked', actor: 'Maesn', detail: { keyVersion: 1 } }),
    );

    await harness.sync.reauthorized(connectionId, account.reconnect());
    await reauthorizeEnded(connectionId);
    const before = await everything(connectionId, resources);
    const asked = probes(account.name).length;
    expect(await post(delivery.callbackUrl, delivery.body, delivery.signature)).toMatchObject({ status: 202 });
    await waitFor('Maesn is asked', () => probes(account.name).length > asked);
    await reauthorizeEnded(connectionId);
    expect(await everything(connectionId, resources)).toEqual(before);
    expect(before.connection).toMatchObject({ status: 'active', round: 1 });
  });

  it('and is not, goes on as if nothing had been said', async () => {
    const { connectionId, account } = await connect({ records: { items: 5 }, resources });
    await sayRevoked(account);
    await reauthorizeEnded(connectionId);
    expect(probes(account.name)).toMatchObject([{ status: 200 }]);
    expect(await harness.sync.connection(connectionId)).toMatchObject({ status: 'active', round: 0 });
    expect(await harness.sync.events({ connectionId })).not.toContainEqual(
      expect.objectContaining({ type: 'connection.reauthorization_required' }),
    );
  });

  it('and cannot be probed is known from the 401 of a sync, which waits for no probe', async () => {
    const { connectionId, account } = await connect({ records: { items: 5 }, resources });
    account.fault({ resource: 'profile', answer: 'hang' });
    await sayRevoked(account);
    await waitFor('the probe hangs', () => probes(account.name).length === 1);
    account.revoke();
    await harness.sync.syncNow(connectionId);
    await required(connectionId);
    // It was ended, not waited for.
    const events = await readEvents(harness.temporal, `reauthorize/${connectionId}`);
    expect(events.map(({ type }) => type)).toContain('ACTIVITY_TASK_CANCELED');
    expect(probes(account.name)).toHaveLength(1);
    await harness.sync.reauthorized(connectionId, account.reconnect());
    await reauthorizeEnded(connectionId);
    await idle(connectionId);
  });

  it('and is, just after it was found to be alive, is known from the 401 of a sync', async () => {
    const { connectionId, account } = await connect({ records: { items: 5 }, resources });
    const { connections } = harness.store;
    const find = connections.find.bind(connections);
    let isAlive = true;
    const finding = vi.spyOn(connections, 'find').mockImplementation(async (id) => {
      const found = await find(id);
      if (id !== connectionId || !isAlive || probes(account.name).length === 0) return found;
      // What was read is as good as told; then a sync meets a 401, and joins.
      isAlive = false;
      account.revoke();
      await harness.sync.syncNow(connectionId);
      await waitFor('the sync has joined', async () =>
        (await readSignals(harness.temporal, `reauthorize/${connectionId}`)).includes('joined'),
      );
      return found;
    });
    onTestFinished(() => finding.mockRestore());
    await sayRevoked(account);
    await required(connectionId);
    expect(isAlive).toBe(false);
    await harness.sync.reauthorized(connectionId, account.reconnect());
    await reauthorizeEnded(connectionId);
    await idle(connectionId);
  });
});
