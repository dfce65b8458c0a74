/** Whether the fields of a record are of the types that Maesn documents. All of them may be missing, or null. */
import { z } from 'zod';
import { columnsOf } from '../spec/columns.js';
import type { Column, ColumnType } from '../spec/columns.js';
import { resourceRow } from '../spec/resources.js';
import type { Resource } from '../spec/resources.js';

type Fields = Readonly<Record<string, unknown>>;

/** ISO 8601, with or without time and zone. A year 0 Postgres does not know. */
export const isoText = z.iso
  .datetime({ offset: true, local: true })
  .or(z.iso.date())
  .refine((text) => !text.startsWith('0000'));

const TYPES = {
  text: { schema: z.string(), name: 'a text' },
  numeric: { schema: z.number(), name: 'a number' },
  boolean: { schema: z.boolean(), name: 'true or false' },
  timestamp: { schema: isoText, name: 'an ISO 8601 date' },
  date: { schema: isoText, name: 'an ISO 8601 date' },
  json: { schema: z.union([z.array(z.unknown()), z.record(z.string(), z.unknown())]), name: 'a list or an object' },
} as const satisfies Record<ColumnType, { readonly schema: z.ZodType; readonly name: string }>;

/** A sentence for each field that its column cannot show as it is meant. */
export function typeProblems(resource: Resource, fields: Fields): string[] {
  const { key } = resourceRow(resource);
  return columnsOf(resource).flatMap(({ path, type }) => {
    // Keys are more freely taken: a number is as good.
    if (path.length === 1 && path[0] === key) return [];
    const value = valueAt(fields, path);
    if (value === undefined || value === null || TYPES[type].schema.safeParse(value).success) return [];
    return [`${path.join('.')} is not ${TYPES[type].name}`];
  });
}

/** In the place of an object is something else: wrong for every column. */
const NO_OBJECT = Symbol('no object');

function valueAt(fields: Fields, [first, ...rest]: Column['path']): unknown {
  let value = fields[first];
  for (const step of rest) {
    if (value === undefined || value === null) return value;
    if (typeof value !== 'object' || Array.isArray(value)) return NO_OBJECT;
    value = z.record(z.string(), z.unknown()).parse(value)[step];
  }
  return value;
}
