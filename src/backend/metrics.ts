/**
 * What the store says of all connections, for Prometheus. On a port of its own: who scrapes needs no token, with which
 * syncs could be paused, and the port that browsers and Maesn reach does not tell how many customers there are.
 */
import { once } from 'node:events';
import { createServer } from 'node:http';
import { Gauge, Registry } from 'prom-client';
import { hostAndPort, originOf } from '../config.js';
import { METRIC_NAMES, metricRow } from '../spec/metrics.js';
import type { GaugeName, LabelsOf } from '../spec/metrics.js';
import type { Store } from '../store/index.js';
import { CONNECTION_STATUSES, HOLD_KINDS } from '../store/index.js';

/** Several Prometheus servers, or an impatient one, cost the database no more than one. */
const KEEP_FOR_MS = 5_000;

export interface MetricsServer {
  readonly url: string;
  close(): Promise<void>;
}

/** `address`: `host:port`; `undefined`: nothing is served. */
export async function serveMetrics(
  address: string | undefined,
  { store, onError }: { readonly store: Store; readonly onError: (error: unknown) => void },
): Promise<MetricsServer | undefined> {
  if (address === undefined) return undefined;
  let kept: { readonly text: Promise<string>; readonly until: number } | undefined;
  const read = () => {
    if (kept === undefined || kept.until < performance.now())
      kept = { text: readMetrics(store), until: performance.now() + KEEP_FOR_MS };
    return kept.text;
  };
  const server = createServer((request, response) => {
    if (request.method !== 'GET' || request.url?.split('?')[0] !== '/metrics') {
      response.writeHead(404).end();
      return;
    }
    read().then(
      (text) => response.writeHead(200, { 'Content-Type': Registry.PROMETHEUS_CONTENT_TYPE }).end(text),
      (error: unknown) => {
        kept = undefined;
        onError(error);
        response.writeHead(503, { 'Content-Type': 'text/plain' }).end('The store does not answer.\n');
      },
    );
  });
  const { host, port: wanted } = hostAndPort(address);
  server.listen(wanted, host);
  await once(server, 'listening').catch((error: unknown) => {
    const reason = error instanceof Error ? error.message : String(error);
    throw new Error(`Metrics cannot be served; check MAESN_SYNC_METRICS_ADDRESS (${address}): ${reason}`, {
      cause: error,
    });
  });
  const bound = server.address();
  const port = typeof bound === 'object' && bound !== null ? bound.port : 0;
  return {
    url: `${originOf({ host, port })}/metrics`,
    async close() {
      const closed = once(server, 'close');
      server.close();
      server.closeAllConnections();
      await closed;
    },
  };
}

/** In the text format of Prometheus. */
async function readMetrics({ measurements }: Store): Promise<string> {
  const registry = new Registry();
  const gauges = new Map(
    METRIC_NAMES.filter((name) => metricRow(name).at === 'backend').map((name) => {
      const { help, labels } = metricRow(name);
      return [name, new Gauge<string>({ name, help, labelNames: labels, registers: [registry] })] as const;
    }),
  );
  const set = <Name extends GaugeName>(name: Name, labels: LabelsOf<Name>, value: number) =>
    gauges.get(name)?.set({ ...labels }, value);

  // One after the other: whoever scrapes takes one of the pool's connections, not six.
  const bySystem = await measurements.connections();
  for (const target_system of new Set(bySystem.map(({ targetSystem }) => targetSystem))) {
    const of = bySystem.filter(({ targetSystem }) => targetSystem === target_system);
    // What is none is told: an alert ends by it.
    for (const status of CONNECTION_STATUSES) {
      const found = of.find((row) => row.status === status);
      set('maesn_sync_connections', { target_system, status }, found?.count ?? 0);
      if (status !== 'awaiting_reauthorization') continue;
      set('maesn_sync_reauthorization_oldest_seconds', { target_system }, found?.oldest ?? 0);
    }
  }
  for (const { targetSystem, resource, quantiles } of await measurements.staleness()) {
    for (const [quantile, value] of Object.entries(quantiles))
      set('maesn_sync_staleness_seconds', { target_system: targetSystem, resource, quantile }, value);
  }
  for (const { targetSystem, state, count, oldest } of await measurements.writes()) {
    const labels = { target_system: targetSystem, state };
    set('maesn_sync_writes', labels, count);
    set('maesn_sync_writes_oldest_seconds', labels, oldest);
  }
  const held = await measurements.holds();
  for (const kind of HOLD_KINDS) {
    const found = held.find((row) => row.kind === kind);
    set('maesn_sync_holds', { kind }, found?.count ?? 0);
    set('maesn_sync_holds_oldest_seconds', { kind }, found?.oldest ?? 0);
  }
  const undelivered = await measurements.undeliveredEvents();
  set('maesn_sync_events_undelivered', {}, undelivered.count);
  set('maesn_sync_events_undelivered_oldest_seconds', {}, undelivered.oldest);
  set('maesn_sync_events_not_taken_oldest_seconds', {}, undelivered.oldestNotTaken);
  for (const { kind, targetSystem, count } of await measurements.openIncidents())
    set('maesn_sync_incidents_open', { kind, target_system: targetSystem ?? 'all' }, count);
  return registry.metrics();
}
