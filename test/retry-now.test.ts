/** "Retry now": of one connection with all its Workflows, and of a whole target system, spread over a time. */
import { WorkflowNotFoundError } from '@temporalio/client';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { deliverEventsId, retryTargetSystemId, syncConnectionId, writeRecordId } from '../src/workflows/messages.js';
import { MAESN_STATE } from '../src/workflows/search-attributes.js';
import { startTestBackend } from './support/backend.js';
import type { TestBackend } from './support/backend.js';
import { startHarness } from './support/harness.js';
import type { Harness } from './support/harness.js';
import { readEvents, readSignals } from './support/history.js';
import { startReceiver } from './support/receiver.js';
import type { Receiver } from './support/receiver.js';
import { waitFor } from './support/wait.js';

let receiver: Receiver;
let harness: Harness;
let backend: TestBackend;
beforeAll(async () => {
  receiver = await startReceiver();
  // The fourth attempt waits for minutes.
  harness = await startHarness({ overrides: { ...receiver.overrides, MAESN_RETRY_TIME_SCALE: '60' } });
  backend = await startTestBackend(harness, receiver.overrides);
});
afterAll(async () => {
  await backend.close();
  await harness.close();
  await receiver.close();
});

const isRetrying = async (workflowId: string) => {
  try {
    const { typedSearchAttributes } = await harness.temporal.workflow.getHandle(workflowId).describe();
    return typedSearchAttributes.get(MAESN_STATE) === 'Retrying';
  } catch (error) {
    if (error instanceof WorkflowNotFoundError) return false;
    throw error;
  }
};

/** Whose next attempt is an hour away. */
async function startRetrying(targetSystem: string): Promise<string> {
  const { connectionId, account } = await harness.connect({ records: { items: 5 }, targetSystem });
  account.fault({ request: 1, times: 2, answer: { status: 429, retryAfter: 1 } });
  account.fault({ request: 3, answer: { status: 429, retryAfter: 60 * 3_600 } });
  await harness.sync.startSync(connectionId, { resources: ['items'] });
  await waitFor(`${connectionId} retries`, () => isRetrying(syncConnectionId(connectionId)));
  return connectionId;
}

const isCompleted = async (id: string) => (await harness.sync.syncStatus(id)).state === 'Completed';
const untilListed = (targetSystem: string, count: number) =>
  waitFor('Temporal lists them', async () => {
    const query = `MaesnState = 'Retrying' AND MaesnTargetSystem = '${targetSystem}'`;
    return (await harness.temporal.workflow.count(query)).count === count;
  });

describe('of a target system', () => {
  it('tells each that retries once, apart from one another, and nobody of another system', async () => {
    const [others, ...ids] = await Promise.all([
      startRetrying('moneybird'),
      ...Array.from({ length: 5 }, () => startRetrying('bexio')),
    ]);
    await untilListed('bexio', 5);
    const startedAt = Date.now();
    const answer = await backend.ask('POST', '/retry-now', { targetSystem: 'bexio', over: '4 seconds' });
    const workflowId = retryTargetSystemId('bexio', harness.taskQueue);
    expect(answer).toMatchObject({ status: 202, body: { workflowId, waiting: 5 } });
    expect(await harness.temporal.workflow.getHandle(workflowId).result()).toEqual({ told: 5, left: 0 });
    // Four pauses between five, over four seconds.
    expect(Date.now() - startedAt).toBeGreaterThan(2_500);
    for (const id of ids) {
      await waitFor(`${id} completes`, () => isCompleted(id));
      expect(
        (await readSignals(harness.temporal, syncConnectionId(id))).filter((name) => name === 'retryNow'),
      ).toHaveLength(1);
      const [entry] = await harness.sync.journal(id);
      expect(entry).toMatchObject({ actor: 'test', action: 'sync.retried', detail: { targetSystem: 'bexio' } });
    }
    expect(await readSignals(harness.temporal, syncConnectionId(others))).toEqual(['retrying']);
    await harness.sync.retryNow(others);
    await waitFor('so does the other one', () => isCompleted(others));
  });

  it('says of a store that fails nothing that is in it, and goes on when it works again', async () => {
    const id = await startRetrying('weclapp');
    await untilListed('weclapp', 1);
    await harness.query(
      `alter table maesn_sync.journal add constraint refused check (action <> 'sync.retried' or connection_id <> '${id}')`,
    );
    const { workflowId } = await harness.sync.retryTargetSystem({ targetSystem: 'weclapp' });
    const failure = await waitFor('it fails', async () => {
      const { raw } = await harness.temporal.workflow.getHandle(workflowId).describe();
      return raw.pendingActivities?.find(({ lastFailure }) => lastFailure)?.lastFailure;
    });
    expect(failure?.applicationFailureInfo?.type).toBe('Unexpected');
    expect(failure?.message).not.toMatch(new RegExp(`insert|params|${id}`));
    await harness.query('alter table maesn_sync.journal drop constraint refused');
    expect(await harness.temporal.workflow.getHandle(workflowId).result()).toMatchObject({ left: 0 });
    await waitFor('it completes', () => isCompleted(id));
  });

  it('is refused where nothing retries, while it is under way, and with nonsense', async () => {
    await expect(harness.sync.retryTargetSystem({ targetSystem: 'abacus' })).rejects.toMatchObject({ code: 'Refused' });
    const ids = await Promise.all([startRetrying('qonto'), startRetrying('qonto')]);
    await untilListed('qonto', 2);
    const { workflowId } = await harness.sync.retryTargetSystem({ targetSystem: 'qonto', over: '1 hour' });
    await expect(harness.sync.retryTargetSystem({ targetSystem: 'qonto' })).rejects.toMatchObject({ code: 'Refused' });
    await harness.temporal.workflow.getHandle(workflowId).cancel();
    for (const over of ['soon', 0, '25 hours']) {
      await expect(harness.sync.retryTargetSystem({ targetSystem: 'qonto', over })).rejects.toMatchObject({
        code: 'InvalidInput',
        issues: [{ field: 'over' }],
      });
    }
    for (const id of ids) await harness.sync.removeConnection(id);
  });
});

