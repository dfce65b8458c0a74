/** Events out: nothing is lost, nothing overtakes, whatever happens to the receiver and to the Worker. */
import { MockActivityEnvironment } from '@temporalio/testing';
import { NativeConnection, Worker } from '@temporalio/worker';
import type { WorkerOptions } from '@temporalio/worker';
import { afterAll, afterEach, beforeAll, describe, expect, inject, it, onTestFailed } from 'vitest';
import { createTargetSystems } from '../src/spec/target-systems.js';
import { createActivities } from '../src/activities/index.js';
import { createTell } from '../src/activities/tell-application.js';
import { MaesnSyncError } from '../src/client.js';
import type { Event } from '../src/client.js';
import { deliverEventsId } from '../src/workflows/messages.js';
import { startHarness } from './support/harness.js';
import type { Harness } from './support/harness.js';
import { readEvents } from './support/history.js';
import { startReceiver } from './support/receiver.js';
import type { Delivery, Receiver } from './support/receiver.js';
import { waitFor } from './support/wait.js';

let receiver: Receiver;
/** In virtual time: nobody waits for the delays between two attempts. */
let harness: Harness;
beforeAll(async () => {
  receiver = await startReceiver();
  harness = await startHarness({
    skipTime: ['started by client', 'started by Activities'],
    overrides: {
      MAESN_SYNC_EVENTS_URL: receiver.url,
      MAESN_SYNC_EVENTS_SECRET: receiver.secret,
      MAESN_SYNC_EVENTS_ALLOW_PRIVATE: 'true',
    },
  });
});
afterAll(async () => {
  await harness.close();
  await receiver.close();
});
// A test that has failed leaves nothing broken for the next one.
afterEach(async () => {
  receiver.answer(204);
  await receiver.up();
});

async function stopWorker(): Promise<void> {
  onTestFailed(async () => {
    await harness.stopWorker();
    await harness.startWorker();
  });
  await harness.stopWorker();
}

async function connect(): Promise<string> {
  return (await harness.connect({ records: { items: 5 } })).connectionId;
}

/** Two events each: `sync.started` and `sync.completed`. */
async function syncs(connectionId: string, times = 1): Promise<void> {
  for (let time = 0; time < times; time += 1) {
    const { workflowId } = await harness.sync.startSync(connectionId, { resources: ['items'] });
    await harness.temporal.workflow.getHandle(workflowId).result();
  }
}

const of = (deliveries: readonly Delivery[], connectionId: string) =>
  deliveries.filter(({ data }) => data.connectionId === connectionId);

const outbox = (connectionId: string) => harness.sync.events({ connectionId, limit: 1_000 });

const sentTimes = (connectionId: string, times: number) =>
  waitFor(`${times} attempts for ${connectionId}`, () => of(receiver.sent, connectionId).length >= times);

const attemptsOf = (connectionId: string, times: number) =>
  waitFor(`${times} failed attempts for ${connectionId}`, async () =>
    (await outbox(connectionId)).some(({ attempts, deliveredAt }) => deliveredAt === null && attempts >= times),
  );

const delivered = (connectionId: string, events: number) =>
  waitFor(
    `${events} events of ${connectionId} are delivered`,
    async () => {
      const told = await outbox(connectionId);
      return told.length === events && told.every(({ deliveredAt }) => deliveredAt !== null) && told;
    },
    200_000,
  );

/** What was taken is the outbox: every event once by id, in order. */
function expectOnceInOrder(connectionId: string, told: readonly Event[]): void {
  const taken = of(receiver.taken, connectionId);
  expect(taken.map(({ id }) => id)).toEqual(told.map(({ id }) => `evt_${id}`));
  expect(taken.map(({ type }) => type)).toEqual(told.map(({ type }) => type));
}

