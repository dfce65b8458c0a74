/** Counts for Prometheus, through the SDK: they are served where the Worker's own metrics are. */
import { metricMeter } from '@temporalio/activity';
import { metricRow } from '../spec/metrics.js';
import type { CounterName, LabelsOf } from '../spec/metrics.js';

/** Counts within an Activity. The SDK adds which Activity it is. */
export function count<Name extends CounterName>(name: Name, labels: LabelsOf<Name>, by = 1): void {
  // The suffix is the exporter's, as of the SDK's own counters.
  metricMeter.createCounter(name.replace(/_total$/, ''), undefined, metricRow(name).help).add(by, { ...labels });
}

/** `undefined`: there was no answer. */
export function statusClass(status: number | undefined): string {
  return status === undefined ? 'none' : `${Math.floor(status / 100)}xx`;
}
