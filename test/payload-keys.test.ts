/** Payload keys come, change and go missing while a sync runs: what was written before is still read. */
import { randomBytes } from 'node:crypto';
import { mkdtemp, readFile, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { Client } from '@temporalio/client';
import { historyToJSON } from '@temporalio/common/lib/proto-utils.js';
import { NativeConnection, Worker } from '@temporalio/worker';
import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest';
import { createMaesnSync, clientSettings } from '../src/client.js';
import type { MaesnSync } from '../src/client.js';
import { readConfig, requireVariables } from '../src/config.js';
import { createConfiguredMaesnClient } from '../src/maesn/configured.js';
import { FAILURE_CONVERTER_PATH, createDataConverter } from '../src/payloads/data-converter.js';
import type { PayloadKey } from '../src/payloads/codec.js';
import { bundleWorkflows } from '../src/workflow-bundle.js';
import { createSyncWorker } from '../src/worker.js';
import { untilAwaiting } from './support/sync-states.js';
import { startHarness } from './support/harness.js';
import type { Harness } from './support/harness.js';
import { waitFor } from './support/wait.js';

const key = (id: string): PayloadKey => ({ id, key: randomBytes(32) });
const A = key('a');
const B = key('b');
const LOST = key('lost');

let harness: Harness;
let dir: string;
let bundlePath: string;
beforeAll(async () => {
  harness = await startHarness();
  dir = await mkdtemp(path.join(tmpdir(), 'maesn-sync-payload-keys-'));
  bundlePath = path.join(dir, 'bundle.js');
  const code = await bundleWorkflows({
    workflowsPath: path.resolve(import.meta.dirname, '../src/workflows/index.ts'),
    failureConverterPath: FAILURE_CONVERTER_PATH,
  });
  await writeFile(bundlePath, code);
});
afterAll(async () => {
  await harness.close();
  await rm(dir, { recursive: true, force: true });
});

interface Keyed {
  readonly temporal: Client;
  readonly sync: MaesnSync;
}

/** As after a restart: in place of the harness' own Worker and client, those of a process that has these keys. */
async function withKeys<Result>(keys: readonly PayloadKey[], use: (keyed: Keyed) => Promise<Result>): Promise<Result> {
  const text = keys.map(({ id, key: bytes }) => `${id}:${bytes.toString('base64')}`).join(',');
  const config = readConfig({
    env: {},
    overrides: {
      MAESN_API_KEY: harness.sandbox.apiKey,
      MAESN_BASE_URL: harness.sandbox.url,
      MAESN_SYNC_TASK_QUEUE: harness.taskQueue,
      MAESN_SYNC_SHUTDOWN_GRACE: '1 second',
      MAESN_SYNC_PAYLOAD_KEYS: text,
    },
  });
  const connection = await NativeConnection.connect({ address: inject('temporalAddress') });
  const temporal = new Client({ connection, dataConverter: createDataConverter(keys) });
  const worker = await createSyncWorker({
    config,
    connection,
    namespace: 'default',
    temporal,
    store: harness.store,
    maesn: createConfiguredMaesnClient(requireVariables(config, 'MAESN_API_KEY')),
    workflowBundlePath: bundlePath,
  });
  const sync = createMaesnSync({ temporal, store: harness.store, ...clientSettings(config) });
  try {
    return await worker.runUntil(use({ temporal, sync }));
  } finally {
    await connection.close();
  }
}

describe('a sync that runs', () => {
  it('goes on in one run when encryption is turned on, when the key is changed, and when the old one is dropped after it', async () => {
    const { connectionId, account } = await harness.connect({ records: { customers: 150, items: 150 } });
    account.fault({ resource: 'customers', page: 2, answer: 'revoke' });
    account.fault({ resource: 'items', page: 2, answer: 'revoke' });
    const { runId } = await harness.sync.startSync(connectionId, { resources: ['customers', 'items'] });
    await untilAwaiting(harness.sync, connectionId);
    await harness.stopWorker();

    await withKeys([A], async ({ sync }) => {
      expect((await sync.syncStatus(connectionId)).state).toBe('AwaitingReauthorization');
      await sync.reauthorized(connectionId, account.reconnect());
      await untilAwaiting(sync, connectionId, 2);
    });
    const history = await withKeys([B, A], async ({ sync, temporal }) => {
      await sync.reauthorized(connectionId, account.reconnect());
      const handle = temporal.workflow.getHandle(`sync/${connectionId}`);
      const report = await handle.result();
      expect(report).toMatchObject({ resources: { items: { records: 150 }, customers: { records: 150 } } });
      expect(await sync.syncStatus(connectionId)).toMatchObject({ state: 'Completed', runId });
      return historyToJSON(await handle.fetchHistory());
    });
    const keyIds = new Set(
      [...history.matchAll(/"encryption-key-id": ?"(\w+=*)"/g)].map(([, id = '']) =>
        Buffer.from(id, 'base64').toString(),
      ),
    );
    expect([...keyIds].toSorted()).toEqual(['a', 'b']);
    // A new run has nothing of the old key.
    await withKeys([B], async ({ sync, temporal }) => {
      await sync.startSync(connectionId, { resources: ['items'] });
      await temporal.workflow.getHandle(`sync/${connectionId}`).result();
    });

    const replay = (keys: readonly PayloadKey[]) =>
      Worker.runReplayHistory(
        { workflowBundle: { codePath: bundlePath }, dataConverter: createDataConverter(keys) },
        JSON.parse(history),
      );
    await replay([B, A]);
    await expect(replay([B])).rejects.toThrow('Replay failed due workflow task failure');
    await harness.startWorker();
  });

  it('waits for a key that its Workers lack, names it, and goes on when it is there', async () => {
    await harness.stopWorker();
    const { connectionId, account } = await harness.connect({ records: { items: 150 } });
    account.fault({ resource: 'items', page: 2, answer: 'revoke' });
    await withKeys([LOST], async ({ sync }) => {
      await sync.startSync(connectionId, { resources: ['items'] });
      await untilAwaiting(sync, connectionId);
    });
    await withKeys([A], async ({ sync, temporal }) => {
      await sync.reauthorized(connectionId, account.reconnect());
      const handle = temporal.workflow.getHandle(`reauthorize/${connectionId}`);
      const failure = await waitFor('a Workflow Task fails', async () => {
        const { events } = await handle.fetchHistory();
        return (
          events?.find(({ workflowTaskFailedEventAttributes: failed }) => failed)?.workflowTaskFailedEventAttributes
            ?.failure ?? undefined
        );
      });
      const [attributes] =
        (await createDataConverter([A]).payloadCodecs?.[0]?.decode([failure.encodedAttributes ?? {}])) ?? [];
      expect(Buffer.from(attributes?.data ?? []).toString()).toContain(
        'the key \\"lost\\", which is not in MAESN_SYNC_PAYLOAD_KEYS (a): add it there',
      );
      // Nothing is lost by it.
      expect((await handle.describe()).status.name).toBe('RUNNING');
    });
    await withKeys([A, LOST], async ({ temporal }) => {
      expect(await temporal.workflow.getHandle(`sync/${connectionId}`).result()).toMatchObject({
        resources: { items: { records: 150 } },
      });
    });
    // Its result was written with the first of them.
    await withKeys([B], async ({ sync }) => {
      await expect(sync.syncStatus(connectionId)).rejects.toMatchObject({
        code: 'NotConfigured',
        message: expect.stringContaining('the key "a", which is not in'),
      });
    });
    await harness.startWorker();
  });
});

describe('the bundle for encrypted payloads', () => {
  it('holds of ours the Workflows, the tables, and what hides failures', async () => {
    const bundle = await readFile(bundlePath, 'utf8');
    const ours = [...bundle.matchAll(/^\/\*\*\*\/ "\.\/(src\/[^"]+)"/gm)].map(([, file = '']) => file);
    expect(ours.filter((file) => !/^src\/(?:workflows|spec)\//.test(file))).toEqual([
      'src/payloads/failure-converter.ts',
    ]);
  });

  const HISTORIES = path.join(import.meta.dirname, 'histories');

  it('replays all that was ever recorded in clear', async () => {
    const files = await readdir(HISTORIES);
    expect(files.length).toBeGreaterThan(4);
    for (const file of files) {
      const history: unknown = JSON.parse(await readFile(path.join(HISTORIES, file), 'utf8'));
      await Worker.runReplayHistory(
        { workflowBundle: { codePath: bundlePath }, dataConverter: createDataConverter([A]) },
        history,
      );
    }
  });
});
