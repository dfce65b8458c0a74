/** Starts the backend: listens, makes its client of maesn-sync, and answers. */
import type { Client } from '@temporalio/client';
import type { Logger } from 'pino';
import { clientSettings, createMaesnSync } from '../client.js';
import type { MaesnSync } from '../client.js';
import { publicUrl, refuseOpenToOthers } from '../config.js';
import type { Config } from '../config.js';
import type { Store } from '../store/index.js';
import { readVersion } from '../version.js';
import { createBackend } from './app.js';
import { serveMetrics } from './metrics.js';
import { listen } from './server.js';

export interface StartBackendOptions {
  readonly config: Config;
  readonly store: Store;
  readonly temporal: Client;
  readonly logger: Logger;
  /** Of a Temporal that was started here. */
  readonly temporalUiUrl?: string | undefined;
  /** Take another port when that of MAESN_SYNC_ADDRESS is taken. */
  readonly orAnyPort?: boolean;
}

export interface Backend {
  /** Where it is reached from this machine. */
  readonly url: string;
  readonly sync: MaesnSync;
  /** Where Prometheus asks, if it may. */
  readonly metricsUrl: string | undefined;
  /** Answers who has asked, then stops. */
  close(): Promise<void>;
}

export async function startBackend(options: StartBackendOptions): Promise<Backend> {
  const { config, store, temporal, logger, orAnyPort = false } = options;
  const tokens = config.MAESN_SYNC_TOKENS ?? [];
  refuseOpenToOthers(config);
  const server = await listen({ address: config.MAESN_SYNC_ADDRESS, orAnyPort });
  const onError = (error: unknown) => logger.error({ error }, 'The metrics could not be read');
  const metrics = await serveMetrics(config.MAESN_SYNC_METRICS_ADDRESS, { store, onError }).catch(
    async (error: unknown) => {
      await server.close();
      throw error;
    },
  );
  const sync = createMaesnSync({ temporal, store, ...clientSettings(config, server.url) });
  const uiUrl = config.MAESN_SYNC_TEMPORAL_UI_URL ?? options.temporalUiUrl;
  server.serve(
    createBackend({
      sync,
      logger,
      tokens,
      requestsPerMinute: config.MAESN_SYNC_REQUESTS_PER_MINUTE,
      publicUrl: publicUrl(config, server.url),
      returnUrl: config.MAESN_SYNC_RETURN_URL,
      parameters: { accountKey: config.MAESN_CALLBACK_ACCOUNT_KEY, signature: config.MAESN_CALLBACK_SIGNATURE },
      temporalUi: uiUrl === undefined ? undefined : { url: uiUrl, namespace: temporal.options.namespace },
      // The one that this process itself reads and writes with.
      codec: temporal.options.loadedDataConverter.payloadCodecs[0],
      version: readVersion(),
      ready: () => readReadiness(store, temporal),
    }),
  );
  return {
    url: server.url,
    sync,
    metricsUrl: metrics?.url,
    async close() {
      await metrics?.close();
      await server.close();
    },
  };
}

async function readReadiness(store: Store, temporal: Client) {
  const [storeAnswers, temporalAnswers] = await Promise.all([
    answers(store.ping()),
    answers(temporal.connection.withDeadline(Date.now() + 5_000, () => temporal.workflowService.getSystemInfo({}))),
  ]);
  return { storeAnswers, temporalAnswers };
}

async function answers(asked: Promise<unknown>): Promise<boolean> {
  return asked.then(
    () => true,
    () => false,
  );
}
