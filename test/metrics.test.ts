import { readFileSync } from 'node:fs';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { METRIC_NAMES, metricRow } from '../src/spec/metrics.js';
import { startTestBackend } from './support/backend.js';
import type { TestBackend } from './support/backend.js';
import { startHarness } from './support/harness.js';
import type { Harness } from './support/harness.js';
import { freeAddress, parseSamples, scrape, valueOf } from './support/metrics.js';
import type { Sample } from './support/metrics.js';
import { waitFor } from './support/wait.js';

let harness: Harness;
let backend: TestBackend;
let ofWorker: Sample[];
let ofBackend: Sample[];
let connectionIds: string[];

beforeAll(async () => {
  const metricsAddress = await freeAddress();
  harness = await startHarness({ metricsAddress, overrides: { MAESN_RETRY_TIME_SCALE: '1000' } });
  backend = await startTestBackend(harness, { MAESN_SYNC_METRICS_ADDRESS: '127.0.0.1:0' });
  const { sync, store, query } = harness;

  const synced = await harness.connect({ records: { items: 250, bills: 5 }, targetSystem: 'xero' });
  synced.account.fault({ resource: 'items', page: 2, answer: { status: 429 } });
  synced.account.fault({ resource: 'bills', request: 1, answer: { status: 400 } });
  await sync.startSync(synced.connectionId, { resources: ['items', 'bills'] });
  await waitFor('it has ended', async () => (await sync.syncStatus(synced.connectionId)).state === 'Failed');

  const waiting = await harness.connect({ records: { items: 5 }, targetSystem: 'sevdesk' });
  waiting.account.fault({ resource: 'items', request: 1, answer: 'revoke' });
  await sync.startSync(waiting.connectionId, { resources: ['items'] });
  await waitFor(
    'it waits for its end user',
    async () => (await sync.connection(waiting.connectionId)).status === 'awaiting_reauthorization',
  );
  await query(`update maesn_sync.connections set awaiting_since = now() - interval '2 days' where status = 'awaiting_reauthorization'`);

  const held = await harness.connect({ records: { items: 5 } });
  await store.holds.place({ connectionId: held.connectionId, kind: 'paused', placedBy: 'test', reason: 'to be counted' });
  await query(`insert into maesn_sync.writes (connection_id, idempotency_key, operation, parameters, subject, hash, state, actor, changed_at)
    values ('${held.connectionId}', 'w-1', 'createInvoice', '{}', 's', 'h', 'undecided', 'test', now() - interval '1 hour')`);
  await query(`insert into maesn_sync.incidents (kind, target_system, connections) values ('api_key_refused', null, 3)`);
  await query(`update maesn_sync.cursors set watermark = now() - interval '3 hours' where resource = 'items' and watermark is not null`);

  connectionIds = [synced, waiting, held].map(({ connectionId }) => connectionId);
  ofWorker = await scrape(`http://${metricsAddress}/metrics`);
  ofBackend = await scrape(backend.metricsUrl ?? '');
});
afterAll(async () => {
  await backend.close();
  await harness.close();
});

it('dumps', async () => {
  const { writeFileSync } = await import('node:fs');
  writeFileSync('/tmp/obs-worker.json', JSON.stringify(ofWorker, null, 1));
  writeFileSync('/tmp/obs-backend.json', JSON.stringify(ofBackend, null, 1));
});

describe('the Worker counts', () => {
  it.each([
    ['pages that were stored', 'maesn_sync_pages_total', { resource: 'items' }, 4],
    ['records on these pages', 'maesn_sync_records_total', { resource: 'items' }, 250],
    ['answers by class', 'maesn_sync_requests_total', { method: 'GET', status_class: '4xx' }, 2],
    ['failures by row of the error guide', 'maesn_sync_failures_total', { type: 'TooManyRequests' }, 1],
    ['attempts that are made again', 'maesn_sync_retries_total', { type: 'TooManyRequests' }, 1],
  ])('%s', (_what, name, labels, value) => {
    expect(valueOf(ofWorker, name, { target_system: 'xero', ...labels })).toBe(value);
  });

  it('no failure that is final as one that is made again', () => {
    expect(valueOf(ofWorker, 'maesn_sync_failures_total', { type: 'BadRequest' })).toBe(1);
    expect(valueOf(ofWorker, 'maesn_sync_retries_total', { type: 'BadRequest' })).toBeUndefined();
  });
});
