#!/usr/bin/env node
/** The commands. Each one is thin: it reads the environment, starts what it needs, and ends cleanly. */
import { existsSync } from 'node:fs';
import { defineCommand, runMain } from 'citty';
import { startBackend } from './backend/index.js';
import { ConfigError, readConfig, requireVariables } from './config.js';
import type { Config } from './config.js';
import { createLogger, installLogger } from './logging.js';
import { startService } from './service.js';
import { openStore } from './store/index.js';
import { connectClient } from './temporal.js';
import { runWorker } from './worker.js';

const dev = defineCommand({
  meta: {
    name: 'dev',
    description:
      'Run everything on this machine: Temporal with its UI, Postgres, and a Worker. Without MAESN_API_KEY, against a sandbox.',
  },
  run: () =>
    runProcess(async (config) => {
      // A person reads this terminal: what fails and is retried is told by the Temporal UI.
      const logger = createLogger({ LOG_LEVEL: config.LOG_LEVEL === 'info' ? 'error' : config.LOG_LEVEL });
      installLogger(logger);
      const sandboxed = config.MAESN_API_KEY === undefined ? await import('../sandbox/trial.js') : undefined;
      const trial = await sandboxed?.startTrial(say);
      const service = await startService({
        config:
          trial === undefined ? config : readConfig({ env: config.env, overrides: trial.overrides, sandbox: true }),
        onProgress: say,
        logger,
        wellKnownPorts: true,
      });
      await trial?.begin(service.sync);
      say('');
      for (const line of [...service.description, `Maesn      ${service.config.MAESN_BASE_URL}`]) say(line);
      say(`Page       ${service.url}/ui`);
      if (service.temporalUiUrl !== undefined) say(`Temporal UI ${service.temporalUiUrl}`);
      if (trial !== undefined) say(`Sandbox    ${trial.pageUrl}  (revoke a login here and watch the sync wait)`);
      say('\nPress Ctrl-C to stop.');
      await Promise.race([untilStopped(), service.running]);
      say('\nStopping: the pages in flight are written first.');
      await service.stop();
      await trial?.end();
    }),
});

const worker = defineCommand({
  meta: {
    name: 'worker',
    description: 'Run a Worker against the Temporal server and the Postgres that the environment names.',
  },
  run: () =>
    runProcess(async (config) => {
      const logger = createLogger(config);
      installLogger(logger);
      await runWorker(config, logger, untilStopped());
      logger.info('Worker stopped');
    }),
});

const serve = defineCommand({
  meta: {
    name: 'serve',
    description: 'Run the backend: the HTTP API, the page, and the paths that end users and Maesn come back to.',
  },
  run: () =>
    runProcess(async (given) => {
      const logger = createLogger(given);
      const config = requireVariables(given, 'DATABASE_URL', 'MAESN_SYNC_SEALING_KEY', 'MAESN_API_KEY');
      const store = await openStore({ databaseUrl: config.DATABASE_URL, sealingKey: config.MAESN_SYNC_SEALING_KEY });
      const temporal = await connectClient(config.env);
      const backend = await startBackend({ config, store, temporal, logger });
      logger.info({ url: backend.url }, 'Backend started');
      if (config.MAESN_SYNC_TOKENS === undefined) {
        logger.warn('Without MAESN_SYNC_TOKENS, the backend serves this machine alone');
      }
      await untilStopped();
      await backend.close();
      await temporal.connection.close();
      await store.close();
      logger.info('Backend stopped');
    }),
});

const migrate = defineCommand({
  meta: {
    name: 'migrate',
    description: 'Bring the tables of DATABASE_URL up to date. Workers do this too when they start.',
  },
  run: () =>
    runProcess(async (given) => {
      const config = requireVariables(given, 'DATABASE_URL', 'MAESN_SYNC_SEALING_KEY');
      const store = await openStore({ databaseUrl: config.DATABASE_URL, sealingKey: config.MAESN_SYNC_SEALING_KEY });
      await store.close();
      say('The tables are up to date.');
    }),
});

const main = defineCommand({
  meta: {
    name: 'maesn-sync',
    description: 'Keeps every Maesn customer’s books in your own Postgres.',
  },
  subCommands: { dev, serve, worker, migrate },
});

function say(line: string): void {
  console.log(line);
}

/** Exit codes: 0 done, 1 failed, 2 the environment is not right. */
async function runProcess(run: (config: Config) => Promise<void>): Promise<void> {
  try {
    if (existsSync('.env')) process.loadEnvFile('.env');
    await run(readConfig());
  } catch (error) {
    console.error(error instanceof Error ? error.message : error);
    process.exitCode = error instanceof ConfigError ? 2 : 1;
  }
  // The SDK's runtime, once installed, keeps a process alive that has nothing left to do.
  process.exit();
}

/** Resolves with the first SIGINT or SIGTERM; the second one ends the process at once. */
function untilStopped(): Promise<void> {
  return new Promise((resolve) => {
    let stopping = false;
    const stop = () => {
      if (stopping) process.exit(130);
      stopping = true;
      resolve();
    };
    process.on('SIGINT', stop);
    process.on('SIGTERM', stop);
  });
}

await runMain(main);
