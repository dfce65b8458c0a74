import { Client } from 'pg';
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest';
import { parseRecords } from '../src/maesn/records.js';
import type { Resource } from '../src/spec/resources.js';
import { createSealing } from '../src/store/sealing.js';
import type { Cursor, Store, WriteOf, WriteState } from '../src/store/index.js';
import { databaseCode } from '../src/store/database-error.js';
import { openPostgres } from '../src/store/database.js';
import { createStore } from '../src/store/index.js';
import { TEST_SEALING_KEY, openTestStore } from './support/store.js';
import type { Query } from './support/store.js';
import { waitFor } from './support/wait.js';
import { beginWalk, savePages } from './support/walks.js';

let store: Store;
let query: Query;
let databaseUrl: string | undefined;

beforeAll(async () => {
  ({ store, query, databaseUrl } = await openTestStore());
});
afterAll(() => store.close());

let connections = 0;
async function connect(accountKey = 'key'): Promise<string> {
  connections += 1;
  const connectionId = `store-${connections}`;
  await store.connections.add({ connectionId, targetSystem: 'xero', accountKey }, 'test');
  return connectionId;
}

const begin = (connectionId: string, walkId = 'run-1', now = new Date()) =>
  beginWalk(store, { connectionId, resource: 'invoices', walkId, now });

const save = (connectionId: string, page: number, values: readonly unknown[], last = false, walkId = 'run-1') =>
  savePages(store, {
    connectionId,
    resource: 'invoices',
    walkId,
    page,
    records: parseRecords('invoices', { records: values }, 0),
    totalPages: 9,
    totalRecords: last && page === 1 ? values.length : 900,
    last,
  });

/** The store's clock may count in milliseconds: waits until it has moved. */
async function later(): Promise<void> {
  const clock = async () => (await query('select extract(epoch from clock_timestamp())::text as at'))[0]?.['at'];
  const before = await clock();
  await waitFor('the clock has moved', async () => (await clock()) !== before);
}

const list = (connectionId: string) => store.records.list({ connectionId, resource: 'invoices', limit: 1_000 });

describe('a page', () => {
  it('is written together with the cursor that points behind it', async () => {
    const id = await connect();
    await begin(id);
    const cursor = await save(id, 1, [{ invoiceId: 'a', updatedDate: '2026-01-02T03:04:05Z', totalAmount: 1.5 }]);
    expect(cursor).toMatchObject({ nextPage: 2, pages: 1, records: 1, flagged: 0, completedAt: null });
    expect(await list(id)).toMatchObject([
      {
        key: 'a',
        record: { invoiceId: 'a', totalAmount: 1.5 },
        modifiedAt: new Date('2026-01-02T03:04:05Z'),
        problems: null,
      },
    ]);
  });

  it.each(['0001-01-01T00:00:00+01:00', '9999-12-31T23:59:59-01:00'])(
    'is written with a date of %s',
    async (updatedDate) => {
      const id = await connect();
      await begin(id);
      await save(id, 1, [{ invoiceId: 'a', updatedDate }]);
      expect(await list(id)).toMatchObject([{ key: 'a', record: { updatedDate }, modifiedAt: null }]);
    },
  );

  it('is written by one of two attempts that hold it', async () => {
    const id = await connect();
    await begin(id);
    const [first, second] = await Promise.all([save(id, 1, [{ invoiceId: 'a' }]), save(id, 1, [{ invoiceId: 'a' }])]);
    expect([first.pages, second.pages]).toEqual([1, 1]);
    expect(await begin(id)).toMatchObject({ nextPage: 2, pages: 1 });
  });

  it('leaves nothing behind when its cursor cannot be written', async () => {
    const id = await connect();
    await expect(save(id, 1, [{ invoiceId: 'a' }])).rejects.toThrow('the cursor is gone');
    expect(await list(id)).toEqual([]);
  });

  it('changes a record that has changed, and does not touch one that has not', async () => {
    const id = await connect();
    await begin(id);
    await save(id, 1, [
      { invoiceId: 'a', n: 1 },
      { invoiceId: 'b', n: 1 },
    ]);
    const before = await list(id);
    await save(id, 2, [
      { invoiceId: 'a', n: 2 },
      { invoiceId: 'b', n: 1 },
    ]);
    const after = await list(id);
    expect(after.map(({ record }) => record)).toEqual([
      { invoiceId: 'a', n: 2 },
      { invoiceId: 'b', n: 1 },
    ]);
    expect(after[1]?.syncedAt).toEqual(before[1]?.syncedAt);
    expect(after[0]?.syncedAt).not.toEqual(before[0]?.syncedAt);
  });

  it.each([
    ['without key', { n: 1 }, ['invoiceId is not usable as a key']],
    ['with an empty key', { invoiceId: '' }, ['invoiceId is not usable as a key']],
    ['with a null key', { invoiceId: null }, ['invoiceId is not usable as a key']],
    ['with a key that no index takes', { invoiceId: 'x'.repeat(9_000) }, ['invoiceId is not usable as a key']],
    ['that is no object', 'text', ['not an object']],
    ['that is null', null, ['not an object']],
    ['that is a list', [1], ['not an object']],
    ['with a date that is none', { invoiceId: 'd', updatedDate: 'yesterday' }, ['updatedDate is not an ISO 8601 date']],
    ['with NUL', { invoiceId: 'n', name: 'a\0b' }, ['characters that Postgres cannot store were replaced']],
    ['with NUL in its key', { invoiceId: 'n\0m' }, ['characters that Postgres cannot store were replaced']],
    ['with NUL in a name', { invoiceId: 'm', 'a\0': [1] }, ['characters that Postgres cannot store were replaced']],
    [
      'with half a surrogate',
      { invoiceId: 's', name: '\ud800' },
      ['characters that Postgres cannot store were replaced'],
    ],
  ])('keeps a record %s, and says so', async (_name, value, problems) => {
    const id = await connect();
    await begin(id);
    const cursor = await save(id, 1, [value]);
    expect(cursor).toMatchObject({ records: 1, flagged: 1 });
    expect(await list(id)).toMatchObject([{ problems }]);
  });

  it('keeps text that only looks like an escape as it is', async () => {
    const id = await connect();
    await begin(id);
    const record = { invoiceId: 'e', name: String.raw`C:\u0000 \ud800 "quoted" ${'\u{1F600}'}` };
    await save(id, 1, [record]);
    expect(await list(id)).toMatchObject([{ record, problems: null }]);
  });
});