describe('every event arrives once by id and in order, of each connection,', () => {
  it('when the receiver is there', async () => {
    const connectionId = await connect();
    await syncs(connectionId, 2);
    expectOnceInOrder(connectionId, await delivered(connectionId, 4));
    expect(of(receiver.sent, connectionId)).toHaveLength(4);
  });

  it('when nobody listens, and then somebody does again', async () => {
    const connectionIds = await Promise.all(Array.from({ length: 6 }, connect));
    await receiver.down();
    await Promise.all(connectionIds.map((id) => syncs(id, 3)));
    await Promise.all(connectionIds.map((id) => attemptsOf(id, 4)));
    const [first] = await outbox(connectionIds[0] ?? '');
    expect(first).toMatchObject({ deliveredAt: null, lastError: expect.stringContaining('refused the connection') });
    await receiver.up();
    for (const id of connectionIds) expectOnceInOrder(id, await delivered(id, 6));
  });

  it('when many are told meanwhile, of which the Workflow that waits gets no Signal', async () => {
    const connectionId = await connect();
    await receiver.down();
    await syncs(connectionId, 5);
    const { events } = await harness.temporal.workflow.getHandle(deliverEventsId(connectionId)).fetchHistory();
    await receiver.up();
    const names = events?.flatMap((event) => event.workflowExecutionSignaledEventAttributes?.signalName ?? []);
    expect(names?.filter((name) => name === 'eventsAdded')).toHaveLength(1);
    expectOnceInOrder(connectionId, await delivered(connectionId, 10));
  });

  it.each([500, 410, 302, 'closes'] as const)('when it answers with %s for a while', async (answer) => {
    const connectionId = await connect();
    receiver.answer(answer);
    await syncs(connectionId, 2);
    await sentTimes(connectionId, 4);
    // The first blocks those behind it.
    expect(new Set(of(receiver.sent, connectionId).map(({ id }) => id)).size).toBe(1);
    receiver.answer(204);
    expectOnceInOrder(connectionId, await delivered(connectionId, 4));
  });

  it('when each third request fails', async () => {
    const connectionIds = await Promise.all(Array.from({ length: 4 }, connect));
    let requests = 0;
    receiver.answer(() => {
      requests += 1;
      return requests % 3 === 0 ? 503 : 200;
    });
    await Promise.all(connectionIds.map((id) => syncs(id, 3)));
    for (const id of connectionIds) expectOnceInOrder(id, await delivered(id, 6));
  });

  it('when the Worker is stopped while the receiver is down', async () => {
    const connectionIds = await Promise.all([connect(), connect()]);
    receiver.answer(500);
    await Promise.all(connectionIds.map((id) => syncs(id)));
    await Promise.all(connectionIds.map((id) => attemptsOf(id, 2)));
    await stopWorker();
    receiver.answer(204);
    const stopped = receiver.sent.length;
    await harness.startWorker();
    for (const id of connectionIds) expectOnceInOrder(id, await delivered(id, 2));
    expect(receiver.sent.length).toBe(stopped + 4);
  });

  it('when the Worker is stopped while the receiver does not answer', async () => {
    const connectionId = await connect();
    receiver.answer('slow');
    await syncs(connectionId);
    await sentTimes(connectionId, 1);
    await stopWorker();
    const { raw } = await harness.temporal.workflow.getHandle(deliverEventsId(connectionId)).describe();
    expect(raw.pendingActivities?.[0]?.lastFailure?.applicationFailureInfo?.type).toBe('WorkerShutdown');
    receiver.answer(204);
    await harness.startWorker();
    expectOnceInOrder(connectionId, await delivered(connectionId, 2));
  });

  it('when it is down for a day', async () => {
    const connectionId = await connect();
    const workflowId = deliverEventsId(connectionId);
    receiver.answer(503);
    await syncs(connectionId);
    const downForMs = await waitFor(
      'a day has passed',
      async () => {
        const events = await readEvents(harness.temporal, workflowId);
        const passedMs = (events.at(-1)?.atMs ?? 0) - (events[0]?.atMs ?? 0);
        return passedMs > 86_400_000 && passedMs;
      },
      240_000,
    );
    receiver.answer(204);
    expectOnceInOrder(connectionId, await delivered(connectionId, 2));
    // At most ten minutes apart: 8 attempts until then, and 6 an hour from there.
    expect(of(receiver.sent, connectionId).length).toBeLessThan(8 + downForMs / 600_000 + 10);
  }, 300_000);
});

