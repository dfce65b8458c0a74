/** All of maesn-sync in one process: what it needs on this machine, a Worker, and a client. */
import { clientSettings, createMaesnSync } from './client.js';
import type { MaesnSync } from './client.js';
import { requireVariables } from './config.js';
import type { Config } from './config.js';
import { startEmbedded } from './embedded/index.js';
import type { EmbeddedOptions } from './embedded/index.js';
import { connectWorker } from './temporal.js';
import { createSyncWorker } from './worker.js';
import { createConfiguredMaesnClient } from './maesn/configured.js';
import type { Store } from './store/index.js';

export interface Service {
  readonly config: Config;
  readonly sync: MaesnSync;
  readonly store: Store;
  readonly temporalUiUrl: string | undefined;
  readonly description: readonly string[];
  /** Rejects when the Worker or the Temporal dev server fails; resolves when the service has been stopped. */
  readonly running: Promise<void>;
  /** Lets Activities finish, then closes everything in the order in which it depends on each other. */
  stop(): Promise<void>;
}

export async function startService(options: EmbeddedOptions): Promise<Service> {
  const embedded = await startEmbedded(options);
  const { config, store } = embedded;
  try {
    const { connection, client, namespace } = await connectWorker(config.env);
    try {
      options.onProgress('Starting a Worker');
      const worker = await createSyncWorker({
        config,
        connection,
        namespace,
        temporal: client,
        store,
        maesn: createConfiguredMaesnClient(requireVariables(config, 'MAESN_API_KEY')),
      });
      const working = worker.run();
      const running = Promise.race([working, embedded.failed]);
      // Whoever awaits `running` sees why it failed; whoever does not must not be ended by it.
      running.catch(() => undefined);
      const sync = createMaesnSync({
        temporal: client,
        store,
        ...clientSettings(config),
      });
      const { temporalUiUrl, description } = embedded;
      const stop = async () => {
        if (worker.getState() === 'RUNNING') worker.shutdown();
        await working.catch(() => undefined);
        await connection.close();
        await embedded.close();
      };
      return { config, sync, store, temporalUiUrl, description, running, stop };
    } catch (error) {
      await connection.close();
      throw error;
    }
  } catch (error) {
    await embedded.close();
    throw error;
  }
}
