/** The sealing key is replaced while everything runs, and while processes die. */
import { fork } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { setImmediate } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { sql } from 'drizzle-orm';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { z } from 'zod';
import { rotate } from '../src/cli/rotate-sealing-key.js';
import { readConfig } from '../src/config.js';
import { openPglite, openPostgres } from '../src/store/database.js';
import type { OpenDatabase } from '../src/store/database.js';
import { createStore } from '../src/store/index.js';
import type { Store } from '../src/store/index.js';
import { readKeyHolders } from '../src/store/key-holders.js';
import { createResealing } from '../src/store/reseal.js';
import { createSealing, sealingKeyId } from '../src/store/sealing.js';
import { runCli } from './support/cli.js';
import { startHarness } from './support/harness.js';
import { createTestDatabase, openTestStore } from './support/store.js';
import type { TestStore } from './support/store.js';
import { waitFor } from './support/wait.js';

const OLD = randomBytes(32);
const NEW = randomBytes(32);
const OTHER = randomBytes(32);

const columnsSchema = z.object({ rows: z.array(z.object({ table_name: z.string(), column_name: z.string() })) });
const foundSchema = z.object({ rows: z.array(z.object({ found: z.number() })) });

/** In every column of every table that can hold text, whatever the code believes is sealed. */
async function sealedWith({ db }: OpenDatabase, key: Buffer): Promise<Record<string, number>> {
  const columns = columnsSchema.parse(
    await db.execute(sql`
      select table_name, column_name from information_schema.columns join information_schema.tables using (table_schema, table_name)
       where table_schema = 'maesn_sync' and table_type = 'BASE TABLE' and data_type in ('text', 'jsonb', 'ARRAY')`),
  ).rows;
  expect(columns.length).toBeGreaterThan(30);
  const counts: Record<string, number> = {};
  for (const { table_name: table, column_name: column } of columns) {
    const asked = sql`select count(*)::int as found from maesn_sync.${sql.identifier(table)}
                       where position(${`v1.${sealingKeyId(key)}.`} in ${sql.identifier(column)}::text) > 0`;
    const [{ found } = { found: 0 }] = foundSchema.parse(await db.execute(asked)).rows;
    if (found > 0) counts[`${table}.${column}`] = found;
  }
  return counts;
}

/** Something of everything that is sealed. */
async function fill(store: Store, connections: number): Promise<void> {
  for (let n = 0; n < connections; n += 1) {
    const connectionId = `c${n}`;
    await store.connections.add({ connectionId, targetSystem: 'xero', accountKey: `key-${n}` }, 'test');
    await store.webhooks.add({ connectionId, eventType: 'CREATED', webhookResource: 'INVOICE', token: `token-${n}` });
    await store.webhooks.confirm(`token-${n}`, { maesnId: `m${n}`, secret: `secret-${n}`, expiresAt: null });
    const write = { connectionId, operation: 'createInvoice', parameters: {} } as const;
    await store.writes.add({ ...write, idempotencyKey: 'open', body: { invoiceNumber: `open-${n}` } }, 'test');
    await store.writes.add({ ...write, idempotencyKey: 'ended', body: { invoiceNumber: `ended-${n}` } }, 'test');
    await store.writes.end({ connectionId, idempotencyKey: 'ended', outcome: 'applied', answer: { answer: n } });
  }
}

async function expectAllThere(store: Store, connections: number): Promise<void> {
  for (let n = 0; n < connections; n += 1) {
    const connectionId = `c${n}`;
    expect((await store.connections.open(connectionId))?.accountKey).toBe(`key-${n}`);
    expect((await store.webhooks.open(`token-${n}`))?.secret).toBe(`secret-${n}`);
    expect(await store.writes.body({ connectionId, idempotencyKey: 'open' })).toEqual({ invoiceNumber: `open-${n}` });
    expect(await store.writes.answer({ connectionId, idempotencyKey: 'ended' })).toEqual({ answer: n });
  }
}

