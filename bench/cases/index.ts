/** What is measured, and what it must show. */
import { PAGE_LIMIT } from '../../src/spec/resources.js';
import { PULLS_AGAIN } from '../measure.js';
import type { Work } from '../measure.js';
import { atLeastTimesFaster, atMost, fasterThan } from '../report.js';
import type { Claim, Limit, Row } from '../report.js';
import { ACTIVITY_PER_PAGE, BARE_LOOP, MAESN_SYNC } from '../variants/index.js';
import type { Variant } from '../variants/index.js';
import type { BenchCase, Sizes } from './case.js';
import { idleCase } from './idle.js';
import { tableCase } from './table-case.js';
import type { TableRow } from './table-case.js';

const OURS = MAESN_SYNC.name;
/** Pages of a connection of the fleet. */
const FLEET_PAGES = 3;

export const CASES: readonly BenchCase[] = [
  pullCase(0),
  pullCase(20),
  pullCase(100),
  tableCase({
    name: 'resume',
    group: 'resume',
    title: '`kill -9` at half, then started again, 20 ms a page',
    rows: eachVariant(({ records }) => ({ connections: 1, records, delayMs: 20, part: 'second half after kill -9' })),
    baseline: BARE_LOOP.name,
    claims: fasterThanQueues,
  }),
  tableCase({
    name: 'no-change',
    group: 'no-change',
    title: `Nothing has changed since the last pull, 20 ms a page: the median of ${PULLS_AGAIN}, one after the other`,
    rows: eachVariant(({ records }) => ({ connections: 1, records, delayMs: 20, part: 'pull without changes' })),
    baseline: BARE_LOOP.name,
    claims: fasterThanQueues,
  }),
  tableCase({
    name: 'fleet',
    group: 'fleet',
    title: `Many connections at once, ${FLEET_PAGES} pages each, 20 ms a page`,
    rows: eachVariant(({ fleet }) => ({
      connections: fleet,
      records: FLEET_PAGES * PAGE_LIMIT,
      delayMs: 20,
      part: 'first pull',
    })),
    baseline: BARE_LOOP.name,
    claims: fasterThanQueues,
  }),
  idleCase,
  tableCase({
    name: 'growth',
    group: 'growth',
    title: 'maesn-sync alone, ever more records, 0 ms a page',
    rows: ({ growth }) => growth.map((records) => growthRow(records)),
    baseline: '',
    claims: growthClaims,
  }),
];

function pullCase(delayMs: number): BenchCase {
  return tableCase({
    name: `pull-${delayMs}`,
    group: 'pull',
    title: `All records of one connection, ${delayMs} ms a page`,
    rows: eachVariant(({ records }) => ({ connections: 1, records, delayMs, part: 'first pull' })),
    baseline: BARE_LOOP.name,
    claims: (rows) => [...(delayMs === 0 ? claimsAtOnce(rows) : claimsAtDistance(rows)), ...fasterThanQueues(rows)],
  });
}

function eachVariant(toWork: (sizes: Sizes) => Work): (sizes: Sizes, variants: readonly Variant[]) => TableRow[] {
  return (sizes, variants) =>
    variants.map((variant) => ({ name: variant.name, title: variant.title, variant, work: toWork(sizes) }));
}

function growthRow(records: number): TableRow {
  const title = `${records.toLocaleString('en')} records`;
  const work: Work = { connections: 1, records, delayMs: 0, part: 'first pull' };
  return { name: title, title, variant: MAESN_SYNC, work };
}

function claimsAtOnce(rows: readonly Row[]): Claim[] {
  const time: Omit<Limit, 'to'> = { row: OURS, by: (row) => row.seconds, what: 'its time' };
  return [
    ...ifMeasured(rows, [BARE_LOOP.name], (to) => atMost(rows, 0.7, { ...time, to })),
    ...ifMeasured(rows, [ACTIVITY_PER_PAGE.name], (than) => atLeastTimesFaster(rows, 10, OURS, than)),
    ...fewerEvents(rows),
  ];
}

function claimsAtDistance(rows: readonly Row[]): Claim[] {
  return [
    ...ifMeasured(rows, [BARE_LOOP.name], (than) => atLeastTimesFaster(rows, 3, OURS, than)),
    ...fewerEvents(rows),
  ];
}

function fewerEvents(rows: readonly Row[]): Claim[] {
  const events: Omit<Limit, 'to'> = { row: OURS, by: (row) => row.events, what: 'its Temporal events' };
  return ifMeasured(rows, [ACTIVITY_PER_PAGE.name], (to) => atMost(rows, 0.01, { ...events, to }));
}

function fasterThanQueues(rows: readonly Row[]): Claim[] {
  const queues = rows.map(({ name }) => name).filter((name) => /^(?:bullmq|dbos)/.test(name));
  return ifMeasured(rows, queues, (than) => fasterThan(rows, OURS, than));
}

function ifMeasured(rows: readonly Row[], others: readonly string[], toClaim: (other: string) => Claim): Claim[] {
  const measured = new Set(rows.map(({ name }) => name));
  return measured.has(OURS) ? others.filter((other) => measured.has(other)).map(toClaim) : [];
}

/** Time of a record and memory may grow by so much from the fewest records to the most. */
const MAY_GROW = 1.3;

function growthClaims(rows: readonly Row[]): Claim[] {
  const [fewest, most] = [rows[0], rows.at(-1)];
  if (fewest === undefined || most === undefined || fewest === most) return [];
  const limit = { row: most.name, to: fewest.name };
  return [
    atMost(rows, MAY_GROW, { ...limit, by: (row) => row.seconds / row.records, what: 'time of a record' }),
    atMost(rows, MAY_GROW, { ...limit, by: (row) => row.peakMib, what: 'memory' }),
  ];
}
