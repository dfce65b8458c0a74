/**
 * Workflows that began under an earlier build go on under this one: their recorded histories are replayed. After a change
 * that a recorded history must be kept for, record anew into another folder: `RECORD_HISTORIES=1 npx vitest run test/replay.test.ts`.
 */
import { mkdirSync, readFileSync, readdirSync, writeFileSync } from 'node:fs';
import { hostname } from 'node:os';
import path from 'node:path';
import { historyFromJSON, historyToJSON } from '@temporalio/common/lib/proto-utils.js';
import { Worker } from '@temporalio/worker';
import { DeterminismViolationError } from '@temporalio/workflow';
import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest';
import { z } from 'zod';
import { startHarness } from './support/harness.js';
import type { Harness } from './support/harness.js';
import { startReceiver } from './support/receiver.js';
import type { Receiver } from './support/receiver.js';
import { untilIdle } from './support/sync-states.js';
import { waitFor } from './support/wait.js';

const HISTORIES = path.join(import.meta.dirname, 'histories');
const historySchema = z.object({ events: z.array(z.looseObject({ eventType: z.string() })) });
const RECORDING = (process.env['RECORD_HISTORIES'] ?? '') !== '';

let harness: Harness;
let receiver: Receiver;
beforeAll(async () => {
  receiver = await startReceiver();
  // Nobody calls that address: what is recorded is that Maesn is asked to.
  harness = await startHarness({ overrides: { ...receiver.overrides, MAESN_SYNC_PUBLIC_URL: 'http://127.0.0.1:9' } });
});
afterAll(async () => {
  await harness.close();
  await receiver.close();
});

/** `history`: JSON text. */
async function replay(history: string): Promise<void> {
  await Worker.runReplayHistory({ workflowBundle: { codePath: inject('workflowBundlePath') } }, JSON.parse(history));
}

async function recordOf(workflowId: string, runId?: string): Promise<string> {
  return historyToJSON(await harness.temporal.workflow.getHandle(workflowId, runId).fetchHistory());
}

function keep(name: string, history: string): void {
  if (!RECORDING) return;
  mkdirSync(HISTORIES, { recursive: true });
  // Where it was recorded is nobody's business.
  const text = history.replaceAll(path.resolve(import.meta.dirname, '..'), '/app').replaceAll(hostname(), 'host');
  writeFileSync(path.join(HISTORIES, `${name}.json`), `${text}\n`);
}

describe('this build', () => {
  it('replays what it has just done: a pause, two failures, a wait for reauthorisation, a repeat', async () => {
    const { connectionId, account } = await harness.connect({
      records: { customers: 250, items: 250, offers: 5, bills: 5 },
      targetSystem: 'freshbooks',
    });
    account.fault({ resource: 'customers', page: 2, answer: 'hang' });
    account.fault({ resource: 'items', page: 2, answer: 'revoke' });
    account.fault({ resource: 'offers', request: 1, answer: { status: 404 } });
    account.fault({ resource: 'bills', request: 1, answer: { status: 403 } });
    const { runId } = await harness.sync.startSync(connectionId, {
      resources: ['customers', 'items', 'offers', 'bills'],
      every: '1 hour',
    });
    await waitFor('page 2 hangs', () =>
      harness.sandbox.requests.some(({ account: of, page }) => of === account.name && page === '2'),
    );
    await harness.sync.pauseSync(connectionId, { reason: 'to be recorded' });
    await harness.sync.resumeSync(connectionId);
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

    const first = await recordOf(`sync/${connectionId}`, runId);
    const second = await recordOf(`sync/${connectionId}`);
    const reauthorize = await recordOf(`reauthorize/${connectionId}`);
    const histories = {
      'sync-connection-through-everything': first,
      'sync-connection-cancelled-while-idle': second,
      'reauthorize-connection-with-a-refused-key': reauthorize,
      'keep-subscribed-until-cancelled': await recordOf(`webhooks/${connectionId}`),
    };
    for (const [name, history] of Object.entries(histories)) {
      await replay(history);
      keep(name, history);
    }
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

describe('a recorded history', () => {
  const recorded = RECORDING ? [] : readdirSync(HISTORIES);

  it('is there for each Workflow', () => {
    expect(recorded.length >= 5 || RECORDING).toBe(true);
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