const FOUR = { 'connections.account_key': 0, 'webhook_subscriptions.secret': 0, 'writes.body': 0, 'writes.answer': 0 };
const each = (count: number) => Object.fromEntries(Object.keys(FOUR).map((where) => [where, count]));
const silent = { onLine: () => undefined };

describe('MAESN_SYNC_SEALING_KEY', () => {
  it('is a ring: the first key seals, all of them open', () => {
    const ring = createSealing([NEW, OLD]);
    const sealed = createSealing(OLD).seal('secret', ['a']);
    expect(ring.open(sealed, ['a'])).toBe('secret');
    expect(createSealing(NEW).open(ring.seal('x', ['a']), ['a'])).toBe('x');
    expect(() => createSealing(NEW).open(sealed, ['a'])).toThrow(
      `another MAESN_SYNC_SEALING_KEY (${sealingKeyId(OLD)}; given: ${sealingKeyId(NEW)})`,
    );
    const env = { MAESN_SYNC_SEALING_KEY: [NEW, OLD].map((key) => key.toString('base64')).join(', ') };
    expect(readConfig({ env }).MAESN_SYNC_SEALING_KEY).toEqual([NEW, OLD]);
    const broken = { MAESN_SYNC_SEALING_KEY: `${NEW.toString('base64')},short` };
    expect(() => readConfig({ env: broken })).toThrow('MAESN_SYNC_SEALING_KEY: must be 32 bytes in base64');
  });
});

describe('the rotation of the sealing key', () => {
  let test: TestStore;
  beforeAll(async () => {
    test = await openTestStore([OLD, NEW]);
    await fill(test.store, 30);
  });
  afterAll(() => test.store.close());

  it('knows of everything that is sealed', async () => {
    expect(await sealedWith(test.database, OLD)).toEqual(each(30));
  });

  it('refuses a ring without the key that the store is sealed with, before anything is changed', async () => {
    const rotating = rotate(test.database.db, createSealing([NEW, OTHER]), silent);
    await expect(rotating).rejects.toThrow(`connections.account_key: 30 with ${sealingKeyId(OLD)}`);
    await expect(rotating).rejects.toThrow('Nothing was changed. Set MAESN_SYNC_SEALING_KEY');
    expect(await sealedWith(test.database, OLD)).toEqual(each(30));
    await expectAllThere(test.store, 30);
  });

  it('only says what is sealed with which key where it is told to', async () => {
    const lines: string[] = [];
    const onLine = (line: string) => void lines.push(line);
    await rotate(test.database.db, createSealing([NEW, OLD]), { dryRun: true, onLine });
    expect(lines).toContain(`writes.answer: 30 sealed with ${sealingKeyId(OLD)}`);
    expect(await sealedWith(test.database, OLD)).toEqual(each(30));
  });

  it('keeps what somebody else has changed since it was read', async () => {
    const ring = createSealing([NEW, OLD]);
    const other = createStore(test.database, createSealing([OLD, NEW]));
    const changes: Promise<unknown>[] = [];
    // Between what is read and what is written back, a new account key comes.
    const overtaken = {
      ...ring,
      open: (sealed: string, context: Parameters<typeof ring.open>[1]) => {
        if (context[0] === 'c7' && context[1] === 1) changes.push(other.connections.storeKey('c7', 'newer', 'test'));
        return ring.open(sealed, context);
      },
    };
    await createResealing(test.database.db, overtaken).reseal(() => undefined);
    await Promise.all(changes);
    expect(changes).toHaveLength(1);
    expect((await other.connections.open('c7'))?.accountKey).toBe('newer');
    // It was sealed with the old key, by somebody who has both in another order: the next look takes it.
    expect(await sealedWith(test.database, OLD)).toEqual({ 'connections.account_key': 1 });
    await other.connections.remove('c7', 'test');
  });

  it('leaves what was changed outside as it is, and names it', async () => {
    await test.query(
      `update maesn_sync.connections set account_key = 'v1.${sealingKeyId(OLD)}.AAAA.AAAA.AAAA' where id = 'c3'`,
    );
    const rotating = rotate(test.database.db, createSealing([NEW, OLD]), silent);
    await expect(rotating).rejects.toThrow(/1 do not open with their key[\s\S]*connections.account_key of c3/);
    expect(await sealedWith(test.database, OLD)).toEqual({ 'connections.account_key': 1 });
    await createStore(test.database, createSealing([NEW])).connections.remove('c3', 'test');
  });

  it('says at its end that everything is sealed with the new key, and from then on the old one is needed for nothing', async () => {
    const lines: string[] = [];
    await rotate(test.database.db, createSealing([NEW, OLD]), { onLine: (line) => void lines.push(line) });
    expect(lines).toContain(`Everything is sealed with ${sealingKeyId(NEW)}.`);
    expect(await sealedWith(test.database, OLD)).toEqual({});
    const without = createStore(test.database, createSealing([NEW]));
    expect((await without.connections.open('c1'))?.accountKey).toBe('key-1');
    expect((await without.webhooks.open('token-1'))?.secret).toBe('secret-1');
  });
});

