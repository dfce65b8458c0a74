/** What is measured against what. One row a variant. */
import type { Heartbeats } from '../actions.js';

export interface Variant {
  readonly name: string;
  readonly title: string;
  readonly kind: 'maesn-sync' | 'bare loop' | 'Temporal' | 'BullMQ' | 'DBOS';
  /** Imported only by the process that runs it: its packages are memory, and not all are installed everywhere. */
  readonly module: string;
  readonly pagesAtOnce: number;
  /** Of those that run on Temporal. */
  readonly heartbeats?: Heartbeats;
}

const [ONE, FIVE] = [1, 5];

export const MAESN_SYNC: Variant = {
  name: 'maesn-sync',
  title: '**maesn-sync**',
  kind: 'maesn-sync',
  module: './variants/maesn-sync.js',
  pagesAtOnce: FIVE,
  heartbeats: { activity: 'pullResource', everyMs: 3_000 },
};

export const BARE_LOOP: Variant = {
  name: 'bare-loop',
  title: 'bare loop',
  kind: 'bare loop',
  module: './variants/bare-loop.js',
  pagesAtOnce: ONE,
};

export const ACTIVITY_PER_PAGE: Variant = {
  name: 'activity-per-page',
  title: 'Temporal, an Activity a page',
  kind: 'Temporal',
  module: './variants/activity-per-page.js',
  pagesAtOnce: ONE,
};

export const VARIANTS: readonly Variant[] = [
  MAESN_SYNC,
  BARE_LOOP,
  { ...BARE_LOOP, name: 'bare-loop-5', title: 'bare loop, 5 pages at once, no cursor', pagesAtOnce: FIVE },
  ACTIVITY_PER_PAGE,
  bullmq('bullmq', 'BullMQ, a chain of jobs', ONE),
  bullmq('bullmq-5', 'BullMQ, all jobs queued, 5 at once', FIVE),
  dbos('dbos', 'DBOS, a step a page', ONE),
  dbos('dbos-5', 'DBOS, 5 steps at once', FIVE),
];

function bullmq(name: string, title: string, pagesAtOnce: number): Variant {
  return { name, title, kind: 'BullMQ', module: './competitors/bullmq.js', pagesAtOnce };
}

function dbos(name: string, title: string, pagesAtOnce: number): Variant {
  return { name, title, kind: 'DBOS', module: './competitors/dbos.js', pagesAtOnce };
}

/** Where a variant has its records. */
export function tableOf({ kind }: Variant): string {
  return kind === 'maesn-sync' ? 'maesn_sync.records' : 'public.records';
}
