/** What keeps a connection from running is a set, and each hold is lifted only by whoever may. */
import { ServiceError } from '@temporalio/client';
import { afterAll, beforeAll, expect, it, onTestFinished, vi } from 'vitest';
import { pauseUpdate, resumeUpdate, syncConnectionId } from '../src/workflows/messages.js';
import type { SyncConnectionStatus } from '../src/workflows/messages.js';
import { atCycleEnds } from './support/cycle-ends.js';
import { startHarness } from './support/harness.js';
import type { Harness } from './support/harness.js';
import { untilAwaiting, untilRetrying } from './support/sync-states.js';
import { waitFor } from './support/wait.js';

let harness: Harness;
beforeAll(async () => {
  harness = await startHarness();
});
afterAll(() => harness.close());

const statusOf = (connectionId: string) => harness.sync.syncStatus(connectionId);
const untilState = (connectionId: string, state: string) =>
  waitFor(`the sync is ${state}`, async () => {
    const status = await statusOf(connectionId);
    return status.state === state && status;
  });
/** What the Workflow itself knows. */
const inWorkflow = (connectionId: string) =>
  harness.temporal.workflow.getHandle(syncConnectionId(connectionId)).query<SyncConnectionStatus>('status');
const actionsOf = async (connectionId: string) =>
  (await harness.sync.journal(connectionId)).map(({ actor, action }) => `${actor}: ${action}`).toReversed();
const told = (connectionId: string, rounds: number) =>
  waitFor('the wait is in the journal', async () => {
    const required = (await actionsOf(connectionId)).filter((action) => action.endsWith('reauthorization.required'));
    return required.length === rounds;
  });
/** Of which the application was told. */
const startedCycles = async (connectionId: string) =>
  (await harness.sync.events({ connectionId })).filter(({ type }) => type === 'sync.started').length;
const requestsOf = (name: string) => harness.sandbox.requests.filter(({ account }) => account === name).length;
const listsOf = (name: string) =>
  harness.sandbox.requests.filter(({ account, path }) => account === name && path !== '/accounting/profile').length;

it('reconnecting does not resume what a person has paused, and resuming does not skip the reconnecting', async () => {
  const { connectionId, account } = await harness.connect({ records: { items: 300 }, targetSystem: 'abaconnect' });
  const anna = harness.sync.as('anna');
  account.fault({ resource: 'items', page: 2, answer: 'revoke' });
  await anna.startSync(connectionId, { resources: ['items'] });
  await untilState(connectionId, 'AwaitingReauthorization');
  await told(connectionId, 1);
  await anna.pauseSync(connectionId, { reason: 'month-end closing' });
  expect((await statusOf(connectionId)).holds.map(({ kind }) => kind)).toEqual(['paused', 'reauthorization']);

  await harness.sync.reauthorized(connectionId, account.reconnect());
  await waitFor('the login is good again', async () => (await statusOf(connectionId)).connection.status === 'active');
  const paused = await untilState(connectionId, 'Paused');
  expect(paused.holds).toMatchObject([{ kind: 'paused', placedBy: 'anna', reason: 'month-end closing' }]);
  const asked = listsOf(account.name);

  account.revoke();
  await anna.resumeSync(connectionId);
  await untilState(connectionId, 'AwaitingReauthorization');
  await told(connectionId, 2);
  // The one request that met the 401.
  expect(listsOf(account.name)).toBe(asked + 1);
  await harness.sync.reauthorized(connectionId, account.reconnect());
  expect((await untilState(connectionId, 'Completed')).resources.items?.records).toBe(300);
  expect(await actionsOf(connectionId)).toEqual([
    'application: connection.added',
    'anna: sync.started',
    'maesn-sync: reauthorization.required',
    'anna: sync.paused',
    'application: key.stored',
    'maesn-sync: reauthorization.settled',
    'anna: sync.resumed',
    'maesn-sync: reauthorization.required',
    'application: key.stored',
    'maesn-sync: reauthorization.settled',
  ]);
});

