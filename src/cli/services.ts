/** The commands that run a part of maesn-sync until they are told to stop. */
import { startBackend } from '../backend/index.js';
import { isSet, localUrl, readConfig, refuseOpenToOthers, requireVariables } from '../config.js';
import { createLogger, installLogger } from '../logging.js';
import { startService } from '../service.js';
import { openStore } from '../store/index.js';
import { addSearchAttributes } from '../search-attributes.js';
import { connectClient } from '../temporal.js';
import { startTracing } from '../tracing/index.js';
import { runWorker } from '../worker.js';
import { command, say, untilStopped } from './process.js';

export const dev = command({
  name: 'dev',
  description:
    'Run everything on this machine: Temporal with its UI, Postgres, a Worker and the backend. Without MAESN_API_KEY, against a sandbox.',
  run: async ({ config }) => {
    refuseOpenToOthers(config);
    // A person reads this terminal: what fails and is retried is told by the page and the Temporal UI.
    const logger = createLogger({ LOG_LEVEL: config.LOG_LEVEL === 'info' ? 'error' : config.LOG_LEVEL });
    installLogger(logger, { metricsAddress: config.MAESN_SYNC_WORKER_METRICS_ADDRESS });
    const sandboxed = config.MAESN_API_KEY === undefined ? await import('../../sandbox/trial.js') : undefined;
    const trial = await sandboxed?.startTrial(say);
    const service = await startService({
      config: trial === undefined ? config : readConfig({ env: config.env, overrides: trial.overrides, sandbox: true }),
      onProgress: say,
      logger,
      wellKnownPorts: true,
    });
    await trial?.begin(service.sync);
    say('');
    for (const line of [...service.description, `Maesn      ${service.config.MAESN_BASE_URL}`]) say(line);
    say(`Page       ${service.url}/ui`);
    if (service.url !== localUrl(config) && !isSet(config, 'MAESN_SYNC_ADDRESS')) {
      say(
        `           ${localUrl(config)} is taken by another program: run the commands with MAESN_SYNC_URL=${service.url}`,
      );
    }
    if (service.temporalUiUrl !== undefined) say(`Temporal UI ${service.temporalUiUrl}`);
    if (trial !== undefined) say(`Sandbox    ${trial.pageUrl}  (revoke a login here and watch the sync wait)`);
    say('\nPress Ctrl-C to stop.');
    await Promise.race([untilStopped(), service.running]);
    say('\nStopping: the pages in flight are written first.');
    await service.stop();
    await trial?.end();
  },
});

export const serve = command({
  name: 'serve',
  description: 'Run the backend: the HTTP API, the page, and the paths that end users and Maesn come back to.',
  run: async ({ config: given }) => {
    refuseOpenToOthers(given);
    const logger = createLogger(given);
    const config = requireVariables(given, 'DATABASE_URL', 'MAESN_SYNC_SEALING_KEY', 'MAESN_API_KEY');
    const store = await openStore({ databaseUrl: config.DATABASE_URL, sealingKey: config.MAESN_SYNC_SEALING_KEY });
    const tracing = await startTracing(config.env);
    const temporal = await connectClient(config, tracing?.client);
    const backend = await startBackend({ config, store, temporal, logger });
    logger.info({ url: backend.url, metrics: backend.metricsUrl }, 'Backend started');
    if (config.MAESN_SYNC_TOKENS === undefined) {
      logger.warn('Without MAESN_SYNC_TOKENS, the backend serves this machine alone');
    }
    await untilStopped();
    await backend.close();
    await temporal.connection.close();
    await tracing?.close();
    await store.close();
    logger.info('Backend stopped');
  },
});

export const worker = command({
  name: 'worker',
  description: 'Run a Worker against the Temporal server and the Postgres that the environment names.',
  run: async ({ config }) => {
    const logger = createLogger(config);
    installLogger(logger, { metricsAddress: config.MAESN_SYNC_WORKER_METRICS_ADDRESS });
    await runWorker(config, logger, untilStopped());
    logger.info('Worker stopped');
  },
});

export const migrate = command({
  name: 'migrate',
  description:
    'Bring the tables of DATABASE_URL up to date, and give Temporal the search attributes. Workers and the backend see to the tables too when they start.',
  run: async ({ config: given }) => {
    const config = requireVariables(given, 'DATABASE_URL', 'MAESN_SYNC_SEALING_KEY');
    const store = await openStore({ databaseUrl: config.DATABASE_URL, sealingKey: config.MAESN_SYNC_SEALING_KEY });
    await store.close();
    say('The tables are up to date.');
    const temporal = await connectClient(config);
    try {
      const added = await addSearchAttributes(temporal.connection, temporal.options.namespace);
      say(added.length === 0 ? 'Temporal has the search attributes.' : `Added to Temporal: ${added.join(', ')}.`);
    } finally {
      await temporal.connection.close();
    }
  },
});