it('a sync, a reauthorisation and writes do not notice that the sealing key is replaced', async () => {
  const harness = await startHarness({ sealingKeys: [OLD, NEW], sandbox: { latencyMs: 5 } });
  try {
    await fill(harness.store, 100);
    const { connectionId, account } = await harness.connect({ records: { invoices: 3_000, customers: 500 } });
    account.fault({ resource: 'customers', page: 2, answer: 'revoke' });
    await harness.sync.startSync(connectionId, { resources: ['invoices', 'customers'] });
    const writes = Array.from({ length: 40 }, (_, n) => ({
      idempotencyKey: `w-${n}`,
      operation: 'createInvoice' as const,
      body: { invoiceNumber: `R-${n}`, name: 'Chairs' },
    }));
    const writing = (async () => {
      for (const write of writes) await harness.sync.write(connectionId, write);
    })();
    // Another process, as after the second restart: it seals with the new key, and reads what this one seals with the old.
    const ring = createSealing([NEW, OLD]);
    const resealing = createResealing(harness.database.db, ring);
    let looks = 0;
    const over = new AbortController();
    const rotating = (async () => {
      while (!over.signal.aborted) {
        const { unopenable } = await resealing.reseal(() => undefined);
        expect(unopenable).toEqual([]);
        looks += 1;
        // PGlite answers without ever leaving this thread to others.
        await setImmediate();
      }
    })();
    await writing;
    await waitFor(
      'it waits for its end user',
      async () => (await harness.sync.connection(connectionId)).status === 'awaiting_reauthorization',
    );
    await harness.sync.reauthorized(connectionId, account.reconnect());
    await harness.temporal.workflow.getHandle(`sync/${connectionId}`).result();
    for (const { idempotencyKey } of writes) {
      expect(await harness.sync.writeEnd(connectionId, idempotencyKey)).toMatchObject({ outcome: 'applied' });
    }
    over.abort();
    await rotating;
    expect(looks).toBeGreaterThan(1);
    expect(account.writes.filter(({ operation }) => operation === 'createInvoice')).toHaveLength(writes.length);

    await resealing.reseal(() => undefined);
    expect(await sealedWith(harness.database, OLD)).toEqual({});
    await expectAllThere(createStore(harness.database, createSealing([NEW])), 100);
  } finally {
    await harness.close();
  }
});

