/** The Worker is killed, really: `kill -9` of a process that holds the store and walks. */
import { fork } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { Client, Connection } from '@temporalio/client';
import { afterAll, beforeAll, expect, inject, it } from 'vitest';
import { z } from 'zod';
import { startSandbox } from '../sandbox/index.js';
import type { Sandbox } from '../sandbox/index.js';
import { LEASE_MS } from '../src/activities/lease.js';
import { WINDOW_PER_IN_FLIGHT } from '../src/activities/walk-pages.js';
import { createTargetSystems } from '../src/spec/target-systems.js';
import { openStore } from '../src/store/index.js';
import type { Store } from '../src/store/index.js';
import { writeRecordStart } from '../src/workflows/messages.js';
import { createSkippingClient } from './support/skipping-client.js';
import { expectSameRecords } from './support/records.js';
import { createTestDatabase } from './support/store.js';
import { waitFor } from './support/wait.js';

const KILLS = 5;
const PAGES = 200;
const WINDOW = WINDOW_PER_IN_FLIGHT * createTargetSystems().requestsInFlight('sevdesk');

let sandbox: Sandbox;
const sealingKey = randomBytes(32);
let pgliteDir: string;
let databaseUrl: string | undefined;
let connection: Connection;
beforeAll(async () => {
  sandbox = await startSandbox({ latencyMs: 20 });
  pgliteDir = await mkdtemp(path.join(tmpdir(), 'maesn-sync-crash-'));
  databaseUrl = await createTestDatabase();
  connection = await Connection.connect({ address: inject('temporalAddress') });
});
afterAll(async () => {
  await connection.close();
  await sandbox.close();
  await rm(pgliteDir, { recursive: true, force: true });
});

/** Opens the store while no Worker has it. */
async function withStore<Result>(use: (store: Store) => Promise<Result>): Promise<Result> {
  const store = await openStore({ databaseUrl, pgliteDir, sealingKey });
  try {
    return await use(store);
  } finally {
    await store.close();
  }
}

async function startWorker(overrides: Record<string, string>): Promise<ChildProcess> {
  const logFile = path.join(inject('logDir'), `crash-${randomBytes(3).toString('hex')}.log`);
  const settings = {
    temporalAddress: inject('temporalAddress'),
    workflowBundlePath: inject('workflowBundlePath'),
    logFile,
    databaseUrl,
    pgliteDir,
    sealingKey: sealingKey.toString('base64'),
    overrides,
  };
  const child = fork(
    fileURLToPath(new URL('./fixtures/worker-process.ts', import.meta.url)),
    [JSON.stringify(settings)],
    {
      execArgv: ['--import', 'tsx'],
      env: { PATH: process.env['PATH'], HOME: process.env['HOME'] },
    },
  );
  const [said] = await Promise.race([
    once(child, 'message'),
    once(child, 'exit').then(() => Promise.reject(new Error('the Worker ended before it was ready'))),
  ]);
  const { healthUrl } = z.object({ healthUrl: z.url() }).parse(said);
  await waitFor('the Worker is ready', async () => (await fetch(`${healthUrl}/readyz`)).status === 200);
  expect((await fetch(`${healthUrl}/healthz`)).status).toBe(200);
  return child;
}

/** Without the one that asks at the end what has changed meanwhile. */
const ofTheList = (requests: Sandbox['requests']) =>
  requests.filter(({ lastModifiedAt }) => lastModifiedAt === undefined);