describe('of one connection', () => {
  const ORDER = {
    idempotencyKey: 'order-1',
    operation: 'createInvoice',
    body: { invoiceNumber: 'A-1' },
  } as const;

  /** Refused as long as nothing is seen to wait. */
  const tellToRetryNow = (connectionId: string) =>
    waitFor('it is told', async () =>
      harness.sync.retryNow(connectionId).then(
        () => true,
        () => false,
      ),
    );

  it('cuts short the wait of a delivery whose receiver works again', async () => {
    receiver.answer(() => 503);
    const { connectionId } = await harness.connect({ records: { items: 5 } });
    await harness.sync.startSync(connectionId, { resources: ['items'] });
    await waitFor('it is not taken', () => isRetrying(deliverEventsId(connectionId)));
    receiver.answer(() => 204);
    await waitFor('the next attempt is waited for', async () => {
      const { raw } = await harness.temporal.workflow.getHandle(deliverEventsId(connectionId)).describe();
      return raw.pendingActivities?.some(({ nextAttemptScheduleTime }) => nextAttemptScheduleTime) === true;
    });
    await tellToRetryNow(connectionId);
    await waitFor('it is taken', () => receiver.taken.some(({ data }) => data.connectionId === connectionId));
    const events = await readEvents(harness.temporal, deliverEventsId(connectionId));
    expect(events.map(({ type }) => type)).toContain('ACTIVITY_TASK_CANCELED');
  });

  it('makes the next attempt of a write now, and it is written once', async () => {
    const { connectionId, account } = await harness.connect({ records: { invoices: 5 } });
    account.fault({ operation: 'createInvoice', request: 1, times: 2, answer: { status: 429, retryAfter: 1 } });
    account.fault({ operation: 'createInvoice', request: 3, answer: { status: 429, retryAfter: 60 * 3_600 } });
    await harness.sync.write(connectionId, ORDER);
    const { idempotencyKey } = ORDER;
    await waitFor('it retries', () => isRetrying(writeRecordId({ connectionId, idempotencyKey })));
    await tellToRetryNow(connectionId);
    expect(await harness.sync.writeEnd(connectionId, ORDER.idempotencyKey)).toMatchObject({ outcome: 'applied' });
    expect(account.writes).toHaveLength(1);
  });

  it('makes the next attempt of a write that has failed once and would wait for an hour', async () => {
    const { connectionId, account } = await harness.connect({ records: { invoices: 5 } });
    account.fault({ operation: 'createInvoice', answer: { status: 429, retryAfter: 60 * 3_600 } });
    await harness.sync.write(connectionId, ORDER);
    await tellToRetryNow(connectionId);
    expect(await harness.sync.writeEnd(connectionId, ORDER.idempotencyKey)).toMatchObject({ outcome: 'applied' });
    expect(account.writes).toHaveLength(1);
  });

  it('goes on with the task that runs at Maesn, and starts no second one beside it', async () => {
    const { connectionId, account } = await harness.connect({
      records: { items: 50 },
      account: { asyncResources: ['items'], pollsUntilFinished: 1 },
    });
    account.fault({ resource: 'asyncTask', answer: { status: 429, retryAfter: 60 * 3_600 } });
    const { workflowId } = await harness.sync.startSync(connectionId, { resources: ['items'] });
    await tellToRetryNow(connectionId);
    await harness.temporal.workflow.getHandle(workflowId).result();
    const statuses = harness.sandbox.requests
      .filter(({ account: name }) => name === account.name)
      .map(({ path, status }) => `${path.replace(/asyncTask.*/, 'asyncTask')} ${status}`);
    expect(statuses.slice(0, 4)).toEqual([
      '/accounting/items 200',
      '/accounting/asyncTask 429',
      '/accounting/asyncTask 200',
      '/accounting/asyncTask 200',
    ]);
  });
});