describe('a walk', () => {
  it('that is asked for again by its run goes on, and once it has ended stays ended', async () => {
    const id = await connect();
    await begin(id);
    expect(await begin(id)).toMatchObject({ nextPage: 1, completedAt: null });
    await save(id, 1, [], true);
    const ended = await begin(id);
    expect(ended.completedAt).not.toBeNull();
    expect(ended.watermark).toEqual(ended.walkStartedAt);
  });

  it('that an earlier run left unfinished is taken up where it stands, unless that is a day ago', async () => {
    const id = await connect();
    const now = Date.now();
    await begin(id, 'run-1', new Date(now));
    await save(id, 1, []);
    expect(await begin(id, 'run-2', new Date(now + 3_600_000))).toMatchObject({ walkId: 'run-2', nextPage: 2 });
    expect(await begin(id, 'run-3', new Date(now + 90_000_000))).toMatchObject({
      walkId: 'run-3',
      nextPage: 1,
      pages: 0,
    });
  });

  it('that follows a complete one asks from the start of that one, less an overlap', async () => {
    const id = await connect();
    const start = new Date('2026-11-01T10:00:00Z');
    await begin(id, 'run-1', start);
    await save(id, 1, [], true);
    const next = await begin(id, 'run-2', new Date('2026-11-01T11:00:00Z'));
    expect(next).toMatchObject({ nextPage: 1, pages: 0, completedAt: null, watermark: start });
    expect(next.walkSince).toEqual(new Date('2026-11-01T09:55:00Z'));
  });

  it('sees what was hinted at until it begins; what is hinted at later is for the next one', async () => {
    const id = await connect();
    await begin(id);
    await save(id, 1, [], true);
    await store.webhooks.hint(id, 'invoices', 1);
    await begin(id, 'run-2');
    expect(await store.webhooks.hints(id)).toEqual([]);
    await store.webhooks.hint(id, 'invoices', 1);
    await begin(id, 'run-2');
    expect(await store.webhooks.hints(id)).toHaveLength(1);
  });

  describe('is likely to be small', () => {
    const HOUR_MS = 3_600_000;
    const start = Date.parse('2026-11-01T10:00:00Z');
    const after = (hours: number) => new Date(start + hours * HOUR_MS);
    const small = (connectionId: string, hours: number, resources: Resource[] = ['invoices', 'units']) =>
      store.walks.small({ connectionId, resources, maxPages: 5, now: after(hours), fullEveryMs: 24 * HOUR_MS });
    /** Of so many pages. */
    const walk = async (id: string, resource: 'invoices' | 'units', hours: number, pages: number) => {
      const of = { connectionId: id, resource, walkId: `run at ${hours}` };
      let cursor = await beginWalk(store, { ...of, now: after(hours) });
      while (cursor.completedAt === null) {
        const { pass, phase } = cursor;
        cursor = await savePages(store, { ...of, pass, phase, pages, totalRecords: 0, records: [] });
      }
    };

    it('where it asks for what has changed: once, and then as long as that was little', async () => {
      const id = await connect();
      await walk(id, 'units', 0, 6);
      await walk(id, 'invoices', 0, 100);
      expect(await small(id, 1)).toEqual(['invoices']);
      await walk(id, 'invoices', 1, 6);
      expect(await small(id, 2)).toEqual([]);
      await walk(id, 'invoices', 2, 5);
      expect(await small(id, 3)).toEqual(['invoices']);
      // All of it is due to be read again.
      expect(await small(id, 24)).toEqual([]);
    });

    it('the first time, but for children', async () => {
      const id = await connect();
      expect(await small(id, 0, ['units', 'invoices', 'invoiceLineItems'])).toEqual(['units', 'invoices']);
    });

    it('where everything is asked for, and that was little', async () => {
      const id = await connect();
      await walk(id, 'units', 0, 6);
      expect(await small(id, 1, ['units'])).toEqual([]);
      await walk(id, 'units', 1, 5);
      expect(await small(id, 2, ['units'])).toEqual(['units']);
      await beginWalk(store, { connectionId: id, resource: 'units', walkId: 'unfinished', now: after(2) });
      expect(await small(id, 3, ['units'])).toEqual([]);
    });
  });

  describe('that reads everything does not take for gone what was written while it read', () => {
    const written = (resource: 'invoices' | 'invoiceLineItems', values: readonly unknown[], parentKey?: string) =>
      parseRecords(resource, { records: values }, 0, parentKey);
    const put = async (connectionId: string, invoiceId: string) => {
      await later();
      await store.records.put({ connectionId, resource: 'invoices' }, written('invoices', [{ invoiceId }]));
    };
    const keys = async (connectionId: string) => (await list(connectionId)).map(({ key }) => key);

    it.each([[['a', 'b']], [[]]])('from a list of %j', async (listed) => {
      const id = await connect();
      await begin(id);
      await put(id, 'new');
      const read = listed.map((invoiceId) => ({ invoiceId }));
      expect(await save(id, 1, read, true)).toMatchObject({ verified: true, deleted: 0, phase: 'pages' });
      expect(await keys(id)).toEqual([...listed, 'new']);
    });

    it('nor while somebody was asked whether all that is gone may be deleted', async () => {
      const id = await connect();
      const of = { connectionId: id, resource: 'invoices' } as const;
      await begin(id);
      await save(id, 1, [{ invoiceId: 'a' }, { invoiceId: 'b' }], true);
      await later();
      await beginWalk(store, { ...of, walkId: 'run-2', fullEveryMs: 0 });
      const guarded = await savePages(store, { ...of, walkId: 'run-2', records: [], maximumDeletedShare: 0.2 });
      expect(guarded).toMatchObject({ phase: 'guarded', deleted: 2 });
      await put(id, 'new');
      expect(await store.walks.decideDeletes({ connectionId: id, decision: 'delete', actor: 'test' })).toBe(true);
      expect(await keys(id)).toEqual(['new']);
    });

    it('nor from the children of a parent', async () => {
      const id = await connect();
      const of = { connectionId: id, resource: 'invoiceLineItems' } as const;
      await put(id, 'parent');
      const item = (lineItemId: string) => written('invoiceLineItems', [{ lineItemId }], 'parent');
      await store.records.put(of, item('old'));
      await later();
      await beginWalk(store, of);
      await later();
      await store.records.put(of, item('new'));
      await savePages(store, { ...of, records: item('listed'), parents: ['parent'] });
      const found = await store.records.list({ ...of, limit: 10 });
      expect(found.map(({ key }) => key)).toEqual(['parent/listed', 'parent/new']);
    });
  });

  it('a record that was deleted since it was sent stays so when it is put once more', async () => {
    const id = await connect();
    const of = { connectionId: id, resource: 'invoices' } as const;
    const written = parseRecords('invoices', { records: [{ invoiceId: 'a' }] }, 0);
    const sentAt = new Date(Date.now() - 60_000);
    await store.records.put(of, written, sentAt);
    const deletedAt = new Date(Date.now() + 50);
    expect(await store.webhooks.markDeleted(id, [{ resource: 'invoices', key: 'a', deletedAt }])).toBe(1);
    await store.records.put(of, written, sentAt);
    expect(await list(id)).toEqual([]);
    await waitFor('it is later', () => Date.now() > deletedAt.getTime());
    await store.records.put(of, written);
    expect(await list(id)).toHaveLength(1);
  });

  it('that asks for changes does not believe a page that holds fewer than it counts', async () => {
    const connectionId = await connect();
    await begin(connectionId);
    await save(connectionId, 1, [{ invoiceId: 'a' }], true);
    const { walkSince, watermark } = await begin(connectionId, 'run-2');
    const page = parseRecords('invoices', { records: [{ invoiceId: 'b' }] }, 0);
    const of = { connectionId, resource: 'invoices', walkId: 'run-2', walkSince } as const;
    const cursor = await savePages(store, { ...of, records: page, totalRecords: 2 });
    expect(cursor).toMatchObject({ completedAt: null, watermark, pass: 2 });
  });

  it('begins no later than the clock of the store says, whatever that of the Worker does', async () => {
    const id = await connect();
    const { walkStartedAt } = await begin(id, 'run-1', new Date(Date.now() + 86_400_000));
    expect(walkStartedAt.getTime()).toBeLessThan(Date.now() + 3_600_000);
  });

  it('over what has changed ends with its only page, in one statement as in several', async () => {
    const walked: Cursor[] = [];
    for (const isTold of [true, false]) {
      const connectionId = await connect();
      await begin(connectionId);
      await save(connectionId, 1, [{ invoiceId: 'a' }], true);
      const { walkSince } = await begin(connectionId, 'run-2');
      expect(walkSince).not.toBeNull();
      const page = parseRecords('invoices', { records: [{ invoiceId: 'a', totalAmount: 1 }] }, 0);
      const of = { connectionId, resource: 'invoices', walkId: 'run-2', fingerprint: 'two' } as const;
      walked.push(await savePages(store, { ...of, records: page, ...(isTold ? { walkSince } : {}) }));
      expect(await list(connectionId)).toMatchObject([{ record: { totalAmount: 1 } }]);
      expect(await begin(connectionId, 'run-3')).toMatchObject({ nextPage: 1, pages: 0, completedAt: null });
    }
    const [inOne, inSeveral] = walked;
    expect(inOne).toMatchObject({ verified: true, watermark: inOne?.walkStartedAt, previousFingerprint: 'two' });
    const TIMES = { walkStartedAt: 0, walkSince: 0, completedAt: 0, watermark: 0, passStartedAt: 0, fullAt: 0 };
    expect({ ...inOne, ...TIMES }).toEqual({ ...inSeveral, ...TIMES, connectionId: expect.any(String) });
  });

  describe('over several pages', () => {
    const SOON = new Date(Date.now() + 60_000).toISOString();
    const invoice = (invoiceId: string, updatedDate = '2026-01-01T00:00:00Z') => ({ invoiceId, updatedDate });

    interface Meanwhile {
      readonly changes?: readonly unknown[];
      /** Of what is on the pages. */
      readonly dates?: Readonly<Record<string, string>>;
      readonly meanwhile?: (connectionId: string) => unknown;
    }

    /** A store that holds `before`; then two pages, and what the list of changes says when they are read. */
    async function walk(
      before: readonly string[],
      pages: readonly [readonly string[], readonly string[]],
      { changes = [], dates = {}, meanwhile }: Meanwhile = {},
    ) {
      const connectionId = await connect();
      const of = { connectionId, resource: 'invoices' } as const;
      const parse = (values: readonly unknown[]) => parseRecords('invoices', { records: values }, 0);
      await beginWalk(store, { ...of, walkId: 'before' });
      await savePages(store, { ...of, walkId: 'before', records: parse(before.map((id) => invoice(id))) });
      await beginWalk(store, { ...of, fullEveryMs: 0 });
      const read = { ...of, totalPages: 2, totalRecords: pages.flat().length };
      await savePages(store, { ...read, records: parse(pages[0].map((id) => invoice(id, dates[id]))), last: false });
      const second = { ...read, page: 2, records: parse(pages[1].map((id) => invoice(id, dates[id]))) };
      expect(await savePages(store, second)).toMatchObject({ phase: 'changes', nextPage: 1 });
      await meanwhile?.(connectionId);
      const cursor = await savePages(store, { ...of, phase: 'changes', records: parse(changes) });
      return { cursor, keys: (await list(connectionId)).map(({ key }) => key) };
    }

    const COMPLETE = { verified: true, completedAt: expect.any(Date) };
    const AGAIN = { pass: 2, phase: 'pages', completedAt: null };

    it('is complete when nothing has moved', async () => {
      const { cursor, keys } = await walk(['a'], [['a', 'b'], ['c']]);
      expect(cursor).toMatchObject({ ...COMPLETE, deleted: 0 });
      expect(keys).toEqual(['a', 'b', 'c']);
    });

    it('deletes what was not listed', async () => {
      const { cursor, keys } = await walk(['a', 'stale'], [['a', 'b'], ['c']]);
      expect(cursor).toMatchObject({ ...COMPLETE, deleted: 1 });
      expect(keys).toEqual(['a', 'b', 'c']);
    });

    it('deletes it, too, when as many are held as were listed, since an event has deleted another one', async () => {
      const { cursor, keys } = await walk(['a', 'stale'], [['a', 'b'], ['c']], {
        // An event that was long under way: its time is before the walk.
        meanwhile: (id) =>
          store.webhooks.markDeleted(id, [
            { resource: 'invoices', key: 'a', deletedAt: new Date('2026-02-01T00:00:00Z') },
          ]),
      });
      expect(cursor).toMatchObject({ ...COMPLETE, deleted: 1 });
      expect(keys).toEqual(['b', 'c']);
    });

    it('is read again when a record was listed twice, also when as many are held as were listed', async () => {
      const { cursor } = await walk(['a', 'stale'], [['a', 'b'], ['b']]);
      expect(cursor).toMatchObject(AGAIN);
    });

    it('is read again when what has changed was on no page', async () => {
      const { cursor } = await walk(['a'], [['a', 'b'], ['c']], { changes: [invoice('d')] });
      expect(cursor).toMatchObject(AGAIN);
    });

    it('is read again when what came has covered up for something', async () => {
      const { cursor } = await walk(['a'], [['a', 'b'], ['c']], { changes: [invoice('c', SOON)] });
      expect(cursor).toMatchObject(AGAIN);
    });

    it('is read again when it came without being among the changes', async () => {
      const { cursor } = await walk(['a'], [['a', 'b'], ['c']], { dates: { c: SOON } });
      expect(cursor).toMatchObject(AGAIN);
    });

    it('is complete when only what it knew has changed', async () => {
      const changed = invoice('a', SOON);
      const { cursor } = await walk(['a'], [['a', 'b'], ['c']], { changes: [changed] });
      expect(cursor).toMatchObject({ ...COMPLETE, deleted: 0 });
    });
  });

  it('over a resource without key leaves exactly what it saw', async () => {
    const id = await connect();
    const walk = async (walkId: string, values: readonly unknown[]) => {
      const of = { connectionId: id, resource: 'trialBalance', walkId } as const;
      const { walkSince } = await beginWalk(store, of);
      expect(walkSince).toBeNull();
      const records = parseRecords('trialBalance', { records: values }, 0);
      await savePages(store, { ...of, records });
      const kept = await store.records.list({ connectionId: id, resource: 'trialBalance', limit: 10 });
      return kept.map(({ record }) => record);
    };
    expect(await walk('run-1', [{ a: 1 }, { a: 2 }, { a: 2 }])).toEqual([{ a: 1 }, { a: 2 }, { a: 2 }]);
    expect(await walk('run-2', [{ a: 3 }])).toEqual([{ a: 3 }]);
  });
});

