/** Everything that belongs to one record, and what it means when Maesn does not find it. */
import { MaesnError } from '../maesn/failure.js';
import { childPath } from '../spec/resources.js';
import type { ChildResource } from '../spec/resources.js';
import type { Cursor, Store } from '../store/index.js';
import { fetchPage } from './fetch-page.js';
import type { Asking, FetchedPage } from './fetch-page.js';
import type { WalkPagesInput } from './walk-pages.js';

/**
 * So many parents that are not found, one after the other, say nothing of the parents any more: the target system does not
 * offer these children, or the path is wrong. Half of the errors after which Exact Online blocks a key.
 */
const MAX_NOT_FOUND = 5;

/** How many keys of parents are read from the store at once. */
const PARENTS_AHEAD = 200;

type Children = Pick<FetchedPage, 'records' | 'texts' | 'warnings'>;

const NO_CHILDREN: Children = { records: [], texts: [], warnings: [] };

export interface FetchChildrenOptions extends Omit<Asking, 'signal'> {
  readonly store: Store;
  readonly connectionId: string;
  readonly resource: ChildResource;
  readonly cursor: Cursor;
}

/**
 * All children of a parent are a page. A parent that is not found has none; but that is believed only while other parents
 * are found, so that no path that is gone empties the store.
 */
export function createFetchChildren(options: FetchChildrenOptions): WalkPagesInput['fetch'] {
  const { store, connectionId, resource, cursor, ...asking } = options;
  const parentAt = createParents(options);
  let notFoundLeft = 0;
  let first: Promise<unknown> | undefined;
  let looking: Promise<boolean> | undefined;

  const fetchOne = (parentKey: string, page: number, signal: AbortSignal) =>
    fetchPage({ ...asking, signal, wanted: { resource, path: childPath(resource, parentKey), page, since: null } });

  /** `undefined`: time is up while a task is running; the parent is asked again. */
  async function fetchAll(parentKey: string, signal: AbortSignal): Promise<Children | undefined> {
    const records: unknown[] = [];
    const texts: (Buffer | undefined)[] = [];
    const warnings: string[] = [];
    for (let page = 1; ; page += 1) {
      const fetched = await fetchOne(parentKey, page, signal);
      if (fetched === undefined) return undefined;
      records.push(...fetched.records);
      texts.push(...fetched.records.map((_, index) => fetched.texts[index]));
      warnings.push(...fetched.warnings);
      if (fetched.last) return { records, texts, warnings };
    }
  }

  /** Where there is no other parent, there is nothing that says otherwise. */
  async function findAnother(parentKey: string, signal: AbortSignal): Promise<boolean> {
    const others = await store.walks.otherParents({ connectionId, resource, parentKey, limit: MAX_NOT_FOUND - 1 });
    for (const other of others) {
      const found = await fetchOne(other, 1, signal).catch(toNothingWhereNotFound);
      if (found !== 'not found') return true;
    }
    return others.length === 0;
  }

  async function fetchOrNone(parentKey: string, signal: AbortSignal): Promise<Children | undefined> {
    try {
      const children = await fetchAll(parentKey, signal);
      notFoundLeft = MAX_NOT_FOUND - 1;
      return children;
    } catch (error) {
      if (toNothingWhereNotFound(error) !== 'not found') throw error;
      if (notFoundLeft === 0) {
        looking ??= findAnother(parentKey, signal).finally(() => (looking = undefined));
        if (!(await looking)) throw error;
        notFoundLeft = MAX_NOT_FOUND;
      }
      notFoundLeft -= 1;
      return NO_CHILDREN;
    }
  }

  return async (page, signal) => {
    const parentKey = await parentAt(page);
    // The store says when the walk ends: when no parent is left.
    const about = { totalPages: cursor.totalPages, totalRecords: null, last: false, parentKey };
    if (parentKey === undefined) return { ...NO_CHILDREN, ...about };
    // Alone, since an endpoint that is not there would be asked in vain by all at once.
    await first;
    const fetching = fetchOrNone(parentKey, signal);
    first ??= fetching;
    const children = await fetching;
    return children === undefined ? undefined : { ...children, ...about };
  };
}

/** The parent that is page `page` of the walk; `undefined`: it is gone meanwhile, and so are all behind it. */
function createParents({ store, connectionId, resource, cursor }: FetchChildrenOptions) {
  const keys: string[] = [];
  let from = cursor.nextParent;
  let reading: Promise<void> = Promise.resolve();

  async function readMore(count: number): Promise<void> {
    if (from === null || keys.length >= count) return;
    const limit = PARENTS_AHEAD + 1;
    const read = await store.walks.parentsFrom({ connectionId, resource, key: from, since: cursor.walkSince, limit });
    from = read.length < limit ? null : (read.pop() ?? null);
    keys.push(...read);
  }

  return async (page: number): Promise<string | undefined> => {
    const index = page - cursor.nextPage;
    // One after the other: pages are asked for at the same time.
    reading = reading.then(() => readMore(index + 1));
    await reading;
    return keys[index];
  };
}

function toNothingWhereNotFound(error: unknown): 'not found' {
  if (error instanceof MaesnError && error.failure.type === 'NotFound') return 'not found';
  throw error;
}
