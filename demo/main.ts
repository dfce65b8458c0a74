/**
 * The main job, unattended: a customer's books are pulled through rate limits, outages and a revoked login, and at the
 * end the database holds exactly what the accounting system holds. Everything runs in this process and its children.
 */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { defineCommand, runMain } from 'citty';
import { startApplication } from '../sandbox/application.js';
import { startSandbox } from '../sandbox/index.js';
import { readConfig } from '../src/config.js';
import { createLogger, installLogger } from '../src/logging.js';
import { untilStopped } from '../src/cli/process.js';
import { startService } from '../src/service.js';
import { openAccount, resources } from './books.js';
import { askForLogin, signIn } from './end-user.js';
import { createProgress } from './progress.js';
import { printReport } from './report.js';

const CONNECTION = 'acme';

/** A minute of the error guide takes two seconds here. */
const TIME_SCALE = 30;

const demo = defineCommand({
  meta: {
    name: 'demo',
    description: 'Sync a customer of the sandbox through everything that can go wrong, and prove the result.',
  },
  args: {
    keep: { type: 'boolean', description: 'Leave everything running afterwards, and print where it is' },
    'log-level': { type: 'string', default: 'error', description: 'Of the Worker: trace, debug, info, warn or error' },
  },
  run: async ({ args }) => {
    // Ctrl-C ends everything that is open by then, and leaves nothing behind.
    const stopping = new AbortController();
    const stopped = untilStopped().then(() => stopping.abort());
    const closing: (() => Promise<unknown>)[] = [];
    const progress = createProgress();
    try {
      const dir = await mkdtemp(path.join(tmpdir(), 'maesn-sync-demo-'));
      closing.push(() => rm(dir, { recursive: true, force: true }));
      const sandbox = await startSandbox({ latencyMs: 10 });
      closing.push(() => sandbox.close());
      const account = openAccount(sandbox);
      const application = await startApplication({
        onEvent: async ({ type, data: { connectionId } }) => {
          progress.say(`The application is told: ${type}`);
          if (type !== 'connection.reauthorization_required' || connectionId === undefined) return;
          const loginUrl = await askForLogin(service.url, connectionId);
          progress.say(`  and has the customer sign in again: ${loginUrl}`);
          progress.say(`  The customer reads: ${await signIn(loginUrl, account.name)}`);
        },
      });
      closing.push(() => application.close());
      const config = readConfig({
        // The demo brings everything along, whatever else this machine is set up for.
        env: { ...process.env, DATABASE_URL: '', TEMPORAL_ADDRESS: '', MAESN_SYNC_HEALTH_ADDRESS: '' },
        overrides: {
          ...application.overrides,
          MAESN_API_KEY: sandbox.apiKey,
          MAESN_BASE_URL: sandbox.url,
          MAESN_RETRY_TIME_SCALE: String(TIME_SCALE),
          MAESN_SYNC_DATA_DIR: dir,
          LOG_LEVEL: args['log-level'],
          MAESN_SYNC_ADDRESS: '127.0.0.1:0',
        },
        sandbox: true,
      });
      const logger = createLogger(config);
      installLogger(logger);
      const service = await startService({ config, logger, onProgress: (line) => progress.say(line) });
      closing.push(() => service.stop());
      for (const line of service.description) progress.say(line);
      progress.say(`Backend    ${service.url}/ui`);
      progress.say(`Maesn      ${sandbox.url} (sandbox); the delays of the error guide are divided by ${TIME_SCALE}\n`);
      await service.sync.addConnection({
        connectionId: CONNECTION,
        targetSystem: account.targetSystem,
        accountKey: account.accountKey,
      });
      const started = await service.sync.startSync(CONNECTION, { resources });
      progress.say(`Started Workflow ${started.workflowId}`);

      let status = await service.sync.syncStatus(CONNECTION);
      while (!stopping.signal.aborted && !['Completed', 'Failed', 'Cancelled', 'Terminated'].includes(status.state)) {
        progress.show(status);
        await Promise.race([sleep(100), service.running, stopped]);
        status = await service.sync.syncStatus(CONNECTION);
      }
      if (stopping.signal.aborted) {
        process.exitCode = 130;
        return;
      }
      progress.show(status);
      progress.stop();
      const proven = await printReport({ status, sandbox, account, store: service.store, connectionId: CONNECTION });
      if (!proven || status.runId !== started.runId) process.exitCode = 1;

      if (args.keep) {
        console.log(
          `\nTemporal UI  ${service.temporalUiUrl}/namespaces/default/workflows/${encodeURIComponent(started.workflowId)}`,
        );
        console.log(`Sandbox      ${sandbox.url}/sandbox`);
        console.log(`Page         ${service.url}/ui`);
        console.log('Everything is still running. Press Ctrl-C to stop.');
        await stopped;
      }
    } finally {
      progress.stop();
      for (const close of closing.toReversed()) await close();
    }
  },
});

await runMain(demo);
