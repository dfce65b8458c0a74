import { readFileSync, readdirSync } from 'node:fs';
import path from 'node:path';
import { Worker } from '@temporalio/worker';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { startTracing, tracesUrl } from '../src/tracing/index.js';
import { WORKFLOW_INTERCEPTORS } from '../src/tracing/opentelemetry.js';
import { bundleWorkflows } from '../src/workflow-bundle.js';
import { startHarness } from './support/harness.js';
import { startCollector } from './support/otlp.js';
import type { Collector, Span } from './support/otlp.js';
import { waitFor } from './support/wait.js';

const SRC = path.resolve(import.meta.dirname, '../src');
const HISTORIES = path.join(import.meta.dirname, 'histories');

let collector: Collector;
let secrets: string[];
let connectionId: string;

beforeAll(async () => {
  collector = await startCollector();
  const tracing = await startTracing({ OTEL_EXPORTER_OTLP_ENDPOINT: collector.url });
  const harness = await startHarness({ tracing, overrides: { MAESN_RETRY_TIME_SCALE: '1000' } });
  const connected = await harness.connect({ records: { items: 5, bills: 5, invoices: 2 }, targetSystem: 'xero' });
  ({ connectionId } = connected);
  connected.account.fault({ resource: 'bills', request: 1, answer: { status: 400 } });
  await harness.sync.startSync(connectionId, { resources: ['items', 'bills', 'invoices', 'invoiceLineItems'] });
  await waitFor('it has ended', async () => (await harness.sync.syncStatus(connectionId)).state === 'Failed');
  secrets = [harness.sandbox.apiKey, connected.account.accountKey];
  await harness.close();
  await tracing?.close();
});
afterAll(() => collector.close());

function named(name: string): Span {
  const span = collector.spans.find((of) => of.name === name);
  if (span === undefined) throw new Error(`no span ${name} among ${collector.spans.map((of) => of.name).join(', ')}`);
  return span;
}

/** From a span to the root of its trace. */
function ancestry(span: Span): string[] {
  const parent = collector.spans.find(({ spanId }) => spanId === span.parentSpanId);
  return [span.name, ...(parent === undefined ? [] : ancestry(parent))];
}

describe('a trace', () => {
  it.each([
    ['beginCycle', 'GET /accounting/items'],
    ['pullResource', 'GET /accounting/invoices/{parent}/lineItems'],
  ])('leads from the start by the client through Workflow and %s to the request', (activity, name) => {
    const request = named(name);
    expect(ancestry(request)).toEqual([
      name,
      `RunActivity:${activity}`,
      `StartActivity:${activity}`,
      'RunWorkflow:syncConnection',
      'StartWorkflow:syncConnection',
    ]);
    expect(request.traceId).toBe(named('StartWorkflow:syncConnection').traceId);
  });

  it('says of a request where it went and what was answered', () => {
    expect(named('GET /accounting/items').attributes).toEqual({
      'http.request.method': 'GET',
      'url.template': '/accounting/items',
      'maesn.target_system': 'xero',
      'maesn.status_class': '2xx',
    });
    expect(named('GET /accounting/bills').attributes).toMatchObject({
      'error.type': 'BadRequest',
      'http.response.status_code': 400,
    });
  });

  it('holds no key', () => {
    // What is there is found: the id of the connection is in the ids of its Workflows.
    expect(collector.text()).toContain(connectionId);
    for (const secret of secrets) expect(collector.text()).not.toContain(secret);
  });
});

describe('traced Workflows', () => {
  it('replay the recorded histories of those that were not', async () => {
    const code = await bundleWorkflows({
      workflowsPath: path.join(SRC, 'workflows/index.ts'),
      workflowInterceptorModules: [WORKFLOW_INTERCEPTORS],
    });
    const tracing = await startTracing({ OTEL_EXPORTER_OTLP_ENDPOINT: collector.url });
    const sinks = tracing?.worker.sinks ?? {};
    for (const file of readdirSync(HISTORIES)) {
      const history: unknown = JSON.parse(readFileSync(path.join(HISTORIES, file), 'utf8'));
      await expect(
        Worker.runReplayHistory({ workflowBundle: { code }, sinks }, history),
        file,
      ).resolves.toBeUndefined();
    }
    await tracing?.close();
  });
});

describe('without an endpoint', () => {
  it.each([{}, { OTEL_EXPORTER_OTLP_ENDPOINT: '' }])('nothing is traced: %j', async (env) => {
    await expect(startTracing(env)).resolves.toBeUndefined();
  });

  it('nothing of OpenTelemetry is loaded: only one module imports it, and that one is imported when it is needed', () => {
    const files = readdirSync(SRC, { recursive: true, encoding: 'utf8' }).filter((file) => file.endsWith('.ts'));
    const importing = (pattern: RegExp) =>
      files.filter((file) => pattern.test(readFileSync(path.join(SRC, file), 'utf8')));
    expect(importing(/from '@(?:opentelemetry|temporalio\/interceptors)/).toSorted()).toEqual([
      'tracing/context.ts',
      'tracing/opentelemetry.ts',
    ]);
    expect(
      importing(/from '[^']*\/(?:opentelemetry|context)\.js'/).filter((file) => !/^(?:client|tracing)/.test(file)),
    ).toEqual([]);
    expect(readFileSync(path.join(SRC, 'tracing/index.ts'), 'utf8')).toMatch(/await import\('\.\/opentelemetry\.js'\)/);
  });
});

it.each([
  [{ OTEL_EXPORTER_OTLP_ENDPOINT: 'http://a:4318/' }, 'http://a:4318/v1/traces'],
  [{ OTEL_EXPORTER_OTLP_ENDPOINT: 'http://a', OTEL_EXPORTER_OTLP_TRACES_ENDPOINT: 'http://b/t' }, 'http://b/t'],
])('of %j, spans go to %s', (env, url) => {
  expect(tracesUrl(env)).toBe(url);
});
