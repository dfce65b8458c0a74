/**
 * What one account holds: generated records, and on top of them only what differs. 100,000 records cost no memory
 * until one is changed.
 */
import { DEFAULT_RESOURCES, parentOf, resourceRow } from '../src/spec/resources.js';
import type { ChildResource, Collection } from '../src/spec/resources.js';
import { assertPossible, malform } from './malformed.js';
import type { MalformedRule } from './malformed.js';
import { childrenOf } from './records/children.js';
import type { MaesnFields } from './records/context.js';
import { createRecordSource } from './records/generators.js';

export interface BooksOptions {
  readonly seed: string;
  readonly name: string;
  readonly records: Partial<Record<Collection, number>>;
  readonly now: () => Date;
  readonly order?: ListOrder | undefined;
}

/** How a list is sorted: by creation, either way round, or by the last change, oldest first. */
export type ListOrder = 'created' | 'newestFirst' | 'modified';

interface Change {
  readonly fields: MaesnFields;
  readonly modifiedAtMs: number;
}

interface Shelf {
  /** How many records were ever here; the generated ones come first. */
  size: number;
  readonly generated: number;
  readonly changes: Map<number, Change>;
  readonly removed: Set<number>;
  readonly added: Map<string, number>;
  readonly malformed: Map<number, MalformedRule['as']>;
  /** The records of the last list that was not simply all of them. */
  listing: { readonly sinceMs: number | undefined; readonly numbers: readonly number[] } | undefined;
}

export interface Page {
  readonly records: readonly unknown[];
  readonly total: number;
}

export interface ListRange {
  readonly offset: number;
  readonly count: number;
  /** Inclusive. */
  readonly sinceMs?: number | undefined;
}

export type Books = ReturnType<typeof createBooks>;