describe('an attempt to walk', () => {
  it('is found when its process is gone, and not before', async () => {
    const here = await openTestStore();
    const sealing = createSealing(TEST_SEALING_KEY);
    await here.store.connections.add({ connectionId: 'acme', targetSystem: 'xero', accountKey: 'key' }, 'test');
    await beginWalk(here.store, { connectionId: 'acme', resource: 'items', taskToken: 'mine' });
    // Embedded, no other process has the database open: whatever is of another one is of one that has ended.
    const other =
      here.databaseUrl === undefined ? { ...here.database, process: 'ended' } : await openPostgres(here.databaseUrl);
    const elsewhere = createStore(other, sealing);
    await beginWalk(elsewhere, { connectionId: 'acme', resource: 'bills', taskToken: 'theirs' });
    await beginWalk(elsewhere, { connectionId: 'acme', resource: 'customers' });
    const done = { connectionId: 'acme', resource: 'creditNotes', taskToken: 'done' } as const;
    await beginWalk(elsewhere, done);
    await savePages(elsewhere, { ...done, records: [] });

    const lost = { connectionId: 'acme', resource: 'bills', taskToken: 'theirs' } as const;
    if (here.databaseUrl !== undefined) {
      const dead = createStore({ ...here.database, process: 'ended' }, sealing);
      await beginWalk(dead, { connectionId: 'acme', resource: 'invoices', taskToken: 'dead' });
      // Postgres may have been started a moment ago.
      const found = await waitFor('it is found', async () => (await here.store.attempts.lost()).at(0));
      expect(found.taskToken).toBe('dead');
      expect(await here.store.attempts.lost()).toHaveLength(1);
      await here.store.attempts.forget(found);
      // Whoever does not see itself, sees nobody.
      expect(await dead.attempts.lost()).toEqual([]);
      await elsewhere.close();
    }
    await waitFor('it is found', async () => (await here.store.attempts.lost()).length > 0);
    expect(await here.store.attempts.lost()).toEqual([lost]);
    await here.store.attempts.forget({ ...lost, taskToken: 'of before' });
    expect(await here.store.attempts.lost()).toEqual([lost]);
    await here.store.attempts.forget(lost);
    expect(await here.store.attempts.lost()).toEqual([]);
    await here.store.close();
  });
});

