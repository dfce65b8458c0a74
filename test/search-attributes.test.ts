/** A Temporal server must know the search attributes; where it does not, whoever starts something is told what to run. */
import { randomBytes } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { Client, Connection } from '@temporalio/client';
import { msToTs } from '@temporalio/common/lib/time.js';
import { NativeConnection } from '@temporalio/worker';
import { afterAll, beforeAll, expect, inject, it } from 'vitest';
import { clientSettings, createMaesnSync } from '../src/client.js';
import { readConfig } from '../src/config.js';
import { startTemporalServer } from '../src/embedded/temporal-server.js';
import { addSearchAttributes, missingSearchAttributes, requireSearchAttributes } from '../src/search-attributes.js';
import { SEARCH_ATTRIBUTE_NAMES } from '../src/workflows/search-attributes.js';
import { runCli } from './support/cli.js';
import { openTestStore } from './support/store.js';
import { waitFor } from './support/wait.js';

let connection: Connection;
beforeAll(async () => {
  connection = await Connection.connect({ address: inject('temporalAddress') });
});
afterAll(() => connection.close());

/** A namespace to which nobody has added anything. */
async function createNamespace(): Promise<string> {
  const namespace = `bare-${randomBytes(4).toString('hex')}`;
  await connection.workflowService.registerNamespace({
    namespace,
    workflowExecutionRetentionPeriod: msToTs('1 day'),
  });
  await waitFor('the namespace is there', () =>
    connection.workflowService.describeNamespace({ namespace }).then(
      () => true,
      () => false,
    ),
  );
  return namespace;
}

it('a server without them takes no sync, and the error says what to run; with them, it does', async () => {
  const namespace = await createNamespace();
  const { store } = await openTestStore();
  const config = readConfig({ env: {}, sandbox: true });
  const sync = createMaesnSync({ temporal: new Client({ connection, namespace }), store, ...clientSettings(config) });
  await sync.addConnection({ connectionId: 'acme', targetSystem: 'xero', accountKey: 'key' });
  await expect(sync.startSync('acme')).rejects.toMatchObject({
    code: 'NotConfigured',
    message: expect.stringMatching(/MaesnConnection, MaesnTargetSystem and MaesnState: run maesn-sync migrate/),
  });
  await expect(requireSearchAttributes(connection, namespace)).rejects.toThrow(
    /lacks the search attributes MaesnConnection, MaesnTargetSystem, MaesnState\. Run maesn-sync migrate.*temporal operator search-attribute create.*tcld namespace search-attributes add/,
  );
  expect(await addSearchAttributes(connection, namespace)).toEqual(SEARCH_ATTRIBUTE_NAMES);
  // Twice is as once.
  expect(await addSearchAttributes(connection, namespace)).toEqual([]);
  await requireSearchAttributes(connection, namespace);
  expect(await sync.startSync('acme')).toMatchObject({ workflowId: 'sync/acme', alreadyRunning: false });
  await store.close();
});

it('a Worker asks as a client does', async () => {
  const native = await NativeConnection.connect({ address: inject('temporalAddress') });
  expect(await missingSearchAttributes(native, 'default')).toEqual([]);
  await native.close();
});

it('one that is there with another type counts as missing, and cannot be added', async () => {
  const namespace = await createNamespace();
  await connection.operatorService.addSearchAttributes({ namespace, searchAttributes: { MaesnState: 1 } });
  await waitFor('it is there', async () => {
    const { customAttributes } = await connection.operatorService.listSearchAttributes({ namespace });
    return customAttributes['MaesnState'] !== undefined;
  });
  expect(await missingSearchAttributes(connection, namespace)).toEqual(SEARCH_ATTRIBUTE_NAMES);
  await expect(addSearchAttributes(connection, namespace)).rejects.toThrow(
    /has MaesnState with another type than Keyword/,
  );
});

it('the doctor finds a namespace that lacks them, and says how to mend it', async () => {
  const namespace = await createNamespace();
  const env = { TEMPORAL_ADDRESS: inject('temporalAddress'), TEMPORAL_NAMESPACE: namespace };
  const lacking = await runCli(['doctor'], { env });
  expect(lacking.code).toBe(1);
  expect(lacking.stdout).toMatch(
    /✗ search attributes: the namespace lacks MaesnConnection, .*\n +Run maesn-sync migrate/,
  );
  await addSearchAttributes(connection, namespace);
  expect((await runCli(['doctor'], { env })).stdout).toContain('✓ search attributes: there');
});

it('a dev server whose database is from before gets them when it starts', async () => {
  const dataDir = await mkdtemp(`${tmpdir()}/maesn-sync-attributes-`);
  const start = () => startTemporalServer({ dataDir, env: process.env, ui: false });
  try {
    for (const removed of [true, false]) {
      const server = await start();
      const own = await Connection.connect({ address: server.address });
      expect(await missingSearchAttributes(own, server.namespace)).toEqual([]);
      if (removed) {
        await own.operatorService.removeSearchAttributes({ namespace: 'default', searchAttributes: ['MaesnState'] });
      }
      await own.close();
      await server.stop();
    }
  } finally {
    await rm(dataDir, { recursive: true, force: true });
  }
});