it(`a Worker that is killed ${KILLS} times in one walk repeats at most what was in flight, loses nothing and doubles nothing`, async () => {
  const account = sandbox.addAccount({ targetSystem: 'sevdesk', records: { accounts: PAGES * 100 } });
  const connectionId = `crash-${randomBytes(4).toString('hex')}`;
  await withStore((store) =>
    store.connections.add({ connectionId, targetSystem: 'sevdesk', accountKey: account.accountKey }, 'test'),
  );
  const taskQueue = `crash-${randomBytes(4).toString('hex')}`;
  const overrides = {
    MAESN_API_KEY: sandbox.apiKey,
    MAESN_BASE_URL: sandbox.url,
    MAESN_SYNC_TASK_QUEUE: taskQueue,
  };
  // Virtual time skips the delays before the retries.
  const temporal: Client = createSkippingClient({ connection });
  const handle = await temporal.workflow.start('syncConnection', {
    workflowId: `sync/${connectionId}`,
    taskQueue,
    args: [{ connectionId, resources: ['accounts'] }],
  });
  const requests = () => sandbox.requests.filter(({ account: name }) => name === account.name);

  const wentOnAfter: unknown[] = [];
  for (let kill = 0; kill < KILLS; kill += 1) {
    const worker = await startWorker(overrides);
    const before = requests().length;
    await waitFor('the walk has moved', () => requests().length >= before + 15);
    const [pending] = (await handle.describe()).raw.pendingActivities ?? [];
    wentOnAfter.push(pending?.lastFailure?.applicationFailureInfo?.type);
    const gone = once(worker, 'exit');
    worker.kill('SIGKILL');
    await gone;
  }
  const worker = await startWorker(overrides);
  await handle.result();
  const gone = once(worker, 'exit');
  worker.send('stop');
  expect(await gone).toEqual([0, null]);

  // None of them has waited for heartbeats that do not come.
  expect(wentOnAfter).toEqual([undefined, ...Array.from({ length: KILLS - 1 }, () => 'WorkerLost')]);
  const { events } = await handle.fetchHistory();
  const started = events?.flatMap((event) => event.activityTaskStartedEventAttributes ?? []);
  expect(started?.map(({ attempt, lastFailure }) => [attempt, lastFailure?.applicationFailureInfo?.type])).toEqual([
    [KILLS + 1, 'WorkerLost'],
  ]);

  const pages = ofTheList(requests()).map(({ page }) => Number(page ?? 0));
  expect(new Set(pages).size).toBe(PAGES);
  expect(pages.length - PAGES).toBeLessThanOrEqual(KILLS * WINDOW);
  // Never back by more than what was in flight.
  const steps = pages.slice(1).map((page, index) => page - (pages[index] ?? 0));
  expect(Math.min(...steps)).toBeGreaterThanOrEqual(-WINDOW);
  await withStore((store) => expectSameRecords(store, connectionId, account, ['accounts']));
}, 300_000);

it('a Worker that is told to stop within a walk hands it over at once', async () => {
  const account = sandbox.addAccount({ targetSystem: 'sevdesk', records: { accounts: 30_000 } });
  const connectionId = `handover-${randomBytes(4).toString('hex')}`;
  await withStore((store) =>
    store.connections.add({ connectionId, targetSystem: 'sevdesk', accountKey: account.accountKey }, 'test'),
  );
  const taskQueue = `handover-${randomBytes(4).toString('hex')}`;
  const overrides = {
    MAESN_API_KEY: sandbox.apiKey,
    MAESN_BASE_URL: sandbox.url,
    MAESN_SYNC_TASK_QUEUE: taskQueue,
    MAESN_SYNC_SHUTDOWN_GRACE: '100 ms',
  };
  const handle = await new Client({ connection }).workflow.start('syncConnection', {
    workflowId: `sync/${connectionId}`,
    taskQueue,
    args: [{ connectionId, resources: ['accounts'] }],
  });
  const requests = () => sandbox.requests.filter(({ account: name }) => name === account.name);
  const stop = async (worker: ChildProcess) => {
    const gone = once(worker, 'exit');
    worker.send('stop');
    expect(await gone).toEqual([0, null]);
  };

  const first = await startWorker(overrides);
  await waitFor('the walk has moved', () => requests().length >= 15);
  await stop(first);
  const { raw } = await handle.describe();
  const [pending] = raw.pendingActivities ?? [];
  expect(pending?.lastFailure?.applicationFailureInfo?.type).toBe('WorkerShutdown');
  expect(Number(pending?.currentRetryInterval?.seconds)).toBe(1);

  const handedOver = requests().length;
  const second = await startWorker(overrides);
  await handle.result();
  await stop(second);
  // What was in flight may have been asked for in vain; nothing before it is asked for again.
  const pages = ofTheList(requests()).map(({ page }) => Number(page));
  const last = Math.max(...pages.slice(0, handedOver));
  expect(Math.min(...pages.slice(handedOver))).toBeGreaterThan(last - WINDOW);
  await withStore((store) => expectSameRecords(store, connectionId, account, ['accounts']));
}, 300_000);

