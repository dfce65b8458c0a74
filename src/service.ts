/** All of maesn-sync in one process: what it needs on this machine, a Worker, and the backend. */
import type { Client } from '@temporalio/client';
import type { Worker } from '@temporalio/worker';
import type { Logger } from 'pino';
import { startBackend } from './backend/index.js';
import type { MaesnSync } from './client.js';
import { isSet, requireVariables } from './config.js';
import type { Config } from './config.js';
import { startEmbedded } from './embedded/index.js';
import type { EmbeddedOptions } from './embedded/index.js';
import { serveHealth } from './health.js';
import { createConfiguredMaesnClient } from './maesn/configured.js';
import { requireSearchAttributes } from './search-attributes.js';
import type { Store } from './store/index.js';
import { connectWorker } from './temporal.js';
import { startTracing } from './tracing/index.js';
import { createSyncWorker } from './worker.js';

export interface ServiceOptions extends EmbeddedOptions {
  readonly logger: Logger;
}

export interface Service {
  readonly config: Config;
  readonly sync: MaesnSync;
  readonly store: Store;
  readonly temporal: Client;
  /** Of the backend, on this machine. */
  readonly url: string;
  readonly temporalUiUrl: string | undefined;
  readonly description: readonly string[];
  /** Rejects when the Worker or the Temporal dev server fails; resolves when the service has been stopped. */
  readonly running: Promise<void>;
  /** Lets requests and Activities finish, then closes everything in the order in which it depends on each other. */
  stop(): Promise<void>;
}

export async function startService({ logger, ...options }: ServiceOptions): Promise<Service> {
  const closers: (() => Promise<void>)[] = [];
  const stop = async () => {
    for (const close of closers.splice(0).toReversed()) await close();
  };
  try {
    const embedded = await startEmbedded(options);
    closers.push(() => embedded.close());
    const { config, store, temporalUiUrl, description } = embedded;
    const tracing = await startTracing(config.env);
    closers.push(async () => tracing?.close());
    const { connection, client, namespace } = await connectWorker(config, tracing?.client);
    closers.push(() => connection.close());
    await requireSearchAttributes(connection, namespace);

    options.onProgress('Starting a Worker');
    let started: Worker | undefined;
    const state = () => started?.getState() ?? 'INITIALIZED';
    const health = await serveHealth(config.MAESN_SYNC_HEALTH_ADDRESS, { state, store });
    closers.push(async () => health?.close());
    const worker = await createSyncWorker({
      config,
      connection,
      namespace,
      temporal: client,
      store,
      maesn: createConfiguredMaesnClient(requireVariables(config, 'MAESN_API_KEY')),
      tracing,
    });
    started = worker;
    const working = worker.run();
    const running = Promise.race([working, embedded.failed]);
    // Whoever awaits `running` sees why it failed; whoever does not must not be ended by it.
    running.catch(() => undefined);
    closers.push(async () => {
      if (worker.getState() === 'RUNNING') worker.shutdown();
      await working.catch(() => undefined);
    });

    const backend = await startBackend({
      config,
      store,
      temporal: client,
      logger,
      temporalUiUrl,
      // Whoever has named a port asks there, and would ask a stranger.
      orAnyPort: !isSet(config, 'MAESN_SYNC_ADDRESS'),
    });
    closers.push(() => backend.close());
    return {
      config,
      sync: backend.sync,
      store,
      temporal: client,
      url: backend.url,
      temporalUiUrl,
      description,
      running,
      stop,
    };
  } catch (error) {
    await stop();
    throw error;
  }
}
