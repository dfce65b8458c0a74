/** Whether the fields of a record are of the types that Maesn documents. All of them may be missing, or null. */
import { z } from 'zod';
import { columnsOf } from '../spec/columns.js';
import type { Column, ColumnType } from '../spec/columns.js';
import { resourceRow } from '../spec/resources.js';
import type { Resource } from '../spec/resources.js';

type Fields = Readonly<Record<string, unknown>>;

const ISO_TIME = z.regexes.datetime({ offset: true, local: true });

/** ISO 8601, with or without time and zone. A year 0 Postgres does not know. */
export function isIsoText(value: unknown): value is string {
  return typeof value === 'string' && (ISO_TIME.test(value) || z.regexes.date.test(value)) && !value.startsWith('0000');
}

const TYPES = {
  text: { holds: (value) => typeof value === 'string', name: 'a text' },
  numeric: { holds: (value) => Number.isFinite(value), name: 'a number' },
  boolean: { holds: (value) => typeof value === 'boolean', name: 'true or false' },
  timestamp: { holds: isIsoText, name: 'an ISO 8601 date' },
  date: { holds: isIsoText, name: 'an ISO 8601 date' },
  json: { holds: (value) => typeof value === 'object', name: 'a list or an object' },
} as const satisfies Record<ColumnType, { readonly holds: (value: unknown) => boolean; readonly name: string }>;

/** A sentence for each field that its column cannot show as it is meant. Called for every record: no copies, no schemas. */
export function typeProblems(resource: Resource, fields: Fields): string[] {
  const { key } = resourceRow(resource);
  const problems: string[] = [];
  for (const { path, type } of columnsOf(resource)) {
    // Keys are more freely taken: a number is as good.
    if (path.length === 1 && path[0] === key) continue;
    const value = valueAt(fields, path);
    if (value === undefined || value === null || TYPES[type].holds(value)) continue;
    problems.push(`${path.join('.')} is not ${TYPES[type].name}`);
  }
  return problems;
}

/** In the place of an object is something else: wrong for every column. */
const NO_OBJECT = Symbol('no object');

function valueAt(fields: Fields, path: Column['path']): unknown {
  let value: unknown = fields;
  for (const step of path) {
    if (value === undefined || value === null) return value;
    if (!isObject(value)) return NO_OBJECT;
    value = value[step];
  }
  return value;
}

export function isObject(value: unknown): value is Fields {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
