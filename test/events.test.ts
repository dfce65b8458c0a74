/** What the application is told: everything, in order, once by id, however long it was away. */
import { Webhook, WebhookVerificationError } from 'standardwebhooks';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { isPrivate } from '../src/application/private-addresses.js';
import { DeliveryError, createSendEvent } from '../src/application/send-event.js';
import type { Event } from '../src/store/index.js';
import { deliverEventsId } from '../src/workflows/messages.js';
import { startHarness } from './support/harness.js';
import type { Harness } from './support/harness.js';
import { readEvents } from './support/history.js';
import { startReceiver } from './support/receiver.js';
import type { Receiver, ReceiverMode } from './support/receiver.js';
import { waitFor } from './support/wait.js';

let receiver: Receiver;
let harness: Harness;
beforeAll(async () => {
  receiver = await startReceiver();
  harness = await startHarness({ overrides: receiver.overrides });
});
afterAll(async () => {
  await harness.close();
  await receiver.close();
});

async function syncOnce(of: Harness, connectionId: string): Promise<void> {
  await of.sync.startSync(connectionId, { resources: ['items'] });
  await waitFor('the sync has ended', async () => {
    const { state } = await of.sync.syncStatus(connectionId);
    return state === 'Completed' || state === 'Failed';
  });
}

const everythingTaken = (from: Receiver, of: Harness, connectionId: string, count: number) =>
  waitFor(`${count} events are taken`, async () => {
    const events = await of.sync.events({ connectionId });
    return (
      events.length >= count && events.every(({ deliveredAt }) => deliveredAt !== null) && from.takenOf(connectionId)
    );
  });

describe('an application that was away', () => {
  it.each<[string, ReceiverMode]>([
    ['answered 500', 500],
    ['answered 410', 410],
    ['answered 429', 429],
    ['cut the connection', 'cut'],
    ['redirected', 'redirect'],
  ])('because it %s gets every event once and in order when it is back', async (_name, mode) => {
    const skipping = await startHarness({ overrides: receiver.overrides, skipTime: ['started by Activities'] });
    const connected = await Promise.all([1, 2, 3].map(() => skipping.connect({ records: { items: 3 } })));
    receiver.answer(mode);
    const before = receiver.attempts;
    for (const { connectionId } of connected) {
      await syncOnce(skipping, connectionId);
      await syncOnce(skipping, connectionId);
    }
    await waitFor('it was tried several times', () => receiver.attempts > before + 6);
    for (const { connectionId } of connected) expect(receiver.takenOf(connectionId)).toEqual([]);
    const [first] = connected;
    const [waiting] = await skipping.sync.events({ connectionId: first?.connectionId ?? '' });
    expect(waiting).toMatchObject({ deliveredAt: null, lastError: expect.stringMatching(/answered|was not reached/) });

    receiver.answer(204);
    for (const { connectionId } of connected) {
      const taken = await everythingTaken(receiver, skipping, connectionId, 4);
      expect(taken.map(({ type }) => type)).toEqual([
        'sync.started',
        'sync.completed',
        'sync.started',
        'sync.completed',
      ]);
      const ids = (await skipping.sync.events({ connectionId })).map(({ id }) => `evt_${id}`);
      expect(taken.map(({ id }) => id)).toEqual(ids);
    }
    await skipping.close();
  });

  it('for hours loses nothing, and is asked every ten minutes at most', async () => {
    const skipping = await startHarness({ overrides: receiver.overrides, skipTime: ['started by Activities'] });
    const { connectionId } = await skipping.connect({ records: { items: 3 } });
    receiver.answer(503);
    await syncOnce(skipping, connectionId);
    const times = await waitFor(
      'a day has passed',
      async () => {
        const events = await readEvents(skipping.temporal, deliverEventsId(connectionId));
        const skips = events.flatMap(({ skippedToMs }) => skippedToMs ?? []);
        const [first, last] = [events[0]?.atMs ?? 0, skips.at(-1) ?? 0];
        return last - first > 4 * 3_600_000 && skips;
      },
      300_000,
    );
    const gaps = times.slice(1).map((time, index) => time - (times[index] ?? 0));
    expect(Math.max(...gaps)).toBeLessThan(601_500);
    receiver.answer(204);
    const taken = await everythingTaken(receiver, skipping, connectionId, 2);
    expect(taken.map(({ type }) => type)).toEqual(['sync.started', 'sync.completed']);
    await skipping.close();
  }, 400_000);

  it('also hears what happened while no Worker ran', async () => {
    const { connectionId } = await harness.connect({ records: { items: 3 } });
    const other = await startHarness({ overrides: receiver.overrides });
    // In the outbox, and nobody there who delivers it: as after a crash of everything at once.
    await harness.store.events.add({ connectionId, type: 'sync.stuck', occasion: 'unheard', data: { page: 3 } });
    await other.close();
    expect(receiver.takenOf(connectionId)).toEqual([]);
    await syncOnce(harness, connectionId);
    const taken = await everythingTaken(receiver, harness, connectionId, 3);
    expect(taken.map(({ type }) => type)).toEqual(['sync.stuck', 'sync.started', 'sync.completed']);
  });

  it('whose answer was lost gets the event again under the same id', async () => {
    const skipping = await startHarness({ overrides: receiver.overrides, skipTime: ['started by Activities'] });
    const { connectionId } = await skipping.connect({ records: { items: 3 } });
    receiver.answer('lostAnswer');
    await syncOnce(skipping, connectionId);
    const taken = await everythingTaken(receiver, skipping, connectionId, 2);
    expect(taken.map(({ type }) => type)).toEqual(['sync.started', 'sync.started', 'sync.completed']);
    expect(taken[0]?.id).toBe(taken[1]?.id);
    expect(new Set(taken.map(({ id }) => id)).size).toBe(2);
    await skipping.close();
  });
});

