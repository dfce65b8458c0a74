/** When what a call needs does not answer: it says so soon, and does not wait. */
import { once } from 'node:events';
import { connect, createServer } from 'node:net';
import type { Socket } from 'node:net';
import type { Client } from '@temporalio/client';
import { DrizzleQueryError } from 'drizzle-orm';
import { drizzle } from 'drizzle-orm/node-postgres';
import { Pool } from 'pg';
import { afterAll, beforeAll, describe, expect, inject, it, onTestFinished } from 'vitest';
import { createMaesnSync } from '../src/client.js';
import type { MaesnSync, MaesnSyncOptions } from '../src/client.js';
import { isUnreachable } from '../src/store/database-error.js';
import { createStore } from '../src/store/index.js';
import type { Store } from '../src/store/index.js';
import { createSealing } from '../src/store/sealing.js';
import { connectClient, connectWorker } from '../src/temporal.js';
import { startTestBackend } from './support/backend.js';
import { startHarness } from './support/harness.js';
import type { Harness } from './support/harness.js';
import { TEST_SEALING_KEY } from './support/store.js';

let harness: Harness;
beforeAll(async () => {
  harness = await startHarness();
});
afterAll(() => harness.close());

function syncWith(options: Partial<MaesnSyncOptions>): MaesnSync {
  const { store, temporal, taskQueue } = harness;
  return createMaesnSync({
    store,
    temporal,
    taskQueue,
    reauthorization: { remindEveryMs: 1, expireAfterMs: 1 },
    ...options,
  });
}

/** As in production, but with a limit that a test can wait for. */
function storeAt(port: string): Store {
  const pool = new Pool({ host: '127.0.0.1', port: Number(port), connectionTimeoutMillis: 200 });
  const database = { db: drizzle(pool), process: 'test', isAlone: false, close: () => pool.end() };
  return createStore(database, createSealing(TEST_SEALING_KEY));
}

