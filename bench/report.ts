/** From what was measured to tables and to what they show. Pure. */

export interface Measurement {
  readonly seconds: number;
  /** Of the variant's own process. */
  readonly peakMib: number;
  readonly requests: number;
  /** Requests for a page that was asked for before. */
  readonly repeated: number;
  readonly statements: number;
  /** Time of these in the database. */
  readonly databaseSeconds: number;
  /** Of the variant's own process. */
  readonly cpuSeconds: number;
  /** Temporal's; 0 where there is no Temporal. */
  readonly events: number;
  readonly actions: number;
}

export interface Row extends Measurement {
  readonly name: string;
  readonly title: string;
  readonly records: number;
}

/** What is claimed, and whether the figures of this run bear it out. */
export interface Claim {
  readonly text: string;
  readonly holds: boolean;
}

export function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = sorted.length / 2;
  return ((sorted[Math.ceil(middle - 1)] ?? Number.NaN) + (sorted[Math.floor(middle)] ?? Number.NaN)) / 2;
}

/** Each figure's own median. */
export function toRow(about: Omit<Row, keyof Measurement>, runs: readonly Measurement[]): Row {
  const of = (name: keyof Measurement) => median(runs.map((run) => run[name]));
  return {
    ...about,
    seconds: of('seconds'),
    peakMib: of('peakMib'),
    requests: of('requests'),
    repeated: of('repeated'),
    statements: of('statements'),
    databaseSeconds: of('databaseSeconds'),
    cpuSeconds: of('cpuSeconds'),
    events: of('events'),
    actions: of('actions'),
  };
}

/** How much more time a record takes than in the row `baseline`. */
export function timeRatio(row: Row, baseline: Row): number {
  return row.seconds / row.records / (baseline.seconds / baseline.records);
}

export function toTable(rows: readonly Row[], baselineName: string): string {
  const baseline = find(rows, baselineName);
  const head = [
    '',
    'time',
    'ratio',
    'requests',
    'of these again',
    'Temporal events',
    'Actions',
    'SQL statements',
    'their time',
    'CPU',
    'memory',
  ];
  const body = rows.map((row) => [
    row.title,
    seconds(row.seconds),
    timeRatio(row, baseline).toFixed(2),
    count(row.requests),
    count(row.repeated),
    row.events === 0 ? '-' : count(row.events),
    row.events === 0 ? '-' : count(row.actions),
    count(row.statements),
    seconds(row.databaseSeconds),
    seconds(row.cpuSeconds),
    `${Math.round(row.peakMib)} MiB`,
  ]);
  return toMarkdown([head, ...body]);
}

/** The first line is the head; what is in the columns behind the first is set to the right. */
export function toMarkdown([head = [], ...body]: readonly (readonly string[])[]): string {
  const rule = head.map((_, column) => (column === 0 ? '---' : '---:'));
  return [head, rule, ...body].map((cells) => `| ${cells.join(' | ')} |`).join('\n');
}

export function toShows(claims: readonly Claim[]): string {
  const lines = claims.map(({ text, holds }) => `- ${holds ? 'yes' : '**NO**'}: ${text}`);
  return ['Shows:', '', ...lines].join('\n');
}

export interface Limit {
  readonly row: string;
  readonly to: string;
  readonly by: (row: Row) => number;
  readonly what: string;
}

/** That one row has at most `ratio` times as much of something as another. */
export function atMost(rows: readonly Row[], ratio: number, { row, to, by, what }: Limit): Claim {
  const found = by(find(rows, row)) / by(find(rows, to));
  return { text: `${what}: at most ${shown(ratio)} times that of ${to}; it is ${shown(found)}`, holds: found <= ratio };
}

export function atLeastTimesFaster(rows: readonly Row[], times: number, row: string, than: string): Claim {
  const found = find(rows, than).seconds / find(rows, row).seconds;
  return { text: `at least ${times} times as fast as ${than}; it is ${shown(found)}`, holds: found >= times };
}

export function fasterThan(rows: readonly Row[], row: string, than: string): Claim {
  const found = find(rows, than).seconds / find(rows, row).seconds;
  return { text: `faster than ${than}; it is ${shown(found)} times as fast`, holds: found > 1 };
}

export function find(rows: readonly Row[], wanted: string): Row {
  const row = rows.find(({ name }) => name === wanted);
  if (row === undefined) throw new RangeError(`${wanted} was not measured`);
  return row;
}

export function seconds(value: number): string {
  return value < 1 ? `${Math.round(value * 1_000)} ms` : `${value.toFixed(1)} s`;
}

function count(value: number): string {
  return Math.round(value).toLocaleString('en');
}

function shown(ratio: number): string {
  return ratio < 0.1 ? ratio.toPrecision(2) : ratio < 10 ? ratio.toFixed(2) : ratio.toFixed(0);
}
