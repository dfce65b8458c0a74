/** maesn-sync as in production: its Worker, and its client that starts the syncs. */
import { createMaesnSync, clientSettings } from '../../src/client.js';
import type { MaesnSync, StartSyncOptions } from '../../src/client.js';
import { readConfig, requireVariables } from '../../src/config.js';
import { createLogger, installLogger } from '../../src/logging.js';
import { createConfiguredMaesnClient } from '../../src/maesn/configured.js';
import { openStore } from '../../src/store/index.js';
import { connectWorker } from '../../src/temporal.js';
import { createSyncWorker } from '../../src/worker.js';
import { forEachAtOnce } from './pages.js';
import type { OpenVariant, VariantTask } from './task.js';

/** Has no published rate limit. */
const TARGET_SYSTEM = 'bexio';
const STARTS_AT_ONCE = 20;

export interface OpenMaesnSync extends OpenVariant {
  readonly sync: MaesnSync;
  /** Adds those that are not there yet. */
  add(connections: Readonly<Record<string, string>>): Promise<void>;
  /** Resolves when all are started, with what resolves when all have ended. */
  start(connectionIds: readonly string[], options?: StartSyncOptions): Promise<{ readonly ended: () => Promise<void> }>;
}

export async function open(task: VariantTask): Promise<OpenMaesnSync> {
  const config = requireVariables(
    readConfig({
      env: {
        DATABASE_URL: task.databaseUrl,
        TEMPORAL_ADDRESS: task.temporalAddress,
        MAESN_API_KEY: 'bench',
        MAESN_BASE_URL: task.pageSourceUrl,
        // The same in every process: one that takes over must be able to open what another has sealed.
        MAESN_SYNC_SEALING_KEY: Buffer.alloc(32).toString('base64'),
        MAESN_SYNC_TASK_QUEUE: task.name,
        MAESN_SYNC_TARGET_SYSTEMS: JSON.stringify({ [TARGET_SYSTEM]: { concurrency: task.pagesAtOnce } }),
        LOG_LEVEL: 'error',
      },
    }),
    'MAESN_API_KEY',
    'DATABASE_URL',
    'MAESN_SYNC_SEALING_KEY',
  );
  installLogger(createLogger(config));
  const store = await openStore({ databaseUrl: config.DATABASE_URL, sealingKey: config.MAESN_SYNC_SEALING_KEY });
  const { connection, client: temporal, namespace } = await connectWorker(config);
  const worker = await createSyncWorker({
    config,
    connection,
    namespace,
    temporal,
    store,
    maesn: createConfiguredMaesnClient(config),
    workflowBundlePath: task.workflowBundles['maesn-sync'],
  });
  const running = worker.run();
  const sync = createMaesnSync({ temporal, store, ...clientSettings(config) });

  const opened: OpenMaesnSync = {
    sync,
    add: (connections) =>
      forEachAtOnce(Object.entries(connections), STARTS_AT_ONCE, async ([connectionId, accountKey]) => {
        if ((await store.connections.find(connectionId)) !== undefined) return;
        await sync.addConnection({ connectionId, targetSystem: TARGET_SYSTEM, accountKey });
      }),
    async start(connectionIds, options = {}) {
      const started: { workflowId: string }[] = [];
      const ends: Promise<unknown>[] = [];
      await forEachAtOnce(connectionIds, STARTS_AT_ONCE, async (connectionId) => {
        const { workflowId } = await sync.startSync(connectionId, { resources: ['invoices'], ...options });
        started.push({ workflowId });
        if (options.every === undefined) ends.push(temporal.workflow.getHandle(workflowId).result());
      });
      return {
        ended: async () => {
          await Promise.all(ends);
        },
      };
    },
    async pull() {
      const { ended } = await opened.start(task.connections);
      await ended();
    },
    async close() {
      worker.shutdown();
      await running;
      await connection.close();
      await store.close();
    },
  };
  await opened.add(Object.fromEntries(task.connections.map((id) => [id, id])));
  return opened;
}