export function createBooks({ seed, name, records, now, order = 'created' }: BooksOptions) {
  const source = createRecordSource(seed, name);
  const shelves = new Map(
    DEFAULT_RESOURCES.map((resource) => [resource, createShelf(resource, records[resource] ?? 0)]),
  );

  function shelfOf(resource: Collection): Shelf {
    const shelf = shelves.get(resource);
    if (shelf === undefined) throw new RangeError(`${resource} is not a resource`);
    return shelf;
  }

  const modifiedAtMs = (resource: Collection, n: number) =>
    shelfOf(resource).changes.get(n)?.modifiedAtMs ?? source.modifiedAtMs(resource, n);

  const fieldsOf = (resource: Collection, n: number) =>
    shelfOf(resource).changes.get(n)?.fields ?? source.record(resource, n);

  function listed(resource: Collection, n: number): unknown {
    const as = shelfOf(resource).malformed.get(n);
    return as === undefined ? fieldsOf(resource, n) : malform(resource, fieldsOf(resource, n), as);
  }

  function numbersSince(resource: Collection, sinceMs: number | undefined): readonly number[] {
    const shelf = shelfOf(resource);
    if (shelf.listing === undefined || shelf.listing.sinceMs !== sinceMs) {
      const numbers = Array.from({ length: shelf.size }, (_, n) => n).filter(
        (n) => !shelf.removed.has(n) && (sinceMs === undefined || modifiedAtMs(resource, n) >= sinceMs),
      );
      shelf.listing = { sinceMs, numbers: inOrder(resource, numbers) };
    }
    return shelf.listing.numbers;
  }

  function inOrder(resource: Collection, numbers: readonly number[]): readonly number[] {
    if (order === 'created') return numbers;
    if (order === 'newestFirst') return numbers.toReversed();
    return numbers.toSorted((a, b) => modifiedAtMs(resource, a) - modifiedAtMs(resource, b) || a - b);
  }

  function list(resource: Collection, { offset, count, sinceMs }: ListRange): Page {
    const shelf = shelfOf(resource);
    if (order === 'created' && sinceMs === undefined && shelf.removed.size === 0) {
      const length = Math.max(0, Math.min(count, shelf.size - offset));
      return { total: shelf.size, records: Array.from({ length }, (_, index) => listed(resource, offset + index)) };
    }
    const numbers = numbersSince(resource, sinceMs);
    return { total: numbers.length, records: numbers.slice(offset, offset + count).map((n) => listed(resource, n)) };
  }

  function numberOf(resource: Collection, key: string): number | undefined {
    const shelf = shelfOf(resource);
    if (resourceRow(resource).key === null) return numbersSince(resource, undefined)[Number(key)];
    const n = shelf.added.get(key) ?? source.indexOf(resource, key);
    if (n === undefined || shelf.removed.has(n)) return undefined;
    // Beyond the generated records a number belongs to whatever was put there.
    return n < shelf.generated || shelf.added.get(key) === n ? n : undefined;
  }

  return {
    list,
    /** What belongs to one record; `undefined`: there is no such record. */
    children(resource: ChildResource, parentKey: string): readonly unknown[] | undefined {
      const parent = parentOf(resource);
      const n = numberOf(parent, parentKey);
      return n === undefined ? undefined : childrenOf(resource, fieldsOf(parent, n), n);
    },
    /** What belongs to all of them, in the order of their list; nobody can ask for what belongs to one without key. */
    allChildren(resource: ChildResource): readonly unknown[] {
      const parent = parentOf(resource);
      const { malformed } = shelfOf(parent);
      return numbersSince(parent, undefined)
        .filter((n) => (malformed.get(n) ?? 'badDate') === 'badDate')
        .flatMap((n) => childrenOf(resource, fieldsOf(parent, n), n));
    },
    count: (resource: Collection) => shelfOf(resource).size - shelfOf(resource).removed.size,

    find(resource: Collection, key: string): MaesnFields | undefined {
      const n = numberOf(resource, key);
      return n === undefined ? undefined : fieldsOf(resource, n);
    },

    /** `whole`: nothing is generated of what is not given. */
    put(resource: Collection, given: MaesnFields, { whole = false } = {}): MaesnFields {
      const { key, modified } = resourceRow(resource);
      const shelf = shelfOf(resource);
      const time = now();
      const known = key === null || given[key] === undefined ? undefined : numberOf(resource, toKey(given[key]));
      const n = known ?? shelf.size;
      const fields = {
        ...(whole ? {} : fieldsOf(resource, n)),
        ...given,
        ...(modified === null ? {} : { [modified]: time.toISOString() }),
      };
      if (known === undefined) {
        shelf.size += 1;
        if (key !== null) shelf.added.set(toKey(fields[key]), n);
      }
      shelf.changes.set(n, { fields, modifiedAtMs: time.getTime() });
      shelf.malformed.delete(n);
      shelf.listing = undefined;
      return fields;
    },

    remove(resource: Collection, key: string): void {
      const n = numberOf(resource, key);
      if (n === undefined) throw new RangeError(`${resource} holds no record with the key ${JSON.stringify(key)}`);
      const shelf = shelfOf(resource);
      shelf.removed.add(n);
      shelf.changes.delete(n);
      shelf.listing = undefined;
    },

    malform(rule: MalformedRule): void {
      const shelf = shelfOf(rule.resource);
      assertPossible(rule, shelf.generated);
      shelf.malformed.set(rule.index, rule.as);
    },
  };
}

function createShelf(resource: Collection, count: number): Shelf {
  if (!Number.isSafeInteger(count) || count < 0) throw new RangeError(`records.${resource}: ${count} is not a count`);
  return {
    size: count,
    generated: count,
    changes: new Map(),
    removed: new Set(),
    added: new Map(),
    malformed: new Map(),
    listing: undefined,
  };
}

function toKey(value: unknown): string {
  if (typeof value === 'string' || typeof value === 'number') return String(value);
  throw new TypeError('the key of a record is a string or a number');
}
