/**
 * The disaster drill: either of the two databases is lost, or restored from an older backup, and the store must become again
 * what the sandbox holds. A real Postgres, a Temporal dev server, a Worker; docs/operations.md says what it stands for.
 */
import { execFileSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { startPostgres } from '../bench/servers/postgres.js';
import { startSandbox } from '../sandbox/index.js';
import { readConfig } from '../src/config.js';
import { createLogger, installLogger } from '../src/logging.js';
import { startService } from '../src/service.js';
import type { Service } from '../src/service.js';
import { differences, keyOf } from './differences.js';

const ID = 'acme';
const LIMIT_MS = 90_000;

const dir = await mkdtemp(path.join(tmpdir(), 'maesn-sync-drill-'));
const postgres = await startPostgres();
const sandbox = await startSandbox();
const account = sandbox.addAccount({ name: 'Acme', targetSystem: 'sevdesk', records: { items: 350 } });
const databaseUrl = await postgres.createDatabase('books');
const sealingKey = randomBytes(32).toString('base64');
const logger = createLogger({ LOG_LEVEL: 'error' });
installLogger(logger);
const debian = '/usr/lib/postgresql';
const [version = ''] = (await readdir(debian)).toSorted((a, b) => Number(b) - Number(a));
const pg = (program: string, ...args: readonly string[]) =>
  execFileSync(path.join(debian, version, 'bin', program), args, { stdio: ['ignore', 'inherit', 'inherit'] });

let temporalDirs = 0;
let temporalDir = newTemporal();
let service = await start();

try {
  await service.sync.addConnection({ connectionId: ID, targetSystem: 'sevdesk', accountKey: account.accountKey });
  await converge('a first sync');

  const backup = path.join(dir, 'books.dump');
  pg('pg_dump', '--format=custom', `--file=${backup}`, databaseUrl);
  change(1);
  await converge('more, after the backup was taken');

  const [lastTold] = await service.store.events.latest(ID, 1);
  if (lastTold === undefined) throw new Error('no event was told');
  const restoredAt = new Date();
  await restart('the store is restored from the older backup; Temporal is newer', async () => {
    await postgres.dropDatabase('books');
    await postgres.createDatabase('books');
    pg('pg_restore', `--dbname=${databaseUrl}`, backup);
    numberEventsAnew();
    change(2);
  });

  const { length: again } = (await service.store.events.latest(ID, 100)).filter(
    ({ id, createdAt }) => id <= lastTold.id && createdAt > restoredAt,
  );
  if (again > 0) throw new Error(`${again} events have numbers that were given before the store was restored`);

  await restart('Temporal is lost; the store is newer', async () => {
    await rm(temporalDir, { recursive: true, force: true });
    temporalDir = newTemporal();
    change(3);
  });

  await restart(
    'the store is lost; Temporal still runs the sync',
    async () => {
      await postgres.dropDatabase('books');
      await postgres.createDatabase('books');
      change(4);
    },
    true,
  );
  console.log('The drill went well: after each loss, the store is what the sandbox holds.');
} finally {
  await service.stop();
  await sandbox.close();
  await postgres.stop();
  await rm(dir, { recursive: true, force: true });
}
process.exit();

function newTemporal(): string {
  temporalDirs += 1;
  return path.join(dir, `temporal-${temporalDirs}`);
}

function start(): Promise<Service> {
  const config = readConfig({
    env: { ...process.env, TEMPORAL_ADDRESS: '' },
    overrides: {
      DATABASE_URL: databaseUrl,
      MAESN_API_KEY: sandbox.apiKey,
      MAESN_BASE_URL: sandbox.url,
      MAESN_SYNC_ADDRESS: '127.0.0.1:0',
      MAESN_SYNC_DATA_DIR: temporalDir,
      // Each walk is a full one: what was deleted after the backup is found by those alone.
      MAESN_SYNC_FULL_WALK_EVERY: '1 ms',
      MAESN_SYNC_SEALING_KEY: sealingKey,
    },
    sandbox: true,
  });
  return startService({ config, logger, onProgress: () => undefined });
}

/** One record is changed, one is new, one is gone. */
function change(round: number): void {
  const ids = account.records('items').map((record) => keyOf('items', record));
  account.put('items', { id: ids[0], name: `changed in round ${round}` });
  account.put('items', { id: `new-${round}`, name: `new in round ${round}` });
  account.remove('items', ids[1] ?? '');
}

/** As docs/operations.md has it. */
function numberEventsAnew(): void {
  const statement = `select setval('maesn_sync.events_id_seq', (extract(epoch from now()) * 1000)::bigint)`;
  pg('psql', '--quiet', '--output=/dev/null', `--command=${statement}`, databaseUrl);
}

async function restart(what: string, disaster: () => Promise<void>, connectAgain = false): Promise<void> {
  await service.stop();
  await disaster();
  service = await start();
  if (connectAgain) {
    await service.sync.addConnection({ connectionId: ID, targetSystem: 'sevdesk', accountKey: account.accountKey });
  }
  await converge(what);
}

/** As an application does with each deployment: starts the sync, wherever it may be; then waits until the store is right. */
async function converge(what: string): Promise<void> {
  const began = Date.now();
  await service.sync.startSync(ID, { resources: ['items'], every: '1 hour' });
  let asked = 0;
  while (!(await isSame())) {
    if (Date.now() - began > LIMIT_MS) throw new Error(`does not converge: ${what}`);
    const { state } = await service.sync.syncStatus(ID);
    // What has failed, because its connection was unknown, is started again; what idles is asked for at once.
    if (state === 'Idle') {
      await service.sync.syncNow(ID);
      asked += 1;
    } else if (state === 'Failed') await service.sync.startSync(ID, { resources: ['items'], every: '1 hour' });
    await sleep(500);
  }
  console.log(`${what}: the same after ${((Date.now() - began) / 1_000).toFixed(1)} s (asked for ${asked} times)`);
}

async function isSame(): Promise<boolean> {
  return (await differences(service.store, { connectionId: ID, account }, ['items'])).length === 0;
}