it('a person lifts only what people place', async () => {
  const { connectionId, account } = await harness.connect({ records: { items: 5 } });
  const incident = { connectionId, kind: 'incident' as const, placedBy: 'maesn-sync', reason: 'everybody gets a 403' };
  await harness.store.holds.place(incident);
  await harness.sync.pauseSync(connectionId, { reason: 'looking into it' });
  await harness.sync.startSync(connectionId, { resources: ['items'] });
  await untilState(connectionId, 'Paused');
  await harness.sync.resumeSync(connectionId);
  const held = await untilState(connectionId, 'Held');
  expect(held.holds).toMatchObject([{ kind: 'incident' }]);
  expect(held.summary).toContain('everybody gets a 403');
  await expect(harness.sync.resumeSync(connectionId)).rejects.toMatchObject({ code: 'Refused' });
  expect(requestsOf(account.name)).toBe(0);

  await harness.store.holds.lift({ connectionId, kind: 'incident' });
  await harness.temporal.workflow.getHandle(syncConnectionId(connectionId)).signal('holdsChanged');
  await untilState(connectionId, 'Completed');
});

it('a hold that is placed while nothing runs counts for the sync that starts then, and outlives one that is cancelled', async () => {
  const { connectionId, account } = await harness.connect({ records: { items: 5 } });
  await harness.sync.pauseSync(connectionId, { reason: 'not yet' });
  await harness.sync.startSync(connectionId, { resources: ['items'] });
  await untilState(connectionId, 'Paused');
  await harness.sync.cancelSync(connectionId);
  await untilState(connectionId, 'Cancelled');
  expect((await statusOf(connectionId)).holds).toHaveLength(1);
  await harness.sync.startSync(connectionId, { resources: ['items'] });
  await untilState(connectionId, 'Paused');
  expect(requestsOf(account.name)).toBe(0);
  await harness.sync.resumeSync(connectionId);
  await untilState(connectionId, 'Completed');
});

it('is known to an idle sync at once, and its next cycle waits', async () => {
  const { connectionId, account } = await harness.connect({ records: { items: 5 } });
  await harness.sync.startSync(connectionId, { resources: ['items'], every: '1 hour' });
  await untilState(connectionId, 'Idle');
  await harness.sync.pauseSync(connectionId, { reason: 'audit' });
  await waitFor('the Workflow knows', async () => (await inWorkflow(connectionId)).state === 'Paused');
  const asked = requestsOf(account.name);
  await harness.sync.syncNow(connectionId);
  await waitFor('the cycle is due', async () => (await inWorkflow(connectionId)).nextCycleAt === undefined);
  expect(requestsOf(account.name)).toBe(asked);
  expect(await startedCycles(connectionId)).toBe(1);
  await harness.sync.resumeSync(connectionId);
  await waitFor('the cycle was run', () => requestsOf(account.name) > asked);
  await harness.sync.removeConnection(connectionId);
});

it('that is placed just when a cycle ends is known to the run that waits for the next', async () => {
  // Of what is small, all would be done again.
  const { connectionId, account } = await harness.connect({ records: { units: 600 } });
  atCycleEnds(harness.store, 1, () => harness.sync.pauseSync(connectionId, { reason: 'audit' }));
  await harness.sync.startSync(connectionId, { resources: ['units'], every: '1 hour' });
  const waiting = await waitFor('the next run is paused', async () => {
    const status = await inWorkflow(connectionId);
    return status.cycle === 2 && status.state === 'Paused' && status;
  });
  expect(waiting).toMatchObject({ holds: [{ reason: 'audit' }] });
  // Six pages, read twice: nothing tells what has changed meanwhile.
  expect(requestsOf(account.name)).toBe(12);
  await harness.sync.removeConnection(connectionId);
});