describe('an account key', () => {
  it('is opened as it was stored, under a version that grows', async () => {
    const id = await connect('first');
    expect(await store.connections.open(id)).toMatchObject({ accountKey: 'first', keyVersion: 1 });
    expect(await store.connections.storeKey(id, 'second', 'test')).toEqual({ keyVersion: 2, status: 'active' });
    expect(await store.connections.open(id)).toMatchObject({ accountKey: 'second', keyVersion: 2 });
  });

  it('is not readable in what is stored, and opens nowhere else', () => {
    const sealing = createSealing(Buffer.alloc(32, 7));
    const sealed = sealing.seal('secret', ['a', 1]);
    expect(sealed).not.toContain('secret');
    expect(sealing.open(sealed, ['a', 1])).toBe('secret');
    expect(() => sealing.open(sealed, ['b', 1])).toThrow('changed outside');
    expect(() => sealing.open(sealed, ['a', 2])).toThrow('changed outside');
    expect(() => sealing.open(`${sealed.slice(0, -2)}AA`, ['a', 1])).toThrow('changed outside');
    expect(() => sealing.open('nonsense', ['a', 1])).toThrow('no known form');
    const other = createSealing(Buffer.alloc(32, 8));
    expect(() => other.open(sealed, ['a', 1])).toThrow('another MAESN_SYNC_SEALING_KEY');
  });
});

