/** When what a call needs does not answer: it says so soon, and does not wait. */
import { once } from 'node:events';
import { connect, createServer } from 'node:net';
import type { Socket } from 'node:net';
import type { Client } from '@temporalio/client';
import { afterAll, beforeAll, expect, inject, it, onTestFinished } from 'vitest';
import { createMaesnSync } from '../src/client.js';
import type { MaesnSync, MaesnSyncOptions } from '../src/client.js';
import { connectClient, connectWorker } from '../src/temporal.js';
import { startHarness } from './support/harness.js';
import type { Harness } from './support/harness.js';

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

/** A line to Temporal that can be made to hang: it stays open, and nothing comes through. */
async function openLine() {
  const { hostname, port } = new URL(`http://${inject('temporalAddress')}`);
  const ends = new Set<Socket>();
  const server = createServer((near) => {
    const far = connect(Number(port), hostname);
    for (const end of [near, far]) ends.add(end.on('error', () => undefined));
    near.pipe(far).pipe(near);
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  onTestFinished(() => {
    for (const end of ends) end.destroy();
    server.close();
  });
  const address = server.address();
  return {
    address: `127.0.0.1:${typeof address === 'object' ? address?.port : ''}`,
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
