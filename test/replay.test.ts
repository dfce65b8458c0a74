/**
 * Workflows that began under an earlier build go on under this one: their recorded histories are replayed. After a change
 * that a recorded history must be kept for, record anew into another folder: `RECORD_HISTORIES=1 npx vitest run test/replay.test.ts`.
 */
import { mkdirSync, readFileSync, readdirSync, writeFileSync } from 'node:fs';
import { hostname } from 'node:os';
import path from 'node:path';
import type { WorkflowHandle } from '@temporalio/client';
import { historyFromJSON, historyToJSON } from '@temporalio/common/lib/proto-utils.js';
import { Worker } from '@temporalio/worker';
import { DeterminismViolationError } from '@temporalio/workflow';
import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest';
import { z } from 'zod';
import { WORKFLOW_TYPES } from '../src/cli/replay-check.js';
import {
  holdsChangedSignal,
  pauseUpdate,
  resolveWriteUpdate,
  resumeUpdate,
  retryTargetSystemStart,
  statusQuery,
  syncConnectionId,
  watchIncidentsId,
  watchIncidentsStart,
  writeBatchId,
  writeBatchQuery,
  writeRecordId,
  writeStatusQuery,
} from '../src/workflows/messages.js';
import type { WriteRecordStatus } from '../src/workflows/messages.js';
import { retryingOf } from '../src/workflows/search-attributes.js';
import { startHarness } from './support/harness.js';
import type { Harness } from './support/harness.js';
import { readActivities, readEvents } from './support/history.js';
import { startReceiver } from './support/receiver.js';
import type { Receiver } from './support/receiver.js';
import { createSkippingClient } from './support/skipping-client.js';
import { untilIdle } from './support/sync-states.js';
import { waitFor } from './support/wait.js';

const HISTORIES = path.join(import.meta.dirname, 'histories');
const historySchema = z.object({ events: z.array(z.looseObject({ eventType: z.string() })) });
const startedSchema = z.object({
  workflowExecutionStartedEventAttributes: z.object({ workflowType: z.object({ name: z.string() }) }),
});
const RECORDING = (process.env['RECORD_HISTORIES'] ?? '') !== '';

let harness: Harness;
let receiver: Receiver;
beforeAll(async () => {
  receiver = await startReceiver();
  // Nobody calls that address: what is recorded is that Maesn is asked to.
  const MAESN_SYNC_PUBLIC_URL = 'http://127.0.0.1:9';
  // A request that hangs does so until it is paused.
  harness = await startHarness({
    overrides: { ...receiver.overrides, MAESN_SYNC_PUBLIC_URL, MAESN_TIMEOUT: '1 minute' },
  });
});
afterAll(async () => {
  await harness.close();
  await receiver.close();
});

/** `history`: JSON text. */
async function replay(history: string): Promise<void> {
  await Worker.runReplayHistory({ workflowBundle: { codePath: inject('workflowBundlePath') } }, JSON.parse(history));
}

async function recordOf(workflowId: string, runId?: string, { temporal } = harness): Promise<string> {
  return historyToJSON(await temporal.workflow.getHandle(workflowId, runId).fetchHistory());
}

function keep(name: string, history: string): void {
  if (!RECORDING) return;
  mkdirSync(HISTORIES, { recursive: true });
  // Where it was recorded is nobody's business.
  const text = history.replaceAll(path.resolve(import.meta.dirname, '..'), '/app').replaceAll(hostname(), 'host');
  writeFileSync(path.join(HISTORIES, `${name}.json`), `${text}\n`);
}

async function replayAndKeep(histories: Readonly<Record<string, string>>): Promise<void> {
  for (const [name, history] of Object.entries(histories)) {
    await replay(history);
    keep(name, history);
  }
}

/** Nothing of it is under way any more, and it says so itself: what it was given until then, it has dealt with. */
async function untilPaused(sync: WorkflowHandle): Promise<void> {
  await waitFor('the pull has ended', async () => ((await sync.describe()).raw.pendingActivities ?? []).length === 0);
  await waitFor('it is paused', async () => (await sync.query(statusQuery)).state === 'Paused');
}