describe('reauthorisation', () => {
  const join = (connectionId: string, workflowId: string, refusedVersion: number) =>
    store.reauthorizations.join({ connectionId, workflowId, refusedVersion });

  it('is not begun for a key that the connection has never had: it is of one that was removed', async () => {
    const id = await connect();
    expect(await join(id, 'late', 5)).toMatchObject({ decision: 'proceed' });
    expect(await store.connections.find(id)).toMatchObject({ status: 'active', refusedVersion: 0 });
  });

  it('begins one round however many Workflows meet the 401', async () => {
    const id = await connect();
    const joined = await Promise.all(['a', 'b', 'c'].map((workflow) => join(id, workflow, 1)));
    expect(joined.map((one) => one?.round)).toEqual([1, 1, 1]);
    await store.reauthorizations.announced(id, 1);
    expect(await join(id, 'd', 1)).toEqual({ decision: 'wait', announce: false, round: 1 });
  });

  it('is announced again by the next to join when the first died before the Signal', async () => {
    const id = await connect();
    expect(await join(id, 'a', 1)).toMatchObject({ announce: true });
    expect(await join(id, 'a', 1)).toMatchObject({ announce: true, round: 1 });
  });

  it('is nothing to wait for when a newer key is there', async () => {
    const id = await connect();
    await store.connections.storeKey(id, 'second', 'test');
    expect(await join(id, 'a', 1)).toMatchObject({ decision: 'proceed' });
  });

  it('stays open when a key is stored: only its probe ends it', async () => {
    const id = await connect();
    await join(id, 'a', 1);
    expect(await store.connections.storeKey(id, 'second', 'test')).toEqual({
      keyVersion: 2,
      status: 'awaiting_reauthorization',
    });
    expect(await join(id, 'b', 1)).toMatchObject({ decision: 'wait', round: 1 });
  });

  it('releases who waits, and a repeat changes nothing of the round after it', async () => {
    const id = await connect();
    await join(id, 'a', 1);
    await store.connections.storeKey(id, 'second', 'test');
    const settle = () => store.reauthorizations.settle({ connectionId: id, round: 1, outcome: 'reauthorized' });
    expect(await settle()).toEqual(['a']);
    expect((await store.connections.find(id))?.status).toBe('active');
    // Released, tried, refused again: the next round, before the release of the first is done.
    expect(await join(id, 'a', 2)).toMatchObject({ round: 2 });
    await store.reauthorizations.leave(id, 'a', 1);
    expect(await settle()).toEqual([]);
    expect((await store.connections.find(id))?.status).toBe('awaiting_reauthorization');
    expect(await store.reauthorizations.settle({ connectionId: id, round: 2, outcome: 'expired' })).toEqual(['a']);
  });

  it('that expired begins anew with the next 401, and ends with the next key', async () => {
    const id = await connect();
    await join(id, 'a', 1);
    await store.reauthorizations.settle({ connectionId: id, round: 1, outcome: 'expired' });
    expect((await store.connections.find(id))?.status).toBe('reauthorization_expired');
    expect(await store.connections.storeKey(id, 'second', 'test')).toMatchObject({ status: 'active' });
    expect(await join(id, 'b', 2)).toMatchObject({ decision: 'wait', round: 2 });
  });

  it('that expired with a key that nobody has probed begins anew, and is not taken for over', async () => {
    const id = await connect();
    await join(id, 'a', 1);
    await store.connections.storeKey(id, 'second', 'test');
    await store.reauthorizations.settle({ connectionId: id, round: 1, outcome: 'expired' });
    expect(await store.connections.find(id)).toMatchObject({ status: 'reauthorization_expired', keyVersion: 2 });
    expect(await join(id, 'b', 1)).toEqual({ decision: 'wait', announce: true, round: 2 });
  });
});

