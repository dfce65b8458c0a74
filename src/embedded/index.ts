/** Starts on this machine whatever the environment does not name an address of: Temporal, and Postgres. */
import { openStore } from '../store/index.js';
import type { Store } from '../store/index.js';
import { localUrl, requireVariables } from '../config.js';
import type { Config } from '../config.js';
import { temporalAddress } from '../temporal.js';
import { openDataFolder } from './data-folder.js';
import { startTemporalServer } from './temporal-server.js';

export interface EmbeddedOptions {
  readonly config: Config;
  /** Told of what takes time. */
  readonly onProgress: (line: string) => void;
  /** Take the well-known ports 7233 and 8233 where they are free. */
  readonly wellKnownPorts?: boolean;
}

export interface Embedded {
  /** The configuration with the addresses of what was started. */
  readonly config: Config;
  readonly store: Store;
  /** Where Temporal's own UI is; `undefined` when Temporal was not started here. */
  readonly temporalUiUrl: string | undefined;
  /** Rejects when something that was started here ends without being told to. */
  readonly failed: Promise<never>;
  /** In words, for whoever has just started it. */
  readonly description: readonly string[];
  close(): Promise<void>;
}

export async function startEmbedded({
  config,
  onProgress,
  wellKnownPorts = false,
}: EmbeddedOptions): Promise<Embedded> {
  const closers: (() => Promise<void>)[] = [];
  const close = async () => {
    for (const end of closers.splice(0).toReversed()) await end();
  };
  const description: string[] = [];
  let failed = new Promise<never>(() => undefined);
  try {
    const folder = await openDataFolder(config.MAESN_SYNC_DATA_DIR);
    closers.push(() => folder.release());

    let { env } = config;
    let temporalUiUrl: string | undefined;
    const given = env['TEMPORAL_ADDRESS'];
    if (given === undefined || given === '') {
      onProgress('Starting a Temporal dev server');
      const server = await startTemporalServer({
        dataDir: folder.dir,
        env,
        onProgress,
        ...(wellKnownPorts ? { port: 7233, uiPort: 8233 } : {}),
        ...(config.MAESN_SYNC_PAYLOAD_KEYS === undefined ? {} : { extraArgs: codecArgs(config) }),
      });
      let stopping = false;
      closers.push(() => {
        stopping = true;
        return server.stop();
      });
      failed = server.exited.then(() => {
        if (!stopping) throw new Error(`The Temporal dev server has ended; its log is in ${folder.dir}`);
        return new Promise<never>(() => undefined);
      });
      failed.catch(() => undefined);
      env = { ...env, TEMPORAL_ADDRESS: server.address, TEMPORAL_NAMESPACE: server.namespace };
      temporalUiUrl = server.uiUrl;
      description.push(`Temporal   ${server.address} (dev server, ${server.binary.from}: ${server.binary.path})`);
    } else {
      description.push(`Temporal   ${temporalAddress(env).address} (TEMPORAL_ADDRESS)`);
    }

    const databaseUrl = config.DATABASE_URL;
    onProgress(databaseUrl === undefined ? 'Opening the embedded Postgres (PGlite)' : 'Opening Postgres');
    const store = await openStore({
      databaseUrl,
      pgliteDir: folder.pgliteDir,
      sealingKey:
        databaseUrl === undefined
          ? folder.sealingKey
          : requireVariables(config, 'MAESN_SYNC_SEALING_KEY').MAESN_SYNC_SEALING_KEY,
    });
    closers.push(() => store.close());
    description.push(`Postgres   ${databaseUrl === undefined ? `${folder.pgliteDir} (PGlite)` : 'DATABASE_URL'}`);
    return { config: { ...config, env }, store, temporalUiUrl, failed, description, close };
  } catch (error) {
    await close();
    throw error;
  }
}

/** So that the UI shows what is encrypted; the backend decrypts it. */
function codecArgs(config: Config): string[] {
  return ['--ui-codec-endpoint', `${localUrl(config)}/codec`];
}
