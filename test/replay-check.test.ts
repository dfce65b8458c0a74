/** The gate before a deployment: histories of the server, replayed with this build. */
import { randomBytes } from 'node:crypto';
import { fileURLToPath } from 'node:url';
import { NativeConnection, Worker } from '@temporalio/worker';
import { afterAll, beforeAll, expect, inject, it } from 'vitest';
import * as workflows from '../src/workflows/index.js';
import { WORKFLOW_TYPES } from '../src/cli/replay-check.js';
import { runCli } from './support/cli.js';
import { startHarness } from './support/harness.js';
import type { Harness } from './support/harness.js';
import { waitFor } from './support/wait.js';

let harness: Harness;
beforeAll(async () => {
  harness = await startHarness();
});
afterAll(() => harness.close());

const check = (taskQueue: string, ...args: string[]) =>
  runCli(['replay-check', ...args], {
    env: { TEMPORAL_ADDRESS: inject('temporalAddress'), MAESN_SYNC_TASK_QUEUE: taskQueue },
  });

it('asks for every Workflow that there is', () => {
  expect([...WORKFLOW_TYPES].toSorted()).toEqual(Object.keys(workflows).toSorted());
});

it('ends with 0 when this build goes on with what runs and with what has ended', async () => {
  const { connectionId } = await harness.connect({ records: { items: 5 } });
  await harness.sync.startSync(connectionId, { resources: ['items'], every: '1 hour' });
  const other = await harness.connect({ records: { items: 5 } });
  await harness.sync.startSync(other.connectionId, { resources: ['items'] });
  await waitFor('it is idle', async () => (await harness.sync.syncStatus(connectionId)).state === 'Idle');
  await harness.temporal.workflow.getHandle(`sync/${other.connectionId}`).result();
  await waitFor('the list shows all', async () => {
    const query = `TaskQueue = '${harness.taskQueue}'`;
    return (await harness.temporal.workflow.count(query)).count >= 3;
  });
  const { code, stdout, stderr } = await check(harness.taskQueue);
  expect(stdout + stderr).toMatch(/This build replays all of [3-9] Workflows/);
  expect(code).toBe(0);
});

it('ends with 1 and names a Workflow that another build has begun otherwise', async () => {
  const taskQueue = `another-${randomBytes(4).toString('hex')}`;
  const workflowId = `sync/${taskQueue}`;
  const connection = await NativeConnection.connect({ address: inject('temporalAddress') });
  try {
    const worker = await Worker.create({
      connection,
      taskQueue,
      workflowsPath: fileURLToPath(new URL('./fixtures/another-build.ts', import.meta.url)),
    });
    const handle = await worker.runUntil(async () => {
      const input = { connectionId: 'none', resources: ['items'], everyMs: undefined };
      const begun = await harness.temporal.workflow.start('syncConnection', { workflowId, taskQueue, args: [input] });
      await waitFor('it sleeps', async () =>
        (await begun.fetchHistory()).events?.some(({ timerStartedEventAttributes }) => timerStartedEventAttributes),
      );
      return begun;
    });
    await waitFor('the list shows it', async () => {
      return (await harness.temporal.workflow.count(`TaskQueue = '${taskQueue}'`)).count === 1;
    });
    const { code, stdout, stderr } = await check(taskQueue);
    expect(stdout).toContain(workflowId);
    expect(stderr).toContain('would break 1 of 1');
    expect(code).toBe(1);
    await handle.terminate();
  } finally {
    await connection.close();
  }
});

it('refuses a limit that is none', async () => {
  expect((await check('any', '--limit', 'all')).code).toBe(2);
});
