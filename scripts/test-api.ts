/**
 * Schemathesis against the OpenAPI document that the backend serves: generated requests, right and wrong, in chains; every
 * answer must be one that the document names. Fetches Schemathesis from the Python package index unless it is on PATH.
 */
import { execFileSync, spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { homedir, tmpdir } from 'node:os';
import path from 'node:path';
import { defineCommand, runMain } from 'citty';
import { startSandbox } from '../sandbox/index.js';
import { readConfig } from '../src/config.js';
import { createLogger, installLogger } from '../src/logging.js';
import { startService } from '../src/service.js';

const VERSION = '4.32.5';

const command = defineCommand({
  meta: { name: 'test-api', description: 'Test the HTTP API against its own OpenAPI document, with all checks.' },
  args: {
    examples: { type: 'string', default: '150', description: 'Generated requests an operation and phase, at most' },
    seed: { type: 'string', description: 'Repeat the run of this seed' },
  },
  run: async ({ args }) => {
    const schemathesis = findSchemathesis();
    const dir = await mkdtemp(path.join(tmpdir(), 'maesn-sync-test-api-'));
    const sandbox = await startSandbox();
    const account = sandbox.addAccount({ name: 'Acme', targetSystem: 'xero', records: { invoices: 250, items: 30 } });
    const token = randomBytes(24).toString('base64url');
    const config = readConfig({
      env: { ...process.env, DATABASE_URL: '', TEMPORAL_ADDRESS: '' },
      overrides: {
        MAESN_API_KEY: sandbox.apiKey,
        MAESN_BASE_URL: sandbox.url,
        MAESN_SYNC_ADDRESS: '127.0.0.1:0',
        MAESN_SYNC_DATA_DIR: dir,
        MAESN_SYNC_EVENTS_ALLOW_PRIVATE: 'true',
        MAESN_SYNC_EVENTS_SECRET: `whsec_${randomBytes(32).toString('base64')}`,
        // Nobody is there: events are told, and wait.
        MAESN_SYNC_EVENTS_URL: 'http://127.0.0.1:9/events',
        MAESN_SYNC_REQUESTS_PER_MINUTE: '1000000',
        MAESN_SYNC_TOKENS: `schemathesis:${token}`,
      },
      sandbox: true,
    });
    const logger = createLogger({ LOG_LEVEL: 'error' });
    installLogger(logger);
    const service = await startService({ config, logger, onProgress: (line) => console.log(line) });
    try {
      // Something to be found by requests that are right.
      const { targetSystem, accountKey } = account;
      await service.sync.addConnection({ connectionId: 'acme', targetSystem, accountKey });
      await service.sync.startSync('acme', { resources: ['invoices', 'items'], every: '1 hour' });
      const body = { invoiceNumber: 'A-4711' };
      await service.sync.write('acme', { idempotencyKey: 'order-4711', operation: 'createInvoice', body });
      const child = spawn(
        schemathesis,
        [
          'run',
          `${service.url}/openapi.json`,
          '--continue-on-failure',
          `--max-examples=${args.examples}`,
          '--phases=examples,coverage,fuzzing,stateful',
          '--request-timeout=30',
          `--header=Authorization: Bearer ${token}`,
          ...(args.seed === undefined ? [] : [`--seed=${args.seed}`]),
        ],
        { stdio: 'inherit' },
      );
      const [code] = await once(child, 'exit');
      process.exitCode = typeof code === 'number' ? code : 1;
    } finally {
      await service.stop();
      await sandbox.close();
      await rm(dir, { recursive: true, force: true });
    }
    process.exit();
  },
});

/** On PATH, or in a virtual environment of its own, made once. */
function findSchemathesis(): string {
  for (const dir of (process.env['PATH'] ?? '').split(path.delimiter)) {
    const found = path.join(dir, 'schemathesis');
    if (existsSync(found)) return found;
  }
  const venv = path.join(
    process.env['XDG_CACHE_HOME'] ?? path.join(homedir(), '.cache'),
    `maesn-sync/schemathesis-${VERSION}`,
  );
  const bin = path.join(venv, 'bin/schemathesis');
  if (!existsSync(bin)) {
    console.log(`Fetching Schemathesis ${VERSION} with pip, once`);
    execFileSync('python3', ['-m', 'venv', venv], { stdio: 'inherit' });
    execFileSync(path.join(venv, 'bin/pip'), ['install', '--quiet', `schemathesis==${VERSION}`], { stdio: 'inherit' });
  }
  return bin;
}

await runMain(command);
