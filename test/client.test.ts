import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { MaesnSyncError, createMaesnSync } from '../src/client.js';
import type { MaesnSync } from '../src/client.js';
import { summarize } from '../src/client/summary.js';
import { NOTHING_YET } from '../src/spec/resource-report.js';
import { startHarness } from './support/harness.js';
import type { Harness } from './support/harness.js';

let harness: Harness;
let sync: MaesnSync;
beforeAll(async () => {
  harness = await startHarness();
  ({ sync } = harness);
  await sync.addConnection({ connectionId: 'known', targetSystem: 'xero', accountKey: 'k' });
});
afterAll(() => harness.close());

/** What a caller in JavaScript may pass, whatever the types say. */
// oxlint-disable-next-line typescript/no-unsafe-type-assertion
const wrong = (value: unknown) => value as never;

const at = (day: string) => new Date(`${day}T00:00:00Z`);

describe('wrong input', () => {
  it.each([
    ['a connection without anything', () => sync.addConnection(wrong({})), ['connectionId', 'targetSystem']],
    ['an id that could not be part of a Workflow id', () => sync.connection('a/b'), ['input']],
    [
      'a system that is none',
      () => sync.addConnection(wrong({ connectionId: 'a', targetSystem: 'X Y', accountKey: 'k' })),
      ['targetSystem'],
    ],
    [
      'a field that does not exist',
      () => sync.addConnection(wrong({ connectionId: 'a', targetSystem: 'x', accountKey: 'k', key: 1 })),
      ['input'],
    ],
    [
      'a date that is none',
      () =>
        sync.addConnection({
          connectionId: 'a',
          targetSystem: 'x',
          accountKey: 'k',
          fiscalYearStartDate: '2026-13-01',
        }),
      ['fiscalYearStartDate'],
    ],
    [
      'a date of the year 0',
      () => sync.addConnection({ connectionId: 'a', targetSystem: 'x', fiscalYearStartDate: '0000-01-01' }),
      ['fiscalYearStartDate'],
    ],
    [
      'a moment of the year 0',
      () => sync.records('known', 'items', { modifiedSince: at('0000-12-31') }),
      ['modifiedSince'],
    ],
    [
      'a moment of the year 10000',
      () => sync.records('known', 'items', { modifiedSince: at('+010000-01-01') }),
      ['modifiedSince'],
    ],
    [
      'a resource that does not exist',
      () => sync.startSync('known', wrong({ resources: ['invoices', 'cats'] })),
      ['resources.1'],
    ],
    ['no resources', () => sync.startSync('known', { resources: [] }), ['resources']],
    ['an interval that is none', () => sync.startSync('known', { every: 'now and then' }), ['every']],
    ['an interval of nothing', () => sync.startSync('known', { every: 0 }), ['every']],
    ['a pause without reason', () => sync.pauseSync('known', wrong({})), ['reason']],
    ['an empty key', () => sync.reauthorized('known', ''), ['input']],
    ['a page of events without end', () => sync.events({ limit: 1e9 }), ['limit']],
  ])('%s is refused and named, and nothing is done', async (_name, call, fields) => {
    const error: unknown = await call().catch((thrown: unknown) => thrown);
    expect(error).toBeInstanceOf(MaesnSyncError);
    expect(error).toMatchObject({ code: 'InvalidInput', issues: fields.map((field) => ({ field })) });
    expect(await sync.connections()).toHaveLength(1);
    expect((await sync.connection('known')).keyVersion).toBe(1);
  });
});

it.each(['0001-01-01', '9999-12-31'])('records are read since %s', async (day) => {
  expect(await sync.records('known', 'items', { modifiedSince: at(day) })).toEqual([]);
});

it('no call throws, whatever it is given: each answers with a promise', async () => {
  const nonsense = [undefined, null, 7, '', '-x', {}, [], Symbol('x')];
  for (const [name, call] of Object.entries<(...given: never[]) => unknown>({ ...sync })) {
    if (name === 'as') continue;
    for (const given of nonsense) {
      const answer: unknown = call(wrong(given), wrong(given), wrong(given));
      expect(answer, name).toBeInstanceOf(Promise);
      await Promise.allSettled([answer]);
    }
  }
});

describe('a connection', () => {
  it('that does not exist is named, whatever is asked of it', async () => {
    const calls = [
      sync.connection('none'),
      sync.startSync('none'),
      sync.syncStatus('none'),
      sync.pauseSync('none', { reason: 'x' }),
      sync.resumeSync('none'),
      sync.cancelSync('none'),
      sync.syncNow('none'),
      sync.reauthorized('none', 'k'),
      sync.removeConnection('none'),
    ];
    for (const call of await Promise.allSettled(calls)) {
      expect(call).toMatchObject({ status: 'rejected', reason: { code: 'ConnectionNotFound' } });
    }
  });

  it('is not added over another', async () => {
    const again = sync.addConnection({ connectionId: 'known', targetSystem: 'xero', accountKey: 'other' });
    await expect(again).rejects.toMatchObject({ code: 'ConnectionExists' });
  });

  it('never shows its key', async () => {
    expect(JSON.stringify(await sync.connections())).not.toMatch(/accountKey/);
  });

  it('that was never synced says so, and has nothing to resume, retry or cancel', async () => {
    expect(await sync.syncStatus('known')).toMatchObject({ state: 'NotStarted', resources: {} });
    await expect(sync.resumeSync('known')).rejects.toMatchObject({ code: 'Refused' });
    await expect(sync.retryNow('known')).rejects.toMatchObject({ code: 'Refused' });
    await expect(sync.cancelSync('known')).rejects.toMatchObject({ code: 'SyncNotRunning' });
  });
});

it.each([
  [3, 'page 1 of 3'],
  [0, 'page 1'],
])('the summary of a list that says it has %i pages says %s', async (totalPages, words) => {
  const status = await sync.syncStatus('known');
  const items = { ...NOTHING_YET, status: 'syncing', pages: 1, totalPages } as const;
  const syncing = { ...status, state: 'Syncing', resource: 'items', resources: { items } } as const;
  expect(summarize(syncing)).toBe(`Syncing items, ${words}.`);
});

it('a sync for which no Worker is there is told as such', async () => {
  const nobody = createMaesnSync({
    temporal: harness.temporal,
    store: harness.store,
    taskQueue: 'nobody-is-here',
    reauthorization: { remindEveryMs: 1, expireAfterMs: 1 },
  });
  await nobody.addConnection({ connectionId: 'waiting', targetSystem: 'xero', accountKey: 'k' });
  await nobody.startSync('waiting', { resources: ['items'] });
  expect(await nobody.syncStatus('waiting')).toMatchObject({ state: 'Unknown', resources: {} });
  await nobody.removeConnection('waiting');
});