/** An Update that is about to write its hold, and what lets it. */
function aboutToPause(connectionId: string) {
  const { holds } = harness.store;
  const place = holds.place.bind(holds);
  let proceed = () => {};
  const gate = new Promise<void>((resolve) => (proceed = resolve));
  const placing = vi.spyOn(holds, 'place').mockImplementation(async (hold) => {
    await gate;
    return place(hold);
  });
  onTestFinished(() => placing.mockRestore());
  const handle = harness.temporal.workflow.getHandle(syncConnectionId(connectionId));
  const pausing = handle.executeUpdate(pauseUpdate, { args: [{ reason: 'audit' }] });
  return { pausing, proceed, begun: waitFor('it is being written', () => placing.mock.calls.length > 0) };
}

it('that is being placed when a cycle ends is known to the run that waits for the next', async () => {
  const { connectionId, account } = await harness.connect({ records: { items: 5 } });
  account.fault({ resource: 'items', answer: { status: 429, retryAfter: 3_600 } });
  await harness.sync.startSync(connectionId, { resources: ['items'], every: '1 hour' });
  await untilRetrying(harness.sync, connectionId);
  const { pausing, proceed, begun } = aboutToPause(connectionId);
  await begun;
  await harness.sync.retryNow(connectionId);
  await waitFor('the cycle is told to be over', async () =>
    (await harness.sync.events({ connectionId })).some(({ type }) => type === 'sync.completed'),
  );
  proceed();
  expect(await pausing).toMatchObject({ state: 'Paused' });
  await waitFor('the next run knows', async () => {
    const { cycle, state } = await inWorkflow(connectionId);
    return cycle === 2 && state === 'Paused';
  });
  await harness.sync.removeConnection(connectionId);
});

it('that is being placed when an idle sync is planned anew is known to the run that has the new plan', async () => {
  const { connectionId } = await harness.connect({ records: { items: 5 } });
  await harness.sync.startSync(connectionId, { resources: ['items'], every: '1 hour' });
  await untilState(connectionId, 'Idle');
  const { pausing, proceed, begun } = aboutToPause(connectionId);
  await begun;
  await harness.sync.startSync(connectionId, { resources: ['items', 'bills'], every: '2 hours' });
  proceed();
  expect(await pausing).toMatchObject({ state: 'Paused' });
  await waitFor('the next run knows', async () => {
    const { resources, state } = await inWorkflow(connectionId);
    return Object.keys(resources).length === 2 && state === 'Paused';
  });
  await harness.sync.removeConnection(connectionId);
});

it('that was lifted while Temporal did not answer is known to be gone when somebody tries again', async () => {
  const { connectionId } = await harness.connect({ records: { items: 5 } });
  await harness.sync.startSync(connectionId, { resources: ['items'], every: '1 hour' });
  await untilState(connectionId, 'Idle');
  await harness.sync.pauseSync(connectionId, { reason: 'audit' });
  await harness.sync.syncNow(connectionId);
  await waitFor('it waits', async () => (await inWorkflow(connectionId)).state === 'Paused');
  const workflow = harness.temporal.workflow.getHandle(syncConnectionId(connectionId));
  const unreachable = vi.spyOn(harness.temporal.workflow, 'getHandle').mockReturnValueOnce({
    ...workflow,
    signal: () => Promise.reject(new ServiceError('unavailable')),
  });
  await expect(harness.sync.resumeSync(connectionId)).rejects.toMatchObject({ code: 'Unavailable' });
  unreachable.mockRestore();
  await expect(harness.sync.resumeSync(connectionId)).rejects.toMatchObject({ code: 'Refused' });
  await waitFor('it goes on', async () => (await inWorkflow(connectionId)).state !== 'Paused');
  await harness.sync.removeConnection(connectionId);
});

