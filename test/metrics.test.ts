import { readFileSync } from 'node:fs';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { serveMetrics } from '../src/backend/metrics.js';
import { METRIC_NAMES, metricRow } from '../src/spec/metrics.js';
import { startTestBackend } from './support/backend.js';
import type { TestBackend } from './support/backend.js';
import { startHarness } from './support/harness.js';
import type { Harness } from './support/harness.js';
import { freeAddress, parseSamples, scrape, valueOf } from './support/metrics.js';
import type { Sample } from './support/metrics.js';
import { openTestStore } from './support/store.js';
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
  await query(
    `update maesn_sync.connections set awaiting_since = now() - interval '2 days' where status = 'awaiting_reauthorization'`,
  );

  const held = await harness.connect({ records: { items: 5 } });
  await store.holds.place({
    connectionId: held.connectionId,
    kind: 'paused',
    placedBy: 'test',
    reason: 'to be counted',
  });
  await query(`insert into maesn_sync.writes (connection_id, idempotency_key, operation, parameters, subject, hash, state, actor, changed_at)
    values ('${held.connectionId}', 'w-1', 'createInvoice', '{}', 's', 'h', 'undecided', 'test', now() - interval '1 hour')`);
  await query(
    `insert into maesn_sync.incidents (kind, target_system, connections) values ('api_key_refused', null, 3)`,
  );
  await query(
    `update maesn_sync.cursors set watermark = now() - interval '3 hours' where resource = 'items' and watermark is not null`,
  );

  // What a Worker that does not know a Workflow does with it: its Workflow Tasks fail.
  const unknown = await harness.temporal.workflow.start('nobodyKnows', {
    taskQueue: harness.taskQueue,
    workflowId: `unknown/${harness.taskQueue}`,
  });
  const seen = () => scrape(`http://${metricsAddress}/metrics`);
  await waitFor(
    'the Worker counts the failed Workflow Task',
    async () => valueOf(await seen(), 'temporal_workflow_task_execution_failed_total') !== undefined,
  );
  await unknown.terminate();

  connectionIds = [synced, waiting, held].map(({ connectionId }) => connectionId);
  ofWorker = await seen();
  ofBackend = await scrape(backend.metricsUrl ?? '');
});
afterAll(async () => {
  await backend.close();
  await harness.close();
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

describe('the backend tells', () => {
  it.each([
    ['connections by status', 'maesn_sync_connections', { status: 'awaiting_reauthorization' }, 1],
    ['that there is none', 'maesn_sync_connections', { target_system: 'xero', status: 'not_connected' }, 0],
    ['writes that a person must decide', 'maesn_sync_writes', { state: 'undecided' }, 1],
    ['holds by kind', 'maesn_sync_holds', { kind: 'paused' }, 1],
    ['no hold of another kind', 'maesn_sync_holds', { kind: 'delete_guard' }, 0],
    ['incidents of all target systems', 'maesn_sync_incidents_open', { target_system: 'all' }, 1],
  ])('%s', (_what, name, labels, value) => {
    expect(valueOf(ofBackend, name, labels)).toBe(value);
  });

  it.each([
    ['how long an end user is waited for', 'maesn_sync_reauthorization_oldest_seconds', {}, 2 * 86_400],
    ['how long a write is undecided', 'maesn_sync_writes_oldest_seconds', { state: 'undecided' }, 3_600],
    ['how stale a resource is', 'maesn_sync_staleness_seconds', { resource: 'items', quantile: '0.95' }, 3 * 3_600],
  ])('%s', (_what, name, labels, seconds) => {
    const value = valueOf(ofBackend, name, labels) ?? 0;
    expect(value).toBeGreaterThanOrEqual(seconds);
    expect(value).toBeLessThan(seconds + 300);
  });

  it('nothing of a resource that was never read to its end', () => {
    expect(valueOf(ofBackend, 'maesn_sync_staleness_seconds', { resource: 'bills' })).toBeUndefined();
  });

  it('nothing on its own port, where tokens are asked for', async () => {
    expect((await fetch(`${backend.url}/metrics`)).status).toBe(401);
    expect((await backend.ask('GET', '/metrics')).status).toBe(404);
  });

  it('nothing but metrics', async () => {
    expect((await fetch((backend.metricsUrl ?? '').replace('/metrics', '/connections'))).status).toBe(404);
  });
});

describe('metrics', () => {
  it.each(METRIC_NAMES)('%s is where the table says, with its labels', (name) => {
    const { at, labels } = metricRow(name);
    const sample = (at === 'worker' ? ofWorker : ofBackend).find((of) => of.name === name);
    expect(sample).toBeDefined();
    expect(Object.keys(sample?.labels ?? {})).toEqual(expect.arrayContaining([...labels]));
  });

  it('of our own that are told are in the table', () => {
    const told = [...ofWorker, ...ofBackend].map(({ name }) => name).filter((name) => name.startsWith('maesn_sync_'));
    expect(new Set(told)).toEqual(new Set<string>(METRIC_NAMES));
  });

  it('do not name a connection', () => {
    const values = [...ofWorker, ...ofBackend].flatMap(({ labels }) => Object.values(labels));
    expect(values).toContain('xero');
    for (const connectionId of connectionIds)
      expect(values.filter((value) => value.includes(connectionId))).toEqual([]);
  });

  it.each(['deploy/grafana/maesn-sync.json', 'deploy/prometheus/alerts.yml'])('that %s names are told', (file) => {
    const named = namesIn(readFileSync(path.resolve(import.meta.dirname, '..', file), 'utf8'));
    expect(named.length).toBeGreaterThan(5);
    expect(named.filter((name) => !isTold(name))).toEqual([]);
  });

  it('that are not told would be found in these files', () => {
    expect(
      namesIn('sum(rate(maesn_sync_nothing_total[5m])) / temporal_nothing').filter((name) => !isTold(name)),
    ).toEqual(['maesn_sync_nothing_total', 'temporal_nothing']);
  });

  it('are read from the text format with its labels', () => {
    expect(parseSamples('# HELP a b\na_total{x="1",y="a\\"}b"} 3\nb 0.5\n')).toEqual([
      { name: 'a_total', labels: { x: '1', y: 'a\\"}b' }, value: 3 },
      { name: 'b', labels: {}, value: 0.5 },
    ]);
  });
});

it('a store that does not answer is not taken for one without connections', async () => {
  const { store } = await openTestStore();
  const errors: unknown[] = [];
  const server = await serveMetrics('127.0.0.1:0', { store, onError: (error) => errors.push(error) });
  try {
    await store.close();
    expect((await fetch(server?.url ?? '')).status).toBe(503);
    expect(errors).toHaveLength(1);
  } finally {
    await server?.close();
  }
});

/** Names of metrics in queries. */
function namesIn(text: string): string[] {
  return [...new Set(text.match(/\b(?:maesn_sync|temporal)_[a-z_]+\b/g))];
}

function isTold(name: string): boolean {
  return [...ofWorker, ...ofBackend].some((sample) => sample.name === name);
}