describe('an event that is not taken', () => {
  it('is sent again after 5 seconds, then x2, at most 10 minutes', async () => {
    const connectionId = await connect();
    receiver.answer(500);
    await syncs(connectionId);
    await sentTimes(connectionId, 11);
    receiver.answer(204);
    await delivered(connectionId, 2);
    const events = await readEvents(harness.temporal, deliverEventsId(connectionId));
    const delays = events.flatMap(({ atMs, skippedToMs }) =>
      skippedToMs === undefined ? [] : [Math.round((skippedToMs - atMs) / 1000)],
    );
    expect(delays.slice(0, 10)).toEqual([5, 10, 20, 40, 80, 160, 320, 600, 600, 600]);
  });

  it('says in the Temporal UI which, why, and how many wait behind it', async () => {
    const connectionId = await connect();
    receiver.answer(500);
    await syncs(connectionId, 2);
    await sentTimes(connectionId, 2);
    const handle = harness.temporal.workflow.getHandle(deliverEventsId(connectionId));
    const message = await waitFor('three wait behind it', async () => {
      const { raw } = await handle.describe();
      const said = raw.pendingActivities?.[0]?.lastFailure?.message ?? '';
      return said.includes('3 events wait') && said;
    });
    const [event] = await outbox(connectionId);
    expect(message).toMatch(
      new RegExp(
        `^sync.started \\(evt_${event?.id}\\) was not taken: 127.0.0.1:\\d+ answered 500 Internal Server Error. ` +
          '3 events wait behind it. Sent again until it is taken; \\d+ in vain so far.$',
      ),
    );
    expect(message).not.toContain('/hooks');
    receiver.answer(204);
    await delivered(connectionId, 4);
  });

  it('whose answer was lost comes again, under the same id and unchanged', async () => {
    const connectionId = await connect();
    const lost = new Set<string>();
    receiver.answer(({ id }) => {
      if (lost.has(id)) return 204;
      lost.add(id);
      return 'takes and closes';
    });
    await syncs(connectionId);
    const told = await delivered(connectionId, 2);
    const taken = of(receiver.taken, connectionId);
    expect(taken.map(({ id }) => id)).toEqual(told.flatMap(({ id }) => [`evt_${id}`, `evt_${id}`]));
    expect(taken[1]).toEqual(taken[0]);
    expect(taken[3]).toEqual(taken[2]);
  });
});

describe('an event that was delivered', () => {
  it('is delivered once more when it is replayed, under the same id', async () => {
    const connectionId = await connect();
    await syncs(connectionId);
    const [started] = await delivered(connectionId, 2);
    if (started === undefined) throw new Error('there are two');
    await harness.sync.as('Ada').replayEvents([started.id]);
    await waitFor('it came again', () => of(receiver.taken, connectionId).length === 3);
    const taken = of(receiver.taken, connectionId);
    expect(taken[2]).toEqual(taken[0]);
    const journal = await harness.sync.journal(connectionId);
    expect(journal[0]).toMatchObject({ actor: 'Ada', action: 'event.replayed', detail: { events: [started.id] } });
    await delivered(connectionId, 2);
  });

  it('comes before those that wait, when it is replayed meanwhile', async () => {
    const connectionId = await connect();
    await syncs(connectionId);
    const [first, second] = await delivered(connectionId, 2);
    if (first === undefined || second === undefined) throw new Error('there are two');
    receiver.answer(500);
    await syncs(connectionId);
    await attemptsOf(connectionId, 2);
    await harness.sync.replayEvents([second.id, first.id]);
    receiver.answer(204);
    const told = await delivered(connectionId, 4);
    const taken = of(receiver.taken, connectionId).map(({ id }) => id);
    const ids = told.map(({ id }) => `evt_${id}`);
    // The one that was just being sent may come first; nothing is left out, and the replayed ones are in order.
    expect(new Set(taken)).toEqual(new Set(ids));
    expect(taken).toHaveLength(6);
    expect(taken.slice(2).filter((id) => id === ids[0] || id === ids[1])).toEqual(ids.slice(0, 2));
  });

  it('cannot be replayed under an id that there is not: nothing is done then', async () => {
    const connectionId = await connect();
    await syncs(connectionId);
    const [started] = await delivered(connectionId, 2);
    const before = receiver.sent.length;
    const replaying = harness.sync.replayEvents([started?.id ?? 0, 999_999]);
    await expect(replaying).rejects.toMatchObject({
      code: 'EventNotFound',
      message: expect.stringContaining('999999'),
    });
    await expect(replaying).rejects.toBeInstanceOf(MaesnSyncError);
    expect((await outbox(connectionId)).every(({ deliveredAt }) => deliveredAt !== null)).toBe(true);
    expect(receiver.sent).toHaveLength(before);
  });
});