it('somebody at Temporal pauses and resumes with Updates, and the store and the journal know', async () => {
  const { connectionId } = await harness.connect({ records: { items: 5 } });
  await harness.sync.startSync(connectionId, { resources: ['items'], every: '1 hour' });
  await untilState(connectionId, 'Idle');
  const handle = harness.temporal.workflow.getHandle(syncConnectionId(connectionId));
  const paused = await handle.executeUpdate(pauseUpdate, { args: [{ reason: 'from the Temporal UI', by: 'ops' }] });
  expect(paused).toMatchObject({ state: 'Paused', holds: [{ placedBy: 'ops' }] });
  expect(await harness.store.holds.list(connectionId)).toMatchObject([{ kind: 'paused', placedBy: 'ops' }]);
  await expect(handle.executeUpdate(pauseUpdate, { args: [{ reason: 'again' }] })).rejects.toThrow(
    'Workflow Update failed',
  );
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- what anybody can send
  await expect(handle.executeUpdate(pauseUpdate, { args: [{} as never] })).rejects.toThrow('Workflow Update failed');
  expect(await handle.executeUpdate('resume')).toMatchObject({ state: 'Idle', holds: [] });
  await expect(handle.executeUpdate(resumeUpdate, { args: [undefined] })).rejects.toThrow('Workflow Update failed');
  expect(await harness.store.holds.list(connectionId)).toEqual([]);
  expect((await actionsOf(connectionId)).slice(-2)).toEqual(['ops: sync.paused', 'somebody at Temporal: sync.resumed']);
  await harness.sync.removeConnection(connectionId);
});

it('somebody at Temporal resumes what was paused through the API while the end user has to sign in', async () => {
  const { connectionId, account } = await harness.connect({ records: { items: 5 } });
  account.revoke();
  await harness.sync.startSync(connectionId, { resources: ['items'] });
  await untilAwaiting(harness.sync, connectionId);
  const handle = harness.temporal.workflow.getHandle(syncConnectionId(connectionId));
  await expect(handle.executeUpdate('resume')).rejects.toThrow('Workflow Update failed');
  await harness.sync.pauseSync(connectionId, { reason: 'audit' });
  expect(await handle.executeUpdate('resume')).toMatchObject({ state: 'AwaitingReauthorization', holds: [] });
  expect(await harness.store.holds.list(connectionId)).toEqual([]);
  await harness.sync.reauthorized(connectionId, account.reconnect());
  await untilState(connectionId, 'Completed');
});

it('a retry that waits is made now, when somebody asks for it, and only then', async () => {
  const { connectionId, account } = await harness.connect({ records: { items: 5 } });
  account.fault({ resource: 'items', answer: { status: 429, retryAfter: 3_600 } });
  await harness.sync.startSync(connectionId, { resources: ['items'] });
  const stuck = await untilRetrying(harness.sync, connectionId);
  expect(stuck.retry).toMatchObject({ type: 'TooManyRequests', status: 429, failures: 1, resource: 'items', page: 1 });
  expect(stuck.summary).toMatch(/^429 from sevdesk, first time in a row, at items page 1; next attempt in (?:1h|59m)/);
  await waitFor('it is listed', async () =>
    (await harness.sync.stuck()).some(({ connection }) => connection.connectionId === connectionId),
  );
  // Nor when somebody lifts a hold that is not there: the wait, and the count, stay as they are.
  const handle = harness.temporal.workflow.getHandle(syncConnectionId(connectionId));
  const pendingOf = async () => {
    const [pending] = (await handle.describe()).raw.pendingActivities ?? [];
    return [pending?.activityId, pending?.attempt];
  };
  const [before, requests] = [await pendingOf(), requestsOf(account.name)];
  await expect(harness.sync.resumeSync(connectionId)).rejects.toMatchObject({ code: 'Refused' });
  await waitFor('the Workflow has looked', async () => {
    const { events = [] } = await handle.fetchHistory();
    const signaled = events?.findIndex((event) => event.workflowExecutionSignaledEventAttributes) ?? -1;
    return signaled >= 0 && events?.slice(signaled).some((event) => event.markerRecordedEventAttributes);
  });
  expect(await pendingOf()).toEqual(before);
  expect(requestsOf(account.name)).toBe(requests);
  await harness.sync.as('anna').retryNow(connectionId);
  await untilState(connectionId, 'Completed');
  await expect(harness.sync.retryNow(connectionId)).rejects.toMatchObject({ code: 'Refused' });
  expect((await actionsOf(connectionId)).at(-1)).toBe('anna: sync.retried');
});
