/** Everything real: a Temporal server, a store, a sandbox that speaks Maesn, a Worker, and the client under test. */
import { randomBytes } from 'node:crypto';
import path from 'node:path';
import type { Client } from '@temporalio/client';
import { NativeConnection } from '@temporalio/worker';
import { destination, pino } from 'pino';
import { inject } from 'vitest';
import { startSandbox } from '../../sandbox/index.js';
import type { Sandbox, SandboxAccount, SandboxOptions } from '../../sandbox/index.js';
import { clientSettings, createMaesnSync } from '../../src/client.js';
import type { MaesnSync, Resource } from '../../src/client.js';
import { readConfig, requireVariables } from '../../src/config.js';
import type { Config, ReadConfigOptions } from '../../src/config.js';
import { installLogger } from '../../src/logging.js';
import { createDataConverter } from '../../src/payloads/data-converter.js';
import type { OpenDatabase } from '../../src/store/database.js';
import type { Store } from '../../src/store/index.js';
import type { SealingKeys } from '../../src/store/sealing.js';
import { createConfiguredMaesnClient } from '../../src/maesn/configured.js';
import { connectWorker } from '../../src/temporal.js';
import type { Tracing } from '../../src/tracing/index.js';
import { createSyncWorker } from '../../src/worker.js';
import { createSkippingClient } from './skipping-client.js';
import { openTestStore } from './store.js';
import type { Query } from './store.js';

export interface HarnessOptions {
  /** Which Workflows run in virtual time: those that the client starts, those that Activities start. */
  readonly skipTime?: readonly ('started by client' | 'started by Activities')[];
  readonly overrides?: ReadConfigOptions['overrides'];
  readonly sandbox?: SandboxOptions;
  /** Default: the server that all tests share. */
  readonly temporalAddress?: string;
  /** Default: one. */
  readonly sealingKeys?: SealingKeys;
  /** Where the metrics of the Worker are served; the SDK can be told once a process. */
  readonly metricsAddress?: string;
  /** The Worker then bundles its Workflows itself. */
  readonly tracing?: Tracing | undefined;
}

export interface Harness {
  readonly config: Config;
  readonly sandbox: Sandbox;
  readonly store: Store;
  readonly query: Query;
  /** For other stores over the same tables. */
  readonly database: OpenDatabase;
  readonly sync: MaesnSync;
  readonly temporal: Client;
  readonly taskQueue: string;
  /** An account in the sandbox and the connection that opens it. */
  connect(options: {
    readonly records: Partial<Record<Resource, number>>;
    readonly targetSystem?: string;
    readonly account?: object;
  }): Promise<{ readonly connectionId: string; readonly account: SandboxAccount }>;
  /** As a deployment does: Activities are handed over, and nothing is done until `startWorker`. */
  stopWorker(): Promise<void>;
  startWorker(): Promise<void>;
  /** One more, beside the one there is; it stops when all is closed. */
  addWorker(): Promise<void>;
  close(): Promise<void>;
}

let logging = false;

/** Once a process: what the Worker logs goes where the scan for secrets finds it. */
function logToFile(metricsAddress?: string): void {
  if (logging) return;
  logging = true;
  const file = path.join(inject('logDir'), `${process.pid}-${randomBytes(3).toString('hex')}.log`);
  installLogger(pino({ level: 'debug' }, destination({ dest: file, sync: true })), { metricsAddress });
}

export async function startHarness({
  skipTime = [],
  overrides = {},
  sandbox: about,
  temporalAddress = inject('temporalAddress'),
  sealingKeys,
  metricsAddress,
  tracing,
}: HarnessOptions = {}): Promise<Harness> {
  logToFile(metricsAddress);
  const sandbox = await startSandbox(about);
  const { store, query, database } = await openTestStore(sealingKeys);
  const taskQueue = `test-${randomBytes(4).toString('hex')}`;
  const config = readConfig({
    env: {},
    overrides: {
      MAESN_API_KEY: sandbox.apiKey,
      MAESN_BASE_URL: sandbox.url,
      MAESN_SYNC_TASK_QUEUE: taskQueue,
      MAESN_SYNC_SHUTDOWN_GRACE: '1 second',
      MAESN_TIMEOUT: '5 seconds',
      ...overrides,
    },
    sandbox: true,
  });
  const { MAESN_SYNC_PAYLOAD_KEYS: payloadKeys } = config;
  const env = { TEMPORAL_ADDRESS: temporalAddress };
  const { connection, client: shared } = await connectWorker({ ...config, env }, tracing?.client);
  const client = (skipping: boolean) =>
    skipping ? createSkippingClient({ connection, dataConverter: createDataConverter(payloadKeys) }) : shared;
  const temporal = client(skipTime.includes('started by client'));
  const activitiesTemporal = client(skipTime.includes('started by Activities'));
  const maesn = createConfiguredMaesnClient(requireVariables(config, 'MAESN_API_KEY'));
  let stop = async (): Promise<void> => {};
  const others: (() => Promise<void>)[] = [];

  /** Answers how to stop it. */
  async function runWorker(on: NativeConnection): Promise<() => Promise<void>> {
    const worker = await createSyncWorker({
      config,
      connection: on,
      namespace: 'default',
      temporal: activitiesTemporal,
      store,
      maesn,
      // Of what is encrypted or traced, the bundle is another one; the Worker makes it.
      workflowBundlePath: payloadKeys === undefined && tracing === undefined ? inject('workflowBundlePath') : undefined,
      tracing,
    });
    const running = worker.run();
    return async () => {
      worker.shutdown();
      await running;
    };
  }

  async function startWorker(): Promise<void> {
    const end = await runWorker(connection);
    stop = async () => {
      stop = async () => {};
      await end();
    };
  }

  /** On a connection of its own: of one task queue, a connection serves one Worker. */
  async function addWorker(): Promise<void> {
    const own = await NativeConnection.connect({ address: temporalAddress });
    const end = await runWorker(own);
    others.push(async () => {
      await end();
      await own.close();
    });
  }

  await startWorker();
  const sync = createMaesnSync({
    temporal,
    store,
    ...clientSettings(config),
  });

  return {
    config,
    sandbox,
    store,
    query,
    database,
    sync,
    temporal,
    taskQueue,
    async connect({ records, targetSystem = 'sevdesk', account: more = {} }) {
      const account = sandbox.addAccount({ targetSystem, records, ...more });
      const connectionId = `c-${randomBytes(5).toString('hex')}`;
      await sync.addConnection({ connectionId, targetSystem, accountKey: account.accountKey });
      return { connectionId, account };
    },
    stopWorker: () => stop(),
    startWorker,
    addWorker,
    async close() {
      await Promise.all([stop(), ...others.map((end) => end())]);
      await connection.close();
      await store.close();
      await sandbox.close();
    },
  };
}
