/** The Worker: Workflows and Activities of maesn-sync, and the process that runs them in production. */
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import type { Client } from '@temporalio/client';
import { Runtime, Worker } from '@temporalio/worker';
import type { NativeConnection, State, WorkerOptions } from '@temporalio/worker';
import type { Logger } from 'pino';
import { createActivities } from './activities/index.js';
import { eventReceiver, reauthorizationTimes, requireVariables } from './config.js';
import type { Config } from './config.js';
import { serveHealth } from './health.js';
import { endLostAttempts } from './lost-attempts.js';
import { createConfiguredMaesnClient } from './maesn/configured.js';
import type { MaesnClient } from './maesn/client.js';
import { createDataConverter } from './payloads/data-converter.js';
import { PAGE_LIMIT } from './spec/resources.js';
import { requireSearchAttributes } from './search-attributes.js';
import { createTargetSystems } from './spec/target-systems.js';
import { openStore } from './store/index.js';
import type { Store } from './store/index.js';
import { connectWorker } from './temporal.js';
import { startTracing } from './tracing/index.js';
import type { Tracing } from './tracing/index.js';
import { workflowModules } from './workflow-bundle.js';

export interface SyncWorkerOptions {
  readonly config: Config;
  readonly connection: NativeConnection;
  readonly namespace: string;
  /** Used by Activities to start and signal Workflows. */
  readonly temporal: Client;
  readonly store: Store;
  readonly maesn: MaesnClient;
  /** A bundle made beforehand; else the Workflow code is bundled now (1 to 2 s). */
  readonly workflowBundlePath?: string | undefined;
  /** Absent: nothing is traced. */
  readonly tracing?: Tracing | undefined;
}

/** How often an Activity says that it is alive; a cancellation or a pause reaches it as fast. */
const HEARTBEAT_EVERY_MS = 3_000;
const WALK_FOR_MS = 5 * 60_000;
const DELIVER_FOR_MS = 60_000;
/** A month: time to find out that events were missed, and to read or replay them. */
const KEEP_EVENTS_FOR_MS = 30 * 86_400_000;

export async function createSyncWorker(options: SyncWorkerOptions): Promise<Worker> {
  const { config, connection, namespace, temporal, store, maesn, tracing } = options;
  const taskQueue = config.MAESN_SYNC_TASK_QUEUE;
  const worker = await Worker.create({
    connection,
    namespace,
    taskQueue,
    dataConverter: createDataConverter(config.MAESN_SYNC_PAYLOAD_KEYS),
    ...versioning(config),
    ...tracing?.worker,
    ...workflowSource(config, { bundlePath: options.workflowBundlePath, tracing }),
    activities: createActivities({
      maesn,
      store,
      targetSystems: createTargetSystems(config.MAESN_SYNC_TARGET_SYSTEMS),
      temporal,
      taskQueue,
      traceRequest: tracing?.request,
      options: {
        timeScale: config.MAESN_RETRY_TIME_SCALE,
        heartbeatEveryMs: HEARTBEAT_EVERY_MS,
        walkForMs: WALK_FOR_MS,
        pageLimit: PAGE_LIMIT,
        fullWalkEveryMs: config.MAESN_SYNC_FULL_WALK_EVERY,
        maximumDeletedShare: config.MAESN_SYNC_DELETE_GUARD_PERCENT / 100,
        deliverForMs: DELIVER_FOR_MS,
        // A fifth: a receiver that hangs must not keep the syncs from running.
        deliverAtOnce: Math.ceil(config.MAESN_SYNC_MAX_CONCURRENT_ACTIVITIES / 5),
        keepEventsForMs: KEEP_EVENTS_FOR_MS,
        ...reauthorizationTimes(config),
        eventReceiver: eventReceiver(config),
        publicUrl: config.MAESN_SYNC_PUBLIC_URL,
      },
    }),
    maxConcurrentActivityTaskExecutions: config.MAESN_SYNC_MAX_CONCURRENT_ACTIVITIES,
    // Else an Activity that follows another one is begun at once, past the queue: a large connection would keep its place.
    maxEagerActivityReservationsPerWorkflowTask: 0,
    // Without it the SDK holds heartbeats back for 12 s, and with them the answer that tells of a cancellation.
    maxHeartbeatThrottleInterval: HEARTBEAT_EVERY_MS,
    shutdownGraceTime: config.MAESN_SYNC_SHUTDOWN_GRACE,
    // An Activity that hangs must not keep the process for ever: two requests' time, then it is left behind.
    shutdownForceTime: config.MAESN_SYNC_SHUTDOWN_GRACE + 2 * config.MAESN_TIMEOUT,
  });
  const { logger } = Runtime.instance();
  void endLostAttempts({ store, temporal, logger, isOver: () => IS_OVER.has(worker.getState()) });
  return worker;
}

