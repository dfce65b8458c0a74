import type { Collection } from '../../src/spec/resources.js';
import type { Draw } from './draw.js';

export type MaesnFields = Readonly<Record<string, unknown>>;

/** What a generator makes a record of. */
export interface RecordContext {
  /** From 0. */
  readonly n: number;
  readonly draw: Draw;
  readonly id: string;
  /** ISO 8601 with milliseconds, as is every other time stamp. */
  readonly createdDate: string;
  readonly updatedDate: string;
  /** The id of another record: one that exists, if the account holds that many. */
  readonly idOf: (resource: Collection, n: number) => string;
  /** A day that many days after the record was created. */
  readonly day: (daysLater: number) => string;
}

export type Generator = (context: RecordContext) => MaesnFields;

/** How many records of each resource others refer to. */
const REFERRED = 50;

export function anyId({ idOf, draw }: RecordContext, resource: Collection): string {
  return idOf(resource, draw.integer(0, REFERRED - 1));
}

/** `RE-2025-00042` */
export function documentNumber(prefix: string, { n, createdDate }: RecordContext): string {
  return `${prefix}-${createdDate.slice(0, 4)}-${String(n + 1).padStart(5, '0')}`;
}