describe('an event', () => {
  it('is told of every step of a reauthorisation, of what is stuck and of what failed, without key or record', async () => {
    const skipping = await startHarness({ overrides: receiver.overrides, skipTime: ['started by client'] });
    const { connectionId, account } = await skipping.connect({ records: { items: 150, invoices: 3 } });
    account.fault({ resource: 'items', page: 2, times: 3, answer: { status: 429 } });
    account.fault({ resource: 'invoices', page: 1, answer: { status: 400, errors: [{ message: 'no' }] } });
    await skipping.sync.startSync(connectionId, { resources: ['items', 'invoices'] });
    await waitFor('the sync has failed', async () => (await skipping.sync.syncStatus(connectionId)).state === 'Failed');
    account.revoke();
    await skipping.sync.startSync(connectionId, { resources: ['items'] });
    await waitFor('it awaits the end user', async () =>
      (await skipping.sync.events({ connectionId })).some(({ type }) => type === 'connection.reauthorization_required'),
    );
    await skipping.sync.reauthorized(connectionId, account.reconnect());
    const taken = await everythingTaken(receiver, skipping, connectionId, 7);
    expect(taken.map(({ type }) => type)).toEqual([
      'sync.started',
      'sync.stuck',
      'sync.failed',
      'sync.started',
      'connection.reauthorization_required',
      'connection.reauthorized',
      'sync.completed',
    ]);
    expect(taken[1]?.data).toMatchObject({ resource: 'items', page: 2, status: 429, failures: 3 });
    expect(taken[2]?.data).toMatchObject({
      resources: { invoices: { status: 'failed', failure: { type: 'BadRequest' } } },
    });
    expect(taken[6]?.data).toMatchObject({ resources: { items: { status: 'completed', reauthorizations: 1 } } });
    expect(JSON.stringify(taken)).not.toMatch(/account_key|GmbH/);
    await skipping.close();
  });

  it('is signed: another secret does not verify it', async () => {
    const event: Event = {
      id: 5,
      type: 'sync.started',
      connectionId: 'signed',
      data: {},
      createdAt: new Date(),
      deliveredAt: null,
      attempts: 0,
      lastError: null,
    };
    const url = receiver.overrides.MAESN_SYNC_EVENTS_URL;
    await createSendEvent({ url, secret: receiver.secret, allowPrivate: true })(event);
    expect(receiver.takenOf('signed')).toHaveLength(1);
    const wrong = createSendEvent({
      url,
      secret: `whsec_${Buffer.alloc(32, 8).toString('base64')}`,
      allowPrivate: true,
    });
    await expect(wrong(event)).rejects.toThrow('answered 400');
    expect(receiver.takenOf('signed')).toHaveLength(1);
    expect(() => new Webhook(receiver.secret).verify('{}', {})).toThrow(WebhookVerificationError);
  });

  it('is replayed under its id, while others are told', async () => {
    const { connectionId } = await harness.connect({ records: { items: 3 } });
    await syncOnce(harness, connectionId);
    const [first, second] = await everythingTaken(receiver, harness, connectionId, 2);
    const ids = (await harness.sync.events({ connectionId })).map(({ id }) => id);
    await harness.sync.replayEvents(ids);
    const again = await waitFor('both came again', () => {
      const taken = receiver.takenOf(connectionId);
      return taken.length === 4 && taken;
    });
    expect(again.slice(2)).toEqual([first, second]);
    await expect(harness.sync.replayEvents([999_999_999])).rejects.toMatchObject({ code: 'EventNotFound' });
  });

  it('is kept for 30 days; one that was not delivered, until it is', async () => {
    const { connectionId } = await harness.connect({ records: { items: 3 } });
    await syncOnce(harness, connectionId);
    await everythingTaken(receiver, harness, connectionId, 2);
    const left = async () => (await harness.sync.events({ connectionId })).map(({ type }) => type);
    await harness.store.events.add({ connectionId, type: 'sync.stuck', occasion: 'not delivered' });
    const inDays = (days: number) => new Date(Date.now() + days * 86_400_000);
    await harness.store.events.forget(connectionId, { now: inDays(29) });
    expect(await left()).toEqual(['sync.started', 'sync.completed', 'sync.stuck']);
    await harness.store.events.forget(connectionId, { now: inDays(31) });
    expect(await left()).toEqual(['sync.stuck']);
    await harness.store.events.forget(connectionId, { now: inDays(31), undelivered: true });
    expect(await left()).toEqual([]);
  });
});