it('the one request that a target system runs is not sent again before the lease of the killed Worker has ended', async () => {
  const account = sandbox.addAccount({ targetSystem: 'abaconnect', records: { items: 250 } });
  account.fault({ resource: 'items', page: 2, answer: 'hang' });
  const connectionId = `leased-${randomBytes(4).toString('hex')}`;
  await withStore((store) =>
    store.connections.add({ connectionId, targetSystem: 'abaconnect', accountKey: account.accountKey }, 'test'),
  );
  const taskQueue = `leased-${randomBytes(4).toString('hex')}`;
  const overrides = {
    MAESN_API_KEY: sandbox.apiKey,
    MAESN_BASE_URL: sandbox.url,
    MAESN_SYNC_TASK_QUEUE: taskQueue,
    // As slow as the request that is under way when the Worker dies.
    MAESN_TIMEOUT: '5 minutes',
  };
  const handle = await createSkippingClient({ connection }).workflow.start('syncConnection', {
    workflowId: `sync/${connectionId}`,
    taskQueue,
    args: [{ connectionId, resources: ['items'] }],
  });
  const second = () => sandbox.requests.filter(({ account: name, page }) => name === account.name && page === '2');
  const killed = await startWorker(overrides);
  await waitFor('its request is under way', () => second().length === 1);
  const gone = once(killed, 'exit');
  killed.kill('SIGKILL');
  await gone;

  const worker = await startWorker(overrides);
  await handle.result();
  const ended = once(worker, 'exit');
  worker.send('stop');
  expect(await ended).toEqual([0, null]);
  const [lost, again] = second().map(({ time }) => Date.parse(time));
  expect(second()).toHaveLength(2);
  // The lease is taken a moment before the request leaves.
  expect((again ?? 0) - (lost ?? 0)).toBeGreaterThan(LEASE_MS - 1_000);
  await withStore((store) => expectSameRecords(store, connectionId, account, ['items']));
}, 300_000);

it('a Worker that is killed while a write is under way: the next one finds what became of it, and does not send it again', async () => {
  const account = sandbox.addAccount({ targetSystem: 'sevdesk', records: {} });
  account.fault({ operation: 'createInvoice', answer: 'hang', applied: true });
  const connectionId = `write-${randomBytes(4).toString('hex')}`;
  const write = { connectionId, idempotencyKey: 'w' };
  const body = { invoiceNumber: 'R-1', name: 'Chairs' };
  await withStore(async (store) => {
    await store.connections.add({ connectionId, targetSystem: 'sevdesk', accountKey: account.accountKey }, 'test');
    await store.writes.add({ ...write, operation: 'createInvoice', parameters: {}, body }, 'test');
  });
  const taskQueue = `write-${randomBytes(4).toString('hex')}`;
  const overrides = {
    MAESN_API_KEY: sandbox.apiKey,
    MAESN_BASE_URL: sandbox.url,
    MAESN_SYNC_TASK_QUEUE: taskQueue,
  };
  const temporal: Client = createSkippingClient({ connection });
  const start = writeRecordStart(write, 'createInvoice', taskQueue);
  const handle = await temporal.workflow.start('writeRecord', { ...start, args: [write] });
  const requests = () => sandbox.requests.filter((request) => request.account === account.name);

  const first = await startWorker(overrides);
  await waitFor('it is under way', () => requests().length > 0);
  const gone = once(first, 'exit');
  first.kill('SIGKILL');
  await gone;
  const second = await startWorker(overrides);
  expect(await handle.result()).toMatchObject({ outcome: 'applied', sends: 1 });
  const ended = once(second, 'exit');
  second.send('stop');
  await ended;

  expect(requests().filter(({ method }) => method === 'POST')).toHaveLength(1);
  expect(account.writes).toHaveLength(1);
  await withStore(async (store) => {
    const written = await store.writes.find(write);
    expect(
      await store.records.find({ connectionId, resource: 'invoices', key: written?.recordKey ?? '' }),
    ).toMatchObject({
      record: expect.objectContaining(body),
    });
  });
}, 180_000);