describe('a connection', () => {
  it('is not added twice', async () => {
    const id = await connect('first');
    expect(await store.connections.add({ connectionId: id, targetSystem: 'xero', accountKey: 'other' }, 'test')).toBe(
      false,
    );
    expect(await store.connections.open(id)).toMatchObject({ accountKey: 'first' });
  });

  it('is opened for a walk with its holds, and with those of no other', async () => {
    const [id, other] = [await connect('mine'), await connect('other')];
    const place = (connectionId: string, kind: 'paused' | 'delete_guard') =>
      store.holds.place({ connectionId, kind, placedBy: 'somebody', reason: kind });
    await place(other, 'paused');
    expect(await store.connections.openForWalk(id)).toMatchObject({ opened: { accountKey: 'mine' }, holds: [] });
    await place(id, 'delete_guard');
    await later();
    await place(id, 'paused');
    const opened = await store.connections.openForWalk(id);
    expect(opened?.opened).toEqual(await store.connections.open(id));
    expect(opened?.holds).toEqual(await store.holds.list(id));
    expect(opened?.holds.map(({ reason }) => reason)).toEqual(['delete_guard', 'paused']);
    expect(await store.connections.openForWalk('nobody')).toBeUndefined();
  });

  it('takes everything of its own with it', async () => {
    const id = await connect();
    await begin(id);
    await save(id, 1, [{ invoiceId: 'a' }]);
    expect(await store.connections.remove(id, 'test')).toBe(true);
    expect(await store.connections.remove(id, 'test')).toBe(false);
    expect(await list(id)).toEqual([]);
    expect(await store.walks.list(id)).toEqual([]);
  });
});