describe('an address', () => {
  it.each([
    '127.0.0.1',
    '127.8.8.8',
    '10.1.2.3',
    '172.16.0.1',
    '192.168.1.1',
    '169.254.169.254',
    '100.64.0.1',
    '0.0.0.0',
    '224.0.0.1',
    '255.255.255.255',
    '::1',
    '::',
    'fe80::1',
    'fc00::1',
    'ff02::1',
    '::ffff:127.0.0.1',
    '::ffff:10.0.0.1',
    '2001:db8::1',
    '64:ff9b::7f00:1',
    'not an address',
  ])('%s is nothing that events are sent to', (address) => {
    expect(isPrivate(address)).toBe(true);
  });

  it.each(['8.8.8.8', '2606:4700:4700::1111'])('%s is', (address) => {
    expect(isPrivate(address)).toBe(false);
  });

  it.each([
    'https://127.0.0.1/',
    'https://[::1]/',
    'https://[::ffff:7f00:1]/',
    'https://2130706433/',
    'https://0x7f000001/',
    'https://localhost/',
    'http://example.com/',
  ])('%s is refused before anything is sent', async (url) => {
    const send = createSendEvent({ url, secret: receiver.secret, allowPrivate: false });
    const event: Event = {
      id: 1,
      type: 'sync.started',
      connectionId: 'a',
      data: {},
      createdAt: new Date(),
      deliveredAt: null,
      attempts: 0,
      lastError: null,
    };
    const error: unknown = await send(event).catch((thrown: unknown) => thrown);
    expect(error).toBeInstanceOf(DeliveryError);
    expect(String(error)).toMatch(/not a public address|https alone/);
  });
});
