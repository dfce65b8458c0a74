/** All of maesn-sync on this machine, against the sandbox, with connections in every state that the runbook tells of. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { startSandbox } from '../../sandbox/index.js';
import type { SandboxAccount } from '../../sandbox/index.js';
import { readConfig } from '../../src/config.js';
import { createLogger, installLogger } from '../../src/logging.js';
import { startService } from '../../src/service.js';
import type { Service } from '../../src/service.js';
import { waitFor } from '../../test/support/wait.js';

export interface Stack {
  readonly service: Service;
  close(): Promise<void>;
}

const RATE_LIMIT = { status: 429, downstreamErrors: [{ code: 'MinuteLimitExceeded', message: '60 calls a minute' }] };
const BIG = { customers: 400, invoices: 1_200 };

export async function startStack(): Promise<Stack> {
  const dataDir = await mkdtemp(path.join(tmpdir(), 'maesn-sync-runbook-'));
  const sandbox = await startSandbox();
  const config = readConfig({
    env: {},
    overrides: {
      MAESN_API_KEY: sandbox.apiKey,
      MAESN_BASE_URL: sandbox.url,
      MAESN_SYNC_DATA_DIR: dataDir,
      MAESN_SYNC_ADDRESS: '127.0.0.1:8080',
      // Every walk is a full one, so that what is gone is noticed.
      MAESN_SYNC_FULL_WALK_EVERY: '1 ms',
      MAESN_TIMEOUT: '2 seconds',
      // The third failure in a row comes after seconds, the next attempt after it is minutes away.
      MAESN_RETRY_TIME_SCALE: '4',
      LOG_LEVEL: 'error',
    },
    sandbox: true,
  });
  const logger = createLogger(config);
  installLogger(logger);
  const service = await startService({ config, logger, onProgress: (line) => console.log(line) });
  const { sync } = service;

  async function connect(id: string, targetSystem: string, records: Record<string, number> = BIG) {
    const account = sandbox.addAccount({ name: id, targetSystem, records });
    await sync.addConnection({ connectionId: id, targetSystem, accountKey: account.accountKey });
    return account;
  }
  const start = (id: string, every?: string) => sync.startSync(id, { resources: ['customers', 'invoices'], every });
  const becomes = (id: string, state: string) =>
    waitFor(`${id} is ${state}`, async () => (await sync.syncStatus(id)).state === state, 180_000);

  // An outage of one target system: five connections and more are an incident.
  const failing = ['amber-gmbh', 'birke-ag', 'calla-kg', 'dorn-ohg', 'eiche-ug'];
  for (const id of failing) {
    (await connect(id, 'sevdesk')).fault({ resource: 'invoices', page: 3, times: Infinity, answer: { status: 503 } });
    await start(id, '15 minutes');
  }
  (await connect('acme', 'xero')).fault({ resource: 'invoices', page: 12, times: Infinity, answer: RATE_LIMIT });
  await start('acme', '15 minutes');
  const revoked = await connect('linden-bau', 'lexware-office');
  revoked.fault({ resource: 'invoices', page: 2, answer: 'revoke' });
  await start('linden-bau', '15 minutes');
  await connect('moritz-handel', 'weclapp');
  await start('moritz-handel', '15 minutes');
  await connect('nord-logistik', 'weclapp', { customers: 120, invoices: 300 });
  await start('nord-logistik', '15 minutes');
  const emptied = await connect('oste-druck', 'weclapp', { customers: 120, invoices: 20 });
  await start('oste-druck', '15 minutes');
  const long = await connect('pinnow-it', 'quickbooks');
  long.fault({ resource: 'customers', page: 2, answer: { status: 429, retryAfter: 3_600 } });
  await start('pinnow-it', '15 minutes');
  const writer = await connect('quast-bau', 'sevdesk', { invoices: 10 });
  writer.fault({ operation: 'createInvoice', answer: { status: 500 } });
  await sync.write('quast-bau', {
    idempotencyKey: 'order-4711',
    operation: 'createInvoice',
    body: { invoiceNumber: 'A-4711' },
  });

  for (const id of ['moritz-handel', 'nord-logistik', 'oste-druck']) await becomes(id, 'Idle');
  await sync.as('anna').pauseSync('nord-logistik', { reason: 'month-end closing' });
  await empty(emptied);
  await sync.syncNow('oste-druck');
  await becomes('oste-druck', 'Held');
  await becomes('linden-bau', 'AwaitingReauthorization');
  await becomes('pinnow-it', 'Waiting');
  for (const id of [...failing, 'acme']) await becomes(id, 'Retrying');
  await waitFor('the write is undecided', async () => {
    const { state } = await sync.writeStatus('quast-bau', 'order-4711');
    return state === 'undecided';
  });

  return {
    service,
    async close() {
      await service.stop();
      await sandbox.close();
      await rm(dataDir, { recursive: true, force: true });
    },
  };
}

async function empty(account: SandboxAccount): Promise<void> {
  for (const record of account.records('customers')) {
    if (typeof record === 'object' && record !== null && 'id' in record && typeof record.id === 'string') {
      account.remove('customers', record.id);
    }
  }
}