const IS_OVER: ReadonlySet<State> = new Set<State>(['STOPPING', 'DRAINING', 'DRAINED', 'STOPPED', 'FAILED']);

/** Workflows wait for weeks: they go on under the newest build, which must replay them (docs/decisions.md). */
function versioning({
  TEMPORAL_WORKER_DEPLOYMENT_NAME: deploymentName,
  TEMPORAL_WORKER_BUILD_ID: buildId,
}: Config): Pick<WorkerOptions, 'workerDeploymentOptions'> {
  if (deploymentName === undefined || buildId === undefined) return {};
  return {
    workerDeploymentOptions: {
      version: { deploymentName, buildId },
      useWorkerVersioning: true,
      defaultVersioningBehavior: 'AUTO_UPGRADE',
    },
  };
}

/** The bundle that the build made beside this file, or the sources themselves. */
function workflowSource(
  { MAESN_SYNC_PAYLOAD_KEYS: keys }: Pick<Config, 'MAESN_SYNC_PAYLOAD_KEYS'>,
  { bundlePath, tracing }: { readonly bundlePath?: string | undefined; readonly tracing?: Tracing | undefined } = {},
): Pick<WorkerOptions, 'workflowBundle' | 'workflowsPath' | 'bundlerOptions' | 'interceptors'> {
  // Failures are written by what is in the bundle, and so are spans: who does not trace runs nothing of it.
  const name = `workflow-bundle${keys === undefined ? '' : '-encrypted'}${tracing === undefined ? '' : '-traced'}.js`;
  const codePath = bundlePath ?? fileURLToPath(new URL(`../${name}`, import.meta.url));
  if (existsSync(codePath)) {
    const { workflowModules: _inBundle, ...interceptors } = tracing?.worker.interceptors ?? {};
    return { workflowBundle: { codePath }, interceptors };
  }
  const extension = import.meta.url.endsWith('.ts') ? 'ts' : 'js';
  return workflowModules(fileURLToPath(new URL(`./workflows/index.${extension}`, import.meta.url)));
}

/** Each of them under the Workflow code of this build; `error`: why it would not go on. */
export async function* replayHistories(
  config: Pick<Config, 'MAESN_SYNC_PAYLOAD_KEYS'>,
  histories: Parameters<typeof Worker.runReplayHistories>[1],
) {
  const dataConverter = createDataConverter(config.MAESN_SYNC_PAYLOAD_KEYS);
  const replayed = Worker.runReplayHistories({ dataConverter, ...workflowSource(config) }, histories);
  for await (const { workflowId, runId, error } of replayed) yield { workflowId, runId, error };
}

/** Runs a Worker until `stopped` resolves, then lets Activities finish and closes everything it has opened. */
export async function runWorker(given: Config, logger: Logger, stopped: Promise<unknown>): Promise<void> {
  const config = requireVariables(given, 'MAESN_API_KEY', 'DATABASE_URL', 'MAESN_SYNC_SEALING_KEY');
  const maesn = createConfiguredMaesnClient(config);
  const store = await openStore({ databaseUrl: config.DATABASE_URL, sealingKey: config.MAESN_SYNC_SEALING_KEY });
  try {
    const tracing = await startTracing(config.env);
    const { connection, client, namespace } = await connectWorker(config, tracing?.client);
    try {
      await requireSearchAttributes(connection, namespace);
      let worker: Worker | undefined;
      // Before the Worker: one that never runs keeps its connection for ever.
      const state = () => worker?.getState() ?? 'INITIALIZED';
      const health = await serveHealth(config.MAESN_SYNC_HEALTH_ADDRESS, { state, store });
      try {
        worker = await createSyncWorker({ config, connection, namespace, temporal: client, store, maesn, tracing });
        logger.info({ namespace, taskQueue: worker.options.taskQueue, health: health?.url }, 'Worker started');
        await worker.runUntil(stopped);
      } finally {
        await health?.close();
      }
    } finally {
      await connection.close();
      await tracing?.close();
    }
  } finally {
    await store.close();
  }
}
