/**
 * The metrics of our own, by the name that Prometheus has them by. `docs/observability.md` is made from this table; those of
 * the Worker stand beside what Temporal's SDK measures itself. No label holds the id of a connection, of which there are many.
 */
import { keysOf } from './table.js';

export interface MetricRow {
  readonly kind: 'counter' | 'gauge';
  /** `worker`: counted by the Activities. `backend`: read from the store when it is asked for. */
  readonly at: 'worker' | 'backend';
  readonly labels: readonly string[];
  readonly help: string;
}

export const METRICS = {
  maesn_sync_pages_total: {
    kind: 'counter',
    at: 'worker',
    labels: ['target_system', 'resource'],
    help: 'Pages that were stored, also those of the look for changes after a list that was read.',
  },
  maesn_sync_records_total: {
    kind: 'counter',
    at: 'worker',
    labels: ['target_system', 'resource'],
    help: 'Records on these pages, changed or not.',
  },
  maesn_sync_requests_total: {
    kind: 'counter',
    at: 'worker',
    labels: ['target_system', 'method', 'status_class'],
    help: 'Requests to Maesn by the class of the answer: `2xx` to `5xx`, or `none`.',
  },
  maesn_sync_failures_total: {
    kind: 'counter',
    at: 'worker',
    labels: ['target_system', 'type'],
    help: 'Requests that brought nothing usable, by row of the error guide; `ErrorBudgetSpent` was not sent.',
  },
  maesn_sync_retries_total: {
    kind: 'counter',
    at: 'worker',
    labels: ['target_system', 'type'],
    help: 'Attempts that failed and are made again, by row of the error guide. Several requests in flight can fail in one.',
  },
  maesn_sync_connections: {
    kind: 'gauge',
    at: 'backend',
    labels: ['target_system', 'status'],
    help: 'Connections by status.',
  },
  maesn_sync_reauthorization_oldest_seconds: {
    kind: 'gauge',
    at: 'backend',
    labels: ['target_system'],
    help: 'How long the end user has been waited for who is waited for longest.',
  },
  maesn_sync_staleness_seconds: {
    kind: 'gauge',
    at: 'backend',
    labels: ['target_system', 'resource', 'quantile'],
    help: 'Age of what is in the store: since the last walk that came to its end began. Of active connections without a hold, of resources read to the end once; `quantile` is 0.5, 0.95, or 1 for the oldest.',
  },
  maesn_sync_writes: {
    kind: 'gauge',
    at: 'backend',
    labels: ['target_system', 'state'],
    help: 'Writes that have not ended. Of `unknown` ones, the outcome is looked up; of `undecided` ones, a person must say.',
  },
  maesn_sync_writes_oldest_seconds: {
    kind: 'gauge',
    at: 'backend',
    labels: ['target_system', 'state'],
    help: 'How long the oldest of them has been in that state.',
  },
  maesn_sync_holds: {
    kind: 'gauge',
    at: 'backend',
    labels: ['kind'],
    help: 'Connections that are held, by kind of hold.',
  },
  maesn_sync_holds_oldest_seconds: {
    kind: 'gauge',
    at: 'backend',
    labels: ['kind'],
    help: 'How long the oldest hold of a kind has lasted.',
  },
  maesn_sync_events_undelivered: {
    kind: 'gauge',
    at: 'backend',
    labels: [],
    help: 'Events that the application has not taken yet, without those that an incident was told in place of.',
  },
  maesn_sync_events_undelivered_oldest_seconds: {
    kind: 'gauge',
    at: 'backend',
    labels: [],
    help: 'Age of the oldest of them; 0: there is none.',
  },
  maesn_sync_events_not_taken_oldest_seconds: {
    kind: 'gauge',
    at: 'backend',
    labels: [],
    help: 'Age of the oldest event that was sent to the application and not taken; 0: there is none.',
  },
  maesn_sync_incidents_open: {
    kind: 'gauge',
    at: 'backend',
    labels: ['kind', 'target_system'],
    help: 'Open incidents; of all target systems, `target_system` is `all`.',
  },
} as const satisfies Record<string, MetricRow>;

export type MetricName = keyof typeof METRICS;

export const METRIC_NAMES = keysOf(METRICS);

/** The row of a metric, typed as a row. */
export function metricRow(name: MetricName): MetricRow {
  return METRICS[name];
}

/** Those of one kind, to be counted by the Worker or read from the store. */
export type CounterName = {
  [Name in MetricName]: (typeof METRICS)[Name]['kind'] extends 'counter' ? Name : never;
}[MetricName];
export type GaugeName = Exclude<MetricName, CounterName>;

/** The names of a metric's labels, each with a value. */
export type LabelsOf<Name extends MetricName> = Readonly<Record<(typeof METRICS)[Name]['labels'][number], string>>;