describe('this build', () => {
  it('replays what it has just done: two pauses, two failures, a wait for reauthorisation, a repeat', async () => {
    const { connectionId, account } = await harness.connect({
      // More pages than are pulled within a Workflow Task.
      records: { customers: 550, items: 250, offers: 5, bills: 5 },
      targetSystem: 'freshbooks',
    });
    account.fault({ resource: 'customers', page: 2, times: 2, answer: 'hang' });
    account.fault({ resource: 'items', page: 2, answer: 'revoke' });
    account.fault({ resource: 'offers', request: 1, answer: { status: 404 } });
    account.fault({ resource: 'bills', request: 1, answer: { status: 403 } });
    const { runId } = await harness.sync.startSync(connectionId, {
      resources: ['customers', 'items', 'offers', 'bills'],
      every: '1 hour',
    });
    const untilPage2Hangs = (times: number) =>
      waitFor('page 2 hangs', () => {
        const asked = harness.sandbox.requests.filter(({ account: of, page }) => of === account.name && page === '2');
        return asked.length >= times;
      });
    const sync = harness.temporal.workflow.getHandle(syncConnectionId(connectionId));
    await untilPage2Hangs(1);
    // As if a pause had been lifted at once: nothing is held, and the pull goes on.
    await sync.signal(holdsChangedSignal);
    await waitFor('it has looked', async () =>
      (await readActivities(harness.temporal, sync.workflowId)).includes('readHolds (local)'),
    );
    await harness.sync.pauseSync(connectionId, { reason: 'to be recorded' });
    await untilPaused(sync);
    await harness.sync.resumeSync(connectionId);
    await untilPage2Hangs(2);
    await sync.executeUpdate(pauseUpdate, { args: [{ reason: 'to be recorded, too', by: 'anna' }] });
    await untilPaused(sync);
    await sync.executeUpdate(resumeUpdate, { args: [{ by: 'anna' }] });
    await waitFor(
      'it waits',
      async () => (await harness.sync.connection(connectionId)).status === 'awaiting_reauthorization',
    );
    await harness.sync.reauthorized(connectionId, 'sandbox_account_key_wrong_0');
    await waitFor(
      'the probe is refused',
      async () => (await harness.sync.connection(connectionId)).refusedVersion === 2,
    );
    await harness.sync.reauthorized(connectionId, account.reconnect());
    await waitFor('it is idle', async () => (await harness.sync.syncStatus(connectionId)).state === 'Idle');
    await waitFor('Maesn is asked to call', () => account.webhooks.length > 0);
    await harness.temporal.workflow.getHandle(`sync/${connectionId}`).signal('hinted');
    await harness.store.webhooks.hint(connectionId, 'customers', 1);
    await waitFor('the hint is followed', async () => (await harness.store.webhooks.hints(connectionId)).length === 0);
    await waitFor('it is idle', async () => (await harness.sync.syncStatus(connectionId)).state === 'Idle');
    await harness.sync.cancelSync(connectionId);
    await waitFor('nobody is called any more', () => account.webhooks.length === 0);
    await waitFor('everything is told', async () =>
      (await harness.sync.events({ connectionId })).every(({ deliveredAt }) => deliveredAt !== null),
    );
    for (const workflowId of [`webhooks/${connectionId}`, `events/${connectionId}`]) {
      const { status } = await harness.temporal.workflow.getHandle(workflowId).describe();
      if (status.name === 'RUNNING')
        await harness.temporal.workflow
          .getHandle(workflowId)
          .result()
          .catch(() => undefined);
    }
    await waitFor('it is cancelled', async () => (await harness.sync.syncStatus(connectionId)).state === 'Cancelled');

    const events = await readEvents(harness.temporal, sync.workflowId, runId);
    expect(events.filter(({ type }) => type === 'ACTIVITY_TASK_CANCEL_REQUESTED')).toHaveLength(2);

    const first = await recordOf(`sync/${connectionId}`, runId);
    const second = await recordOf(`sync/${connectionId}`);
    const reauthorize = await recordOf(`reauthorize/${connectionId}`);
    await replayAndKeep({
      'sync-connection-through-everything': first,
      'sync-connection-cancelled-while-idle': second,
      'reauthorize-connection-with-a-refused-key': reauthorize,
      'keep-subscribed-until-cancelled': await recordOf(`webhooks/${connectionId}`),
    });
  });
});