/** Whoever takes its connections does this with them. Answers its port. */
async function listen(take: (socket: Socket) => void): Promise<string> {
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    sockets.add(socket.on('error', () => undefined));
    take(socket);
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  onTestFinished(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  const address = server.address();
  return typeof address === 'object' ? String(address?.port) : '';
}

/** A line to Temporal that can be made to hang: it stays open, and nothing comes through. */
async function openLine() {
  const { hostname, port } = new URL(`http://${inject('temporalAddress')}`);
  const ends = new Set<Socket>();
  const near = await listen((socket) => {
    const far = connect(Number(port), hostname).on('error', () => undefined);
    for (const end of [socket, far]) ends.add(end.on('close', () => far.destroy()));
    socket.pipe(far).pipe(socket);
  });
  return {
    address: `127.0.0.1:${near}`,
    hang: () => {
      for (const end of ends) end.unpipe().pause();
    },
  };
}

/** The two ways in which a process is connected to Temporal. */
const CONNECTIONS: Readonly<Record<string, (address: string) => Promise<Client>>> = {
  'of an application': (TEMPORAL_ADDRESS) => connectClient({ ...harness.config, env: { TEMPORAL_ADDRESS } }),
  'of a Worker': async (TEMPORAL_ADDRESS) =>
    (await connectWorker({ ...harness.config, env: { TEMPORAL_ADDRESS } })).client,
};

it.each(Object.keys(CONNECTIONS))('a Temporal that hangs is unavailable, over the connection %s', async (name) => {
  const line = await openLine();
  const temporal = await CONNECTIONS[name]?.(line.address);
  if (temporal === undefined) throw new Error(name);
  onTestFinished(() => temporal.connection.close());
  const { connectionId: id } = await harness.connect({ records: { items: 1 }, targetSystem: 'xero' });
  const sync = syncWith({ temporal, temporalAnswersWithinMs: 300 });
  expect(await sync.syncStatus(id)).toMatchObject({ state: 'NotStarted' });
  line.hang();
  const calls = {
    syncStatus: sync.syncStatus(id),
    overview: sync.overview(),
    stuck: sync.stuck(),
    startSync: sync.startSync(id),
    syncNow: sync.syncNow(id),
    pauseSync: sync.pauseSync(id, { reason: 'a test' }),
    cancelSync: sync.cancelSync(id),
    retryNow: sync.retryNow(id),
    retryTargetSystem: sync.retryTargetSystem({ targetSystem: 'xero' }),
    write: sync.write(id, { operation: 'createCustomer', body: { name: 'A' }, idempotencyKey: `hangs-${id}` }),
  };
  const answers = await Promise.allSettled(Object.values(calls));
  const unavailable = { status: 'rejected', reason: expect.objectContaining({ code: 'Unavailable' }) };
  expect(Object.keys(calls).map((call, index) => [call, answers[index]])).toEqual(
    Object.keys(calls).map((call) => [call, unavailable]),
  );
});

it('whoever waits for the end of a write waits for longer than Temporal may take to answer', async () => {
  const { connectionId: id } = await harness.connect({ records: { items: 1 } });
  const impatient = syncWith({ temporalAnswersWithinMs: 0 });
  await harness.stopWorker();
  await harness.sync.write(id, { operation: 'createCustomer', body: { name: 'A' }, idempotencyKey: 'long' });
  const batch = {
    batchId: 'batch',
    writes: [{ operation: 'createCustomer', body: { name: 'B' }, idempotencyKey: 'many' }],
  } as const;
  await harness.sync.writeMany(id, batch);
  await expect(impatient.syncStatus(id)).rejects.toMatchObject({ code: 'Unavailable' });
  const ends = [impatient.writeEnd(id, 'long'), impatient.writeBatchEnd(id, 'batch')] as const;
  await harness.startWorker();
  const [write, report] = await Promise.all(ends);
  expect(write).toMatchObject({ state: 'ended', outcome: 'applied' });
  expect(report).toMatchObject({ total: 1, applied: 1 });
});

describe('a store', () => {
  it.each([
    ['that refuses connections', async () => '1'],
    ['that hangs up', () => listen((socket) => socket.destroy())],
    ['that hangs', () => listen(() => undefined)],
  ])('%s is unavailable, and nothing is told of what was asked of it', async (_name, toPort) => {
    const store = storeAt(await toPort());
    onTestFinished(() => store.close());
    const sync = syncWith({ store });
    const answers = await Promise.allSettled([
      sync.connections(),
      sync.addConnection({ connectionId: 'a', targetSystem: 'xero', accountKey: 'a-secret' }),
    ]);
    for (const answer of answers) {
      expect(answer).toMatchObject({ status: 'rejected', reason: { code: 'Unavailable' } });
      expect(answer).not.toHaveProperty('reason.cause.message');
      expect(answer).toMatchObject({
        reason: { message: expect.stringMatching(/^The store did not answer: [\w ]+\.$/) },
      });
    }
  });

  it('that is gone is a 503 of the HTTP API, which says when to come back, and of the page', async () => {
    const store = storeAt('1');
    const backend = await startTestBackend({ ...harness, store });
    onTestFinished(async () => {
      await backend.close();
      await store.close();
    });
    const answer = await backend.ask('GET', '/connections');
    expect(answer).toMatchObject({ status: 503, body: { code: 'Unavailable' } });
    expect(answer.headers.get('retry-after')).toBe('10');
    expect(await backend.ask('GET', '/ui')).toMatchObject({
      status: 503,
      body: expect.stringContaining('Unavailable'),
    });
  });

  it.each([
    ['08006', true],
    ['53300', true],
    ['57P01', true],
    ['57P02', true],
    ['57P03', true],
    ['ECONNRESET', true],
    ['57014', false],
    ['23505', false],
    ['22008', false],
    ['ENOENT', false],
  ])('that fails with %s was not reached: %s', (code, expected) => {
    const error = Object.assign(new Error('as the driver says it'), { code });
    expect(isUnreachable(error)).toBe(expected);
    expect(isUnreachable(new DrizzleQueryError('select 1', [], error))).toBe(expected);
  });
});