it('a notice of one occasion is told once', async () => {
  const id = await connect();
  const notice = { connectionId: id, type: 'connection.reauthorized', occasion: 'round 1' } as const;
  await store.events.add(notice);
  await store.events.add(notice);
  await store.events.add({ ...notice, occasion: 'round 2' });
  const told = await store.events.list({ afterId: 0, limit: 1_000 });
  expect(told.filter(({ connectionId }) => connectionId === id)).toHaveLength(2);
});

it('an occasion is entered in the journal once, and once more of a connection that was added anew', async () => {
  const connectionId = await connect();
  const entry = { connectionId, actor: 'test', action: 'reauthorization.required', occasion: 'round 1' } as const;
  await store.journal.add(entry);
  await store.journal.add(entry);
  await store.connections.remove(connectionId, 'test');
  await store.connections.add({ connectionId, targetSystem: 'xero', accountKey: 'key' }, 'test');
  await store.journal.add(entry);
  await store.journal.add(entry);
  const entered = await store.journal.list({ connectionId, limit: 1_000 });
  expect(entered.filter(({ action }) => action === entry.action)).toHaveLength(2);
});

it('a notice of a connection that is gone is refused, and one of no connection is taken', async () => {
  const id = await connect();
  await store.connections.remove(id, 'test');
  const notice = { type: 'sync.started', occasion: id } as const;
  const refused = await store.events.add({ ...notice, connectionId: id }).catch((error: unknown) => error);
  expect(databaseCode(refused)).toBe('23503');
  await store.events.add({ ...notice, connectionId: null });
  expect(await store.events.nextUndelivered(null)).toMatchObject({ type: 'sync.started' });
});

// With PGlite there is one writer at a time anyway; with Postgres (TEST_DATABASE_URL) this fails without the lock.
it('whoever reads events on from the last one it saw misses none, however many write at once', async () => {
  const ids = await Promise.all(Array.from({ length: 6 }, () => connect()));
  let writing = true;
  const written = Promise.all(
    ids.map(async (connectionId) => {
      for (let event = 0; event < 60; event += 1) {
        await store.events.add({ connectionId, type: 'sync.started', occasion: String(event) });
      }
    }),
  ).finally(() => (writing = false));
  const seen: string[] = [];
  let afterId = 0;
  for (let more = true; more;) {
    const last = !writing;
    const events = await store.events.list({ afterId, limit: 50 });
    seen.push(...events.map(({ connectionId }) => connectionId ?? ''));
    afterId = events.at(-1)?.id ?? afterId;
    more = !last || events.length > 0;
  }
  await written;
  expect(seen.filter((id) => ids.includes(id))).toHaveLength(6 * 60);
});

describe('two writes of one subject', () => {
  /** The later one is there first, as when the earlier one is part of a batch that commits late. */
  async function addTwo(): Promise<readonly [WriteOf, WriteOf]> {
    const connectionId = await connect();
    const [first, second] = [
      { connectionId, idempotencyKey: 'first' },
      { connectionId, idempotencyKey: 'second' },
    ];
    for (const of of [first, second]) {
      const parameters = { customerId: 'c-1' };
      await store.writes.add({ ...of, operation: 'updateCustomer', parameters, body: { name: 'n' } }, 'test');
    }
    await setState(first, 'ended');
    return [first, second];
  }

  const setState = ({ connectionId, idempotencyKey }: WriteOf, state: WriteState) =>
    query(
      `update maesn_sync.writes set state = '${state}'
       where connection_id = '${connectionId}' and idempotency_key = '${idempotencyKey}'`,
    );

  const claim = async (of: WriteOf) => (await store.writes.claim(of))?.decision;

  it.each(['sending', 'unknown', 'task', 'undecided'] as const)(
    'are not sent at once where the later one is %s, and the earlier one is next',
    async (state) => {
      const [first, second] = await addTwo();
      expect(await claim(second)).toBe('send');
      await setState(second, state);
      await setState(first, 'waiting');
      expect(await claim(first)).toBe('behind');
      expect(await store.writes.nextOf(first)).toBeUndefined();
      await store.writes.end({ ...second, outcome: 'applied' });
      expect(await store.writes.nextOf(second)).toMatchObject(first);
      expect(await claim(first)).toBe('send');
    },
  );

  it('do not wait for each other: the one that was sent already is sent again', async () => {
    const [first, second] = await addTwo();
    expect(await claim(second)).toBe('send');
    await setState(first, 'waiting');
    await store.writes.release(second, { refused: true });
    expect(await claim(first)).toBe('behind');
    expect(await store.writes.nextOf(first)).toMatchObject(second);
    expect(await claim(second)).toBe('send');
  });

  // PGlite has one transaction at a time.
  // oxlint-disable-next-line vitest/no-conditional-tests
  if ((process.env['TEST_DATABASE_URL'] ?? '') !== '') {
    it('are claimed one after the other', async () => {
      const [first, second] = await addTwo();
      // The later one has looked for others, and is not marked as sent yet.
      const holder = await openClient();
      await holder.query('select pg_advisory_lock(1)');
      await query(`create function hold() returns trigger language plpgsql
        as 'begin perform pg_advisory_xact_lock(1); return new; end'`);
      await query(`create trigger hold before update on maesn_sync.writes
        for each row when (new.idempotency_key = 'second') execute function hold()`);
      const sent = claim(second);
      await waitFor('it is held', async () => (await waiting(holder)) === 1);
      await setState(first, 'waiting');
      let decided = false;
      const other = claim(first).finally(() => (decided = true));
      await waitFor('the earlier one waits, or does not', async () => decided || (await waiting(holder)) === 2);
      await holder.query('select pg_advisory_unlock(1)');
      expect([await sent, await other]).toEqual(['send', 'behind']);
      await query('drop function hold cascade');
    });
  }
});