it('this build replays its own cycle of what is small, one of which fails', async () => {
  const { connectionId, account } = await harness.connect({ records: { customers: 5, items: 5, accounts: 5 } });
  await harness.sync.startSync(connectionId, { resources: ['customers', 'items', 'accounts'], every: '1 hour' });
  const { runId } = await untilIdle(harness.sync, connectionId, 2);
  account.fault({ resource: 'items', answer: { status: 400 } });
  await harness.sync.syncNow(connectionId);
  await untilIdle(harness.sync, connectionId, 3);
  const history = await recordOf(`sync/${connectionId}`, runId);
  await replay(history);
  keep('sync-connection-of-what-is-small', history);
  await harness.sync.cancelSync(connectionId);
});

it('this build replays its own delivery of events, with one that was not taken at first', async () => {
  const flaky = await startReceiver();
  const telling = await startHarness({
    overrides: {
      MAESN_SYNC_EVENTS_URL: flaky.url,
      MAESN_SYNC_EVENTS_SECRET: flaky.secret,
      MAESN_SYNC_EVENTS_ALLOW_PRIVATE: 'true',
    },
  });
  try {
    flaky.answer(() => (flaky.sent.length === 1 ? 500 : 204));
    const { connectionId } = await telling.connect({ records: { items: 5 } });
    await telling.sync.startSync(connectionId, { resources: ['items'] });
    await waitFor('both are taken', () => flaky.taken.length === 2);
    const handle = telling.temporal.workflow.getHandle(`events/${connectionId}`);
    await handle.result();
    const history = historyToJSON(await handle.fetchHistory());
    await replay(history);
    keep('deliver-events-with-a-retry', history);
  } finally {
    await telling.close();
    await flaky.close();
  }
});

describe('this build replays its own', () => {
  let quick: Harness;
  beforeAll(async () => {
    quick = await startHarness({ overrides: { MAESN_TIMEOUT: '1 second', MAESN_RETRY_TIME_SCALE: '60' } });
  });
  afterAll(() => quick.close());

  /** In virtual time. */
  const skipping = () => createSkippingClient({ connection: quick.temporal.connection }).workflow;

  it('looks at an incident, which is over at the third one', async () => {
    const connected = [];
    for (let index = 0; index < 3; index += 1) connected.push(await quick.connect({ records: {} }));
    for (const { connectionId } of connected) {
      await quick.store.incidents.note({ connectionId, targetSystem: 'sevdesk', outcome: 'refused' });
    }
    // The last one that was refused is asked on behalf of all.
    connected.at(-1)?.account.fault({ times: 2, answer: { status: 403 } });
    const workflowId = watchIncidentsId(quick.taskQueue);
    const watching = await skipping().signalWithStart('watchIncidents', watchIncidentsStart(quick.taskQueue));
    await watching.result();
    expect(await readActivities(quick.temporal, workflowId)).toEqual(
      Array.from({ length: 3 }, () => 'reviewIncidents'),
    );
    await replayAndKeep({ 'watch-incidents-until-it-is-over': await recordOf(workflowId, undefined, quick) });
  });

  it('way to tell two of a target system to retry, an hour apart, and what each then does', async () => {
    // Of which no other test has anything that retries.
    const targetSystem = 'datev-unternehmen-online';
    const syncs = await Promise.all(
      [1, 2].map(async () => {
        const { connectionId, account } = await quick.connect({ records: { items: 5 }, targetSystem });
        account.fault({ request: 1, times: 2, answer: { status: 429, retryAfter: 1 } });
        account.fault({ request: 3, answer: { status: 429, retryAfter: 60 * 3_600 } });
        return quick.sync.startSync(connectionId, { resources: ['items'] });
      }),
    );
    await waitFor('Temporal lists both', async () => {
      return (await quick.temporal.workflow.count(retryingOf({ targetSystem }))).count === 2;
    });
    const start = retryTargetSystemStart({ targetSystem, overMs: 3_600_000, by: 'anna' }, quick.taskQueue);
    const telling = await skipping().start('retryTargetSystem', start);
    expect(await telling.result()).toEqual({ told: 2, left: 0 });
    expect(await readActivities(quick.temporal, telling.workflowId)).toEqual(['retrySome', 'retrySome']);
    for (const { workflowId } of syncs) await quick.temporal.workflow.getHandle(workflowId).result();
    await replayAndKeep({
      'retry-target-system-of-two': await recordOf(telling.workflowId, undefined, quick),
      'sync-connection-told-to-retry-now': await recordOf(syncs[0]?.workflowId ?? '', undefined, quick),
    });
  });

  it('writes: one that a person decides, two behind it of which one is cancelled, and the batch of these', async () => {
    const { connectionId, account } = await quick.connect({
      records: {},
      account: { asyncWrites: ['createExpense'] },
    });
    const write = (idempotencyKey: string) =>
      ({ idempotencyKey, operation: 'createExpense', body: { expense: { documentId: 'E-1' }, files: [] } }) as const;
    const idOf = (idempotencyKey: string) => writeRecordId({ connectionId, idempotencyKey });
    const handleOf = (idempotencyKey: string) => quick.temporal.workflow.getHandle(idOf(idempotencyKey));
    const until = (idempotencyKey: string, what: WriteRecordStatus['doing']) =>
      waitFor(`${idempotencyKey}: ${what}`, async () => {
        return (await handleOf(idempotencyKey).query(writeStatusQuery)).doing === what;
      });

    account.revoke();
    account.fault({ operation: 'createExpense', answer: { status: 500 } });
    await quick.sync.write(connectionId, write('decided'));
    await waitFor('it waits', async () => (await quick.sync.connection(connectionId)).status !== 'active');
    await quick.sync.reauthorized(connectionId, account.reconnect());
    await until('decided', 'decide');
    await quick.sync.writeMany(connectionId, { batchId: 'b', writes: [write('behind'), write('cancelled')] });
    const batch = quick.temporal.workflow.getHandle(writeBatchId({ connectionId, batchId: 'b' }));
    await waitFor('both are begun', async () => (await batch.query(writeBatchQuery))?.running === 2);
    await until('behind', 'waitForTurn');
    await until('cancelled', 'waitForTurn');
    await handleOf('cancelled').cancel();
    await expect(handleOf('cancelled').result()).rejects.toThrow('Workflow execution cancelled');
    await handleOf('decided').executeUpdate(resolveWriteUpdate, { args: [{ decision: 'not_applied', by: 'anna' }] });
    expect(await handleOf('decided').result()).toMatchObject({ outcome: 'applied', sends: 2 });
    expect(await batch.result()).toMatchObject({ applied: 1, cancelled: 1 });
    await handleOf('behind').result();
    await replayAndKeep({
      'write-record-decided-by-a-person': await recordOf(idOf('decided'), undefined, quick),
      'write-record-behind-another': await recordOf(idOf('behind'), undefined, quick),
      'write-record-cancelled-behind-another': await recordOf(idOf('cancelled'), undefined, quick),
      'write-batch-of-two': await recordOf(batch.workflowId, undefined, quick),
    });
  });
});