it('a rotation that is killed in the middle loses nothing, and ends when it is run again', async () => {
  const dir = await mkdtemp(path.join(tmpdir(), 'maesn-sync-rotation-'));
  const databaseUrl = await createTestDatabase();
  const pgliteDir = path.join(dir, 'pglite');
  const open = () => (databaseUrl === undefined ? openPglite(pgliteDir) : openPostgres(databaseUrl));
  const count = 220;
  try {
    const before = await open();
    await fill(createStore(before, createSealing(OLD)), count);
    await before.close();

    const settings = { pgliteDir, databaseUrl, keys: [NEW, OLD].map((key) => key.toString('base64')) };
    const start = () =>
      fork(fileURLToPath(new URL('./fixtures/reseal-process.ts', import.meta.url)), [JSON.stringify(settings)], {
        execArgv: ['--import', 'tsx'],
        env: { PATH: process.env['PATH'], HOME: process.env['HOME'] },
      });
    const killed = start();
    const ended = once(killed, 'exit');
    await once(killed, 'message');
    killed.kill('SIGKILL');
    expect((await ended)[1]).toBe('SIGKILL');

    const between = await open();
    const left = await sealedWith(between, OLD);
    const taken = await sealedWith(between, NEW);
    expect(Object.values(taken).length).toBeGreaterThan(0);
    expect(Object.values(left).length).toBeGreaterThan(0);
    for (const where of Object.keys(FOUR)) expect((left[where] ?? 0) + (taken[where] ?? 0)).toBe(count);
    await expectAllThere(createStore(between, createSealing([NEW, OLD])), count);
    await between.close();

    const again = start();
    const [code] = z.tuple([z.number(), z.null()]).parse(await once(again, 'exit'));
    expect(code).toBe(0);
    const after = await open();
    expect(await sealedWith(after, OLD)).toEqual({});
    await expectAllThere(createStore(after, createSealing([NEW])), count);
    await after.close();
  } finally {
    await rm(dir, { recursive: true, force: true });
  }
});

// Only a Postgres server has room for a second process; PGlite has none.
// oxlint-disable-next-line vitest/no-conditional-tests
if ((process.env['TEST_DATABASE_URL'] ?? '') !== '') {
  it('a process that has nothing to do is seen all the same, with the keys that it has', async () => {
    const { store, database, databaseUrl = '' } = await openTestStore([OLD, NEW]);
    await Promise.all([store.ping(), store.ping(), store.ping()]);
    const other = await openPostgres(databaseUrl, [sealingKeyId(NEW)]);
    const holders = (key: Buffer) => readKeyHolders(other.db, sealingKeyId(key));
    expect((await holders(OTHER)).without).toBeGreaterThan(2);
    // The others have been idle for too long.
    await waitFor('one connection is left, besides that which asks', async () => (await holders(OTHER)).without <= 2);
    expect(await holders(NEW)).toEqual({ without: 0, sealingOtherwise: 1 });
    expect(await holders(OLD)).toEqual({ without: 1, sealingOtherwise: 1 });
    await other.close();
    await database.close();
  });

  describe('the command', () => {
    const text = (...keys: readonly Buffer[]) => keys.map((key) => key.toString('base64')).join(',');

    it('waits for processes without the new key, and says of those that still seal with the old one', async () => {
      const { store, database, databaseUrl = '' } = await openTestStore(OLD);
      await fill(store, 5);
      const run = (ring: string) =>
        runCli(['rotate-sealing-key'], { env: { DATABASE_URL: databaseUrl, MAESN_SYNC_SEALING_KEY: ring } });
      const refused = await run(text(NEW, OLD));
      expect(refused).toMatchObject({
        code: 1,
        stderr: expect.stringContaining(`do not have the key ${sealingKeyId(NEW)}`),
      });
      expect(await sealedWith(database, OLD)).toEqual(each(5));
      await store.close();

      const both = await openPostgres(databaseUrl, createSealing([OLD, NEW]).keyIds);
      await both.db.execute(sql`select 1`);
      const early = await run(text(NEW, OLD));
      expect(early).toMatchObject({ code: 0, stdout: expect.stringContaining('Keep the older keys') });
      expect(await sealedWith(both, OLD)).toEqual({});
      await both.close();
      const last = await run(text(NEW, OLD));
      expect(last).toMatchObject({ code: 0, stdout: expect.stringContaining('may be dropped') });
      expect(await run(text(OTHER))).toMatchObject({ code: 2, stderr: expect.stringContaining('Nothing was changed') });
    });
  });
}