describe('the Workflow', () => {
  it('ends when all is delivered, after one Activity for what came at once', async () => {
    const connectionId = await connect();
    await syncs(connectionId);
    await delivered(connectionId, 2);
    const handle = harness.temporal.workflow.getHandle(deliverEventsId(connectionId));
    await handle.result();
    const events = await readEvents(harness.temporal, deliverEventsId(connectionId));
    const count = (type: string) => events.filter((event) => event.type === type).length;
    // One for each Signal at most: the Signal that starts it does not count twice.
    expect(count('ACTIVITY_TASK_SCHEDULED')).toBeLessThanOrEqual(count('WORKFLOW_EXECUTION_SIGNALED'));
  });

  it('leaves nothing lying, however Signals fall between its last look and its end', async () => {
    const connectionId = await connect();
    const { tell } = workerOf(connectionId);
    for (let occasion = 0; occasion < 60; occasion += 1) {
      await tell({ connectionId, type: 'sync.started', occasion: `at random ${occasion}` });
      // Now and then it has just ended, now and then it is just ending.
      if (occasion % 3 === 0) {
        await waitFor('it is taken', () => of(receiver.taken, connectionId).length > occasion);
      }
    }
    expectOnceInOrder(connectionId, await delivered(connectionId, 60));
  });

  it('leaves nothing lying of what several tell at once between its last look and its end', async () => {
    const connectionId = await connect();
    const { tell, activities } = workerOf(connectionId);
    const told = ['a', 'b', 'c'].map((occasion) => ({ connectionId, type: 'sync.started', occasion }) as const);
    await stopWorker();
    const [first, ...others] = told;
    if (first === undefined) throw new Error('there are three');
    await tell(first);
    await runUntil(connectionId, 'ACTIVITY_TASK_SCHEDULED', {
      workflowBundle: { codePath: inject('workflowBundlePath') },
    });
    await runUntil(connectionId, 'ACTIVITY_TASK_COMPLETED', { activities });
    // All of them are there before anybody asks whether there is one before it.
    for (const event of others) await harness.store.events.add(event);
    for (const event of others) await tell(event);
    await harness.startWorker();
    expectOnceInOrder(connectionId, await delivered(connectionId, 3));
  });
});

/** A Worker for one kind of tasks alone, until the history has such an event. */
async function runUntil(connectionId: string, type: string, does: Partial<WorkerOptions>): Promise<void> {
  const connection = await NativeConnection.connect({ address: inject('temporalAddress') });
  const { taskQueue } = harness;
  const worker = await Worker.create({ connection, taskQueue, maxCachedWorkflows: 0, ...does });
  await worker.runUntil(
    waitFor(type, async () =>
      (await readEvents(harness.temporal, deliverEventsId(connectionId))).some((event) => event.type === type),
    ),
  );
  await connection.close();
}

