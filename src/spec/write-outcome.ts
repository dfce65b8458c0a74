/**
 * Whether a write was applied, when nobody has said so: an answer that never came, a 500. Judged by what the target system
 * holds afterwards. Where that does not settle it, a person must: a guess would be a duplicate, or a loss.
 */

export type Fields = Readonly<Record<string, unknown>>;

export type WriteOutcome =
  | { readonly outcome: 'applied'; readonly record: Fields }
  | { readonly outcome: 'not applied' }
  | { readonly outcome: 'undecided'; readonly because: string };

export interface CreatedEvidence {
  /** What was to be created. */
  readonly wanted: Fields;
  /** The field that no two records share, where `wanted` has it. */
  readonly naturalKey: string | undefined;
  /** What the list says has changed since the moment before, in full. */
  readonly candidates: readonly Fields[];
  /** Whether a record was there before, or is known to come of another write. */
  readonly isAnothers: (candidate: Fields) => boolean;
  /** What else may have been created at the same time, of which nobody has said so either. */
  readonly rivals: readonly Fields[];
}

/** Of a record that was to be created. */
export function judgeCreated(evidence: CreatedEvidence): WriteOutcome {
  const { wanted, naturalKey, candidates, isAnothers, rivals } = evidence;
  const mine = candidates.filter((candidate) => !isAnothers(candidate));
  const found = mine.filter((candidate) => canBe(wanted, candidate, naturalKey));
  const [record] = found;
  if (record === undefined) {
    const resembles = (candidate: Fields) =>
      naturalKey === undefined
        ? compare(wanted, candidate) !== 'different'
        : isSame(wanted[naturalKey], candidate[naturalKey]);
    if (!(naturalKey === undefined ? mine : candidates).some(resembles)) return { outcome: 'not applied' };
    return { outcome: 'undecided', because: 'a record is there that may be this one, and may be another one' };
  }
  if (found.length > 1) return { outcome: 'undecided', because: `${found.length} records are as this one was to be` };
  if (rivals.some((rival) => compare(rival, record) !== 'different')) {
    return { outcome: 'undecided', because: 'a record is there that may as well come of another write' };
  }
  return { outcome: 'applied', record };
}

/** With a natural key, what the target system does not show is no contradiction; without one, everything must be seen. */
function canBe(wanted: Fields, candidate: Fields, naturalKey: string | undefined): boolean {
  const compared = compare(wanted, candidate);
  if (naturalKey === undefined) return compared === 'same';
  return compared !== 'different' && isSame(wanted[naturalKey], candidate[naturalKey]);
}

export interface ChangedEvidence {
  readonly method: 'PUT' | 'PATCH' | 'DELETE';
  readonly wanted: Fields;
  /** `undefined`: there is no such record (any more). */
  readonly record: Fields | undefined;
}

/** Of a record that was to be changed or deleted: it is as it was to be, or it is not. */
export function judgeChanged({ method, wanted, record }: ChangedEvidence): WriteOutcome {
  if (method === 'DELETE')
    return record === undefined ? { outcome: 'applied', record: {} } : { outcome: 'not applied' };
  if (record === undefined) return { outcome: 'undecided', because: 'the record is not there any more' };
  const compared = compare(wanted, record);
  if (compared === 'same') return { outcome: 'applied', record };
  if (compared === 'different') return { outcome: 'not applied' };
  return { outcome: 'undecided', because: 'the target system does not show all of the fields that were to be changed' };
}

/** `compatible`: nothing contradicts, but not all of it is shown. */
export type Comparison = 'same' | 'compatible' | 'different';

/**
 * Whether a record is what was wanted. What it has besides is of no interest; lists must be of the same length, and their
 * entries are compared one by one.
 */
export function compare(wanted: unknown, found: unknown): Comparison {
  if (wanted === undefined || wanted === null) return 'same';
  if (found === undefined || found === null) return 'compatible';
  if (Array.isArray(wanted)) {
    if (!Array.isArray(found) || found.length !== wanted.length) return 'different';
    return worst(wanted.map((entry: unknown, index) => compare(entry, found[index])));
  }
  if (typeof wanted !== 'object') return isSame(wanted, found) ? 'same' : 'different';
  if (typeof found !== 'object' || Array.isArray(found)) return 'different';
  const fields: Fields = { ...found };
  return worst(Object.entries(wanted).map(([name, value]) => compare(value, fields[name])));
}

function worst(comparisons: readonly Comparison[]): Comparison {
  if (comparisons.includes('different')) return 'different';
  return comparisons.includes('compatible') ? 'compatible' : 'same';
}

/** Of two values that are there; amounts are rounded, texts trimmed, and a day is the same as a time of it. */
function isSame(wanted: unknown, found: unknown): boolean {
  if (typeof wanted === 'number' || typeof found === 'number') {
    return Math.abs(toNumber(wanted) - toNumber(found)) < HALF_A_CENT;
  }
  if (typeof wanted !== 'string' || typeof found !== 'string') return wanted === found;
  const [one, other] = [wanted.trim(), found.trim()];
  return one === other || isSameTime(one, other);
}

/** Some target systems tell amounts as text. */
function toNumber(value: unknown): number {
  if (typeof value === 'number') return value;
  return typeof value === 'string' && value.trim() !== '' ? Number(value) : NaN;
}

const HALF_A_CENT = 0.005;

function isSameTime(one: string, other: string): boolean {
  if (!/^\d{4}-\d\d-\d\d/.test(one) || !/^\d{4}-\d\d-\d\d/.test(other)) return false;
  const isDay = one.length === 10 || other.length === 10;
  return isDay ? one.slice(0, 10) === other.slice(0, 10) : Date.parse(one) === Date.parse(other);
}