describe('a recorded history', () => {
  const recorded = RECORDING ? [] : readdirSync(HISTORIES);

  it.runIf(!RECORDING)('is there for each Workflow', () => {
    const types = recorded.map((file) => {
      const [started] = historySchema.parse(JSON.parse(readFileSync(path.join(HISTORIES, file), 'utf8'))).events;
      return startedSchema.parse(started).workflowExecutionStartedEventAttributes.workflowType.name;
    });
    expect([...new Set(types)].toSorted()).toEqual([...WORKFLOW_TYPES].toSorted());
  });

  it.each(recorded)('%s is replayed by this build', async (file) => {
    await replay(readFileSync(path.join(HISTORIES, file), 'utf8'));
  });

  it.each(recorded)('%s does not tell where it was recorded', (file) => {
    // Paths of stack traces: of the code itself, which is as if it were in /app.
    expect(readFileSync(path.join(HISTORIES, file), 'utf8').match(/\((?:file:\/\/)?\/(?!app\/)[^)]*/g) ?? []).toEqual(
      [],
    );
  });

  it.each(recorded)('%s, altered, is refused', async (file) => {
    const history = historySchema.parse(JSON.parse(readFileSync(path.join(HISTORIES, file), 'utf8')));
    const event = history.events.find(({ eventType }) => /TIMER_STARTED|ACTIVITY_TASK_SCHEDULED/.test(eventType));
    if (event === undefined) throw new Error('there is nothing to alter');
    // What this build would never do first.
    event.eventType = 'EVENT_TYPE_ACTIVITY_TASK_SCHEDULED';
    delete event['timerStartedEventAttributes'];
    event['activityTaskScheduledEventAttributes'] = {
      activityId: '1',
      activityType: { name: 'somethingElse' },
      taskQueue: { name: 'any' },
    };
    await expect(replay(JSON.stringify(history))).rejects.toThrow(DeterminismViolationError);
  });
});

it('protobufjs is one version for all of Temporal’s packages: histories can be read', () => {
  expect(() => historyFromJSON({ events: [] })).not.toThrow();
});
