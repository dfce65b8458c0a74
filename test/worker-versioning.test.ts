/** A Worker that is a version of a deployment: what gets work, and what becomes of Workflows when the version changes. */
import { randomBytes } from 'node:crypto';
import { Client } from '@temporalio/client';
import { NativeConnection } from '@temporalio/worker';
import { inject, expect, it } from 'vitest';
import { ConfigError, readConfig, requireVariables } from '../src/config.js';
import { createConfiguredMaesnClient } from '../src/maesn/configured.js';
import { createSyncWorker } from '../src/worker.js';
import { startHarness } from './support/harness.js';
import { waitFor } from './support/wait.js';

it('a repeating sync and one that waits for its end user go on under the version that is made current', async () => {
  const deploymentName = `test-${randomBytes(4).toString('hex')}`;
  const harness = await startHarness({
    overrides: { TEMPORAL_WORKER_DEPLOYMENT_NAME: deploymentName, TEMPORAL_WORKER_BUILD_ID: 'first' },
  });
  const { temporal, sync, config, store } = harness;
  const connection = await NativeConnection.connect({ address: inject('temporalAddress') });
  const makeCurrent = (buildId: string) =>
    waitFor(`${buildId} is current`, () =>
      temporal.workflowService
        .setWorkerDeploymentCurrentVersion({ namespace: 'default', deploymentName, buildId })
        // Until its Worker has polled, the server has not heard of a version.
        .catch(() => undefined),
    );
  const buildOf = async (workflowId: string) => {
    const { raw } = await temporal.workflow.getHandle(workflowId).describe();
    return raw.workflowExecutionInfo?.versioningInfo?.deploymentVersion?.buildId;
  };
  try {
    const repeating = await harness.connect({ records: { items: 5 } });
    const waiting = await harness.connect({ records: { items: 250 } });
    waiting.account.fault({ resource: 'items', page: 2, answer: 'revoke' });
    await sync.startSync(repeating.connectionId, { resources: ['items'], every: '1 hour' });
    await sync.startSync(waiting.connectionId, { resources: ['items'] });
    // The Worker is there, and its version is not the current one.
    await waitFor('the server knows the version', () =>
      temporal.workflowService
        .describeWorkerDeployment({ namespace: 'default', deploymentName })
        .then(() => true)
        .catch(() => false),
    );
    expect(harness.sandbox.requests).toEqual([]);

    await makeCurrent('first');
    await waitFor('it is idle', async () => (await sync.syncStatus(repeating.connectionId)).state === 'Idle');
    await waitFor(
      'it waits',
      async () => (await sync.connection(waiting.connectionId)).status === 'awaiting_reauthorization',
    );
    expect(await buildOf(`sync/${repeating.connectionId}`)).toBe('first');

    const second = await createSyncWorker({
      config: { ...config, TEMPORAL_WORKER_BUILD_ID: 'second' },
      connection,
      namespace: 'default',
      temporal: new Client({ connection }),
      store,
      maesn: createConfiguredMaesnClient(requireVariables(config, 'MAESN_API_KEY')),
      workflowBundlePath: inject('workflowBundlePath'),
    });
    await second.runUntil(async () => {
      await makeCurrent('second');
      await harness.stopWorker();
      await sync.syncNow(repeating.connectionId);
      await sync.reauthorized(waiting.connectionId, waiting.account.reconnect());
      await waitFor('the second cycle', async () => {
        const { state, cycle } = await sync.syncStatus(repeating.connectionId);
        return state === 'Idle' && cycle === 3;
      });
      await temporal.workflow.getHandle(`sync/${waiting.connectionId}`).result();
    });
    expect(await buildOf(`sync/${repeating.connectionId}`)).toBe('second');
    expect(await buildOf(`sync/${waiting.connectionId}`)).toBe('second');
    expect(await buildOf(`reauthorize/${waiting.connectionId}`)).toBe('second');
  } finally {
    await harness.close();
    await connection.close();
  }
});

it.each([{ TEMPORAL_WORKER_DEPLOYMENT_NAME: 'maesn-sync' }, { TEMPORAL_WORKER_BUILD_ID: '0.1.0' }])(
  '%o alone is refused: a version is a name and a build',
  (overrides) => {
    expect(() => readConfig({ env: {}, overrides })).toThrow(ConfigError);
  },
);
