/** A case whose rows are measured one after the other, in an order that rotates from run to run. */
import { measure } from '../measure.js';
import type { Work } from '../measure.js';
import { seconds, toRow, toTable } from '../report.js';
import type { Claim, Measurement, Row } from '../report.js';
import type { Variant } from '../variants/index.js';
import type { BenchCase, BenchOptions, Sizes } from './case.js';

export interface TableRow {
  readonly name: string;
  readonly title: string;
  readonly variant: Variant;
  readonly work: Work;
}

export interface TableCase extends Pick<BenchCase, 'name' | 'group' | 'title'> {
  readonly rows: (sizes: Sizes, variants: readonly Variant[]) => readonly TableRow[];
  /** The name of the row that the others are compared with; where it is not measured, the first one is. */
  readonly baseline: string;
  /** Of rows that were measured, for whatever is there. */
  readonly claims: (rows: readonly Row[]) => readonly Claim[];
}

export function tableCase({ rows: toRows, baseline, claims, ...about }: TableCase): BenchCase {
  return {
    ...about,
    async run({ servers, runs, sizes, variants, onProgress }: BenchOptions) {
      const wanted = toRows(sizes, variants);
      const measurements = new Map<string, Measurement[]>(wanted.map(({ name }) => [name, []]));
      for (let run = 0; run < runs; run += 1) {
        for (const { name, variant, work } of rotated(wanted, run)) {
          const measurement = await measure(servers, variant, work);
          measurements.get(name)?.push(measurement);
          const { peakMib } = measurement;
          onProgress(
            `${about.name}, run ${run + 1}: ${name} ${seconds(measurement.seconds)}, ${Math.round(peakMib)} MiB`,
          );
        }
      }
      const rows = wanted.map(({ name, title, work }) =>
        toRow({ name, title, records: work.connections * work.records }, measurements.get(name) ?? []),
      );
      const compared = rows.some(({ name }) => name === baseline) ? baseline : (rows[0]?.name ?? '');
      return { text: toTable(rows, compared), claims: claims(rows) };
    },
  };
}

function rotated<Item>(items: readonly Item[], by: number): readonly Item[] {
  const from = by % Math.max(1, items.length);
  return [...items.slice(from), ...items.slice(0, from)];
}