describe('one Activity', () => {
  const occasions = (connectionId: string, times: number) =>
    Array.from(
      { length: times },
      (_, index) => ({ connectionId, type: 'sync.started', occasion: `${index}` }) as const,
    );

  it('ends after its time, and says that there is more', async () => {
    const connectionId = await connect();
    for (const event of occasions(connectionId, 3)) await harness.store.events.add(event);
    const { deliver } = workerOf(connectionId, { deliverForMs: 0 });
    expect(await deliver()).toEqual({ delivered: 1, more: true });
    expect(await deliver()).toEqual({ delivered: 1, more: true });
    expect(await deliver()).toEqual({ delivered: 1, more: false });
    expect(await deliver()).toEqual({ delivered: 0, more: false });
    expectOnceInOrder(connectionId, await outbox(connectionId));
  });

  it('that got on before it failed hands back, so that the delays begin anew', async () => {
    const connectionId = await connect();
    for (const event of occasions(connectionId, 3)) await harness.store.events.add(event);
    const { deliver } = workerOf(connectionId);
    receiver.answer(() => (of(receiver.taken, connectionId).length === 0 ? 204 : 500));
    expect(await deliver()).toEqual({ delivered: 1, more: true });
    await expect(deliver()).rejects.toMatchObject({
      type: 'EventNotTaken',
      nonRetryable: false,
      message: expect.stringContaining('1 event waits behind it. Sent again until it is taken; 2 in vain so far.'),
    });
    receiver.answer(204);
    expect(await deliver()).toEqual({ delivered: 2, more: false });
  });

  it('gives way when the Worker delivers enough already, and so leaves room for syncs', async () => {
    const connectionId = await connect();
    await harness.store.events.add({ connectionId, type: 'sync.started', occasion: '1' });
    const { deliver } = workerOf(connectionId, { deliverAtOnce: 1 });
    receiver.answer('slow');
    const first = deliver();
    await sentTimes(connectionId, 1);
    await expect(deliver()).rejects.toMatchObject({ type: 'DeliveredLater', nonRetryable: false });
    await receiver.down();
    await expect(first).rejects.toMatchObject({ type: 'EventNotTaken' });
    await receiver.up();
    receiver.answer(204);
    expect(await deliver()).toEqual({ delivered: 1, more: false });
  });

  it('that finds no receiver any more leaves the events where they are', async () => {
    const connectionId = await connect();
    await harness.store.events.add({ connectionId, type: 'sync.started', occasion: '1' });
    const { deliver } = workerOf(connectionId, { eventReceiver: undefined });
    expect(await deliver()).toEqual({ delivered: 0, more: false });
    expect(await outbox(connectionId)).toMatchObject([{ deliveredAt: null, attempts: 0 }]);
  });
});

describe('the outbox forgets', () => {
  /** So long ago that everything is. */
  const OLD = { keepEventsForMs: -60_000 };

  it('what was delivered long ago, and never what was not', async () => {
    const connectionId = await connect();
    await harness.store.events.add({ connectionId, type: 'sync.started', occasion: '1' });
    await workerOf(connectionId).deliver();
    await harness.store.events.add({ connectionId, type: 'sync.started', occasion: '2' });
    receiver.answer(500);
    // Not long enough ago.
    await expect(workerOf(connectionId).deliver()).rejects.toThrow('not taken');
    expect(await outbox(connectionId)).toHaveLength(2);
    await expect(workerOf(connectionId, OLD).deliver()).rejects.toThrow('not taken');
    expect(await outbox(connectionId)).toMatchObject([{ deliveredAt: null, attempts: 2 }]);
  });

  it('without a receiver what happened long ago, whosever it is', async () => {
    const [connectionId, other] = [await connect(), await connect()];
    const event = { type: 'sync.started', occasion: '1' } as const;
    await harness.store.events.add({ ...event, connectionId: other });
    const nobody = { eventReceiver: undefined };
    await workerOf(connectionId, nobody).tell({ ...event, connectionId });
    await workerOf(connectionId, nobody).tell({ ...event, connectionId, occasion: '2' });
    expect(await outbox(connectionId)).toHaveLength(2);
    expect(await outbox(other)).toHaveLength(1);
    await workerOf(connectionId, { ...nobody, ...OLD }).tell({ ...event, connectionId, occasion: '3' });
    expect(await outbox(connectionId)).toEqual([]);
    expect(await outbox(other)).toEqual([]);
  });
});

/** What a Worker with other options does for a connection. */
function workerOf(connectionId: string, options: object = {}) {
  const dependencies = {
    store: harness.store,
    temporal: harness.temporal,
    taskQueue: harness.taskQueue,
    targetSystems: createTargetSystems(),
    // Not asked for anything here.
    maesn: Object.create(null),
    options: {
      timeScale: 1,
      heartbeatEveryMs: 1_000,
      walkForMs: 1_000,
      pageLimit: 100,
      fullWalkEveryMs: 86_400_000,
      maximumDeletedShare: 1,
      deliverForMs: 60_000,
      deliverAtOnce: 20,
      keepEventsForMs: 86_400_000,
      remindEveryMs: 1,
      expireAfterMs: 1,
      eventReceiver: { url: receiver.url, secret: receiver.secret, allowPrivate: true },
      ...options,
    },
  };
  const activities = createActivities(dependencies);
  const { deliverEvents } = activities;
  const tell = createTell(dependencies);
  return { tell, activities, deliver: () => new MockActivityEnvironment().run(deliverEvents, { connectionId }) };
}