/** One more session on the server. */
async function openClient(): Promise<Client> {
  const client = new Client({ connectionString: databaseUrl });
  await client.connect();
  onTestFinished(() => client.end());
  return client;
}

/** How many sessions wait for a lock. */
async function waiting(client: Client): Promise<number | null> {
  const { rowCount } = await client.query(
    `select from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'`,
  );
  return rowCount;
}

// What only a Postgres server can do to a process; PGlite is within it.
// oxlint-disable-next-line vitest/no-conditional-tests
if ((process.env['TEST_DATABASE_URL'] ?? '') !== '') {
  describe('a Postgres server', () => {
    const openAnother = async () => {
      const opened = await openTestStore();
      onTestFinished(() => opened.database.close());
      return { url: opened.databaseUrl ?? '', database: opened.database, ask: opened.query };
    };

    it('that ends connections, also in the middle of a transaction, does not end the process', async () => {
      const { url, database, ask } = await openAnother();
      const other = await openPostgres(url);
      onTestFinished(() => other.close());
      const end = () =>
        ask(`select pg_terminate_backend(pid) from pg_stat_activity
        where pid <> pg_backend_pid() and datname = current_database()`);
      const cut = other.db.transaction(async (tx) => {
        await tx.execute('select 1');
        await end();
        await waitFor('the connection is cut', () =>
          tx.execute('select 1').then(
            () => false,
            () => true,
          ),
        );
      });
      await expect(cut).rejects.toThrow('Failed query');
      const running = other.db.execute('select pg_sleep(60)').then(
        () => undefined,
        (error: unknown) => error,
      );
      await waitFor(
        'it runs',
        async () => (await ask("select 1 from pg_stat_activity where query like 'select pg_sleep%'")).length > 0,
      );
      await end();
      expect(await running).toBeInstanceOf(Error);
      await expect(createStore(other, createSealing(TEST_SEALING_KEY)).ping()).resolves.toBeUndefined();
      await expect(createStore(database, createSealing(TEST_SEALING_KEY)).ping()).resolves.toBeUndefined();
    });

    it('takes its locks away from a process that stands still within a transaction', async () => {
      const { ask } = await openAnother();
      expect(await ask('show idle_in_transaction_session_timeout')).toEqual([
        { idle_in_transaction_session_timeout: '30s' },
      ]);
    });

    it('removes a connection while it is walked, and neither waits for the other', async () => {
      const other = createStore((await openAnother()).database, createSealing(TEST_SEALING_KEY));
      for (let round = 0; round < 10; round += 1) {
        const connectionId = `walked-${round}`;
        await other.connections.add({ connectionId, targetSystem: 'xero', accountKey: 'key' }, 'test');
        const of = { connectionId, resource: 'invoices' } as const;
        await beginWalk(other, of);
        let pages = 0;
        const walking = (async () => {
          for (;;) {
            const values = Array.from({ length: 400 }, (_, index) => ({
              invoiceId: `${pages}-${index}`,
              text: 'x'.repeat(500),
            }));
            const records = parseRecords('invoices', { records: values }, 0);
            pages += 1;
            await savePages(other, { ...of, page: pages, records, last: false });
          }
        })();
        const ended = walking.then(() => 'never', String);
        await waitFor('it walks', () => pages > 2);
        expect(await other.connections.remove(connectionId, 'test')).toBe(true);
        expect(await ended).toContain('the cursor is gone');
      }
    });
  });

  it('a notice that waits for the row of its connection holds up those of no other', async () => {
    const [held, other] = [await connect(), await connect()];
    const holder = await openClient();
    await holder.query('begin');
    await holder.query('select from maesn_sync.connections where id = $1 for update', [held]);
    const notice = { type: 'sync.started', occasion: '1' } as const;
    const added = store.events.add({ ...notice, connectionId: held });
    await waitFor('it waits', async () => (await waiting(holder)) === 1);
    await store.events.add({ ...notice, connectionId: other });
    await holder.query('rollback');
    await added;
    expect(await store.events.countUndelivered(held)).toBe(1);
  });
}
