/** From what Maesn lists to what the store keeps: a key, a modified date, a hash, and what is wrong with it. */
import { hash as digest } from 'node:crypto';
import { z } from 'zod';
import { hasFourDigitYear } from '../spec/dates.js';
import { resourceRow } from '../spec/resources.js';
import { isIsoText, isObject, typeProblems } from './columns.js';
import type { Listed } from './listed-texts.js';
import type { Resource } from '../spec/resources.js';

export interface MaesnRecord {
  readonly key: string;
  /** Of children: the key of the record that they belong to. */
  readonly parentKey: string | null;
  /** The record as JSON that Postgres accepts, in UTF-8. */
  readonly json: Buffer;
  readonly modifiedAt: Date | null;
  /** SHA-256 of `json`, base64url. */
  readonly hash: string;
  readonly problems: readonly string[] | null;
}

/** An identity that Postgres can index: no key known is longer than 50 characters. */
export const recordKey = z
  .union([z.string(), z.number().transform(String)])
  .pipe(z.string().min(1).max(500))
  .transform(toStorableText);
/** A parent's key and this one's together must still be one that Postgres can index. */
const childOwnKey = recordKey.refine((key) => key.length <= 100);

/** Without a zone it is taken for UTC. */
export const isoDate = z.custom<string>(isIsoText, 'is not an ISO 8601 date').transform(toDate);

function toDate(isoText: string): Date {
  const isComplete = /T.*(?:Z|[+-]\d\d:?\d\d)$/.test(isoText) || !isoText.includes('T');
  return new Date(isComplete ? isoText : `${isoText}Z`);
}

/** `null`: not one in a year of four digits. `0001-01-01T00:00:00+01:00` is of the year 0 in UTC, which Postgres does not know. */
function toModifiedAt(value: unknown): Date | null {
  if (!isIsoText(value)) return null;
  const date = toDate(value);
  return hasFourDigitYear(date) ? date : null;
}

/**
 * Parses a page. `offset`: how many records of the walk came before it; a record of a resource without key is
 * known by its position. `parentKey`: of children, whose they are. The last record of a key wins, as it would if they
 * came on two pages.
 */
export function parseRecords(
  resource: Resource,
  { records, texts = [] }: Pick<Listed, 'records'> & Partial<Listed>,
  offset: number,
  parentKey?: string,
): MaesnRecord[] {
  const byKey = new Map<string, MaesnRecord>();
  for (const [index, value] of records.entries()) {
    const record = parseRecord(resource, value, texts[index], offset + index, parentKey);
    byKey.set(record.key, record);
  }
  return [...byKey.values()];
}

function parseRecord(
  resource: Resource,
  value: unknown,
  text: Buffer | undefined,
  position: number,
  parentKey: string | undefined,
): MaesnRecord {
  const row = resourceRow(resource);
  const problems: string[] = [];
  const json = text ?? Buffer.from(toStorableJson(value, problems));
  const hash = digest('sha256', json, 'base64url');

  const fields = isObject(value) ? value : undefined;
  if (fields === undefined) problems.push('not an object');

  let ownKey: string | undefined;
  if (row.key === null) {
    ownKey = snapshotKey(position);
  } else {
    ownKey = (parentKey === undefined ? recordKey : childOwnKey).safeParse(fields?.[row.key]).data;
    if (ownKey === undefined && fields !== undefined) problems.push(`${row.key} is not usable as a key`);
  }

  // Whatever has no key of its own is kept under its hash: known again when it comes again, and never dropped.
  const key = ownKey ?? `hash:${hash}`;
  const modified = row.modified === null ? undefined : fields?.[row.modified];
  if (fields !== undefined) problems.push(...typeProblems(resource, fields));

  return {
    key: parentKey === undefined ? key : childKey(parentKey, key),
    parentKey: parentKey ?? null,
    json,
    modifiedAt: toModifiedAt(modified),
    hash,
    problems: problems.length === 0 ? null : problems,
  };
}

/** One for each pair, also where a key holds a slash. */
function childKey(parentKey: string, ownKey: string): string {
  return `${parentKey.replaceAll('%', '%25').replaceAll('/', '%2F')}/${ownKey}`;
}

/** Keys of a snapshot sort as its records came. */
export function snapshotKey(position: number): string {
  return `row:${String(position).padStart(9, '0')}`;
}

/** JSON knows two things that Postgres' jsonb refuses: the character NUL and half of a surrogate pair. */
function toStorableJson(value: unknown, problems: string[]): string {
  const json = JSON.stringify(value);
  if (!/\\u(?:0000|d[89a-f])/i.test(json)) return json;
  const storable = JSON.stringify(replaceUnstorable(value));
  if (storable !== json) problems.push('characters that Postgres cannot store were replaced');
  return storable;
}

function toStorableText(text: string): string {
  return text.replaceAll('\0', '\uFFFD').toWellFormed();
}

function replaceUnstorable(value: unknown): unknown {
  if (typeof value === 'string') return toStorableText(value);
  if (Array.isArray(value)) return value.map(replaceUnstorable);
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(
    Object.entries(value).map(([name, inner]) => [toStorableText(name), replaceUnstorable(inner)]),
  );
}
