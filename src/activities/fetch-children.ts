/** Everything that belongs to one record, and what it means when Maesn does not find it. */
import { MaesnError } from '../maesn/failure.js';
import { childPath } from '../spec/resources.js';
import type { ChildResource } from '../spec/resources.js';
import type { Store } from '../store/index.js';
import { fetchPage } from './fetch-page.js';
import type { Asking } from './fetch-page.js';

/**
 * So many parents that are not found, one after the other, say nothing of the parents any more: the target system does not
 * offer these children, or the path is wrong. Half of the errors after which Exact Online blocks a key.
 */
const MAX_NOT_FOUND = 5;

export interface FetchChildrenOptions extends Asking {
  readonly store: Store;
  readonly connectionId: string;
}

/** `undefined`: time is up while a task is running; the parent is asked again. */
export type FetchChildren = (resource: ChildResource, parentKey: string) => Promise<readonly unknown[] | undefined>;

/**
 * All pages of a parent's children. A parent that is not found has none; but that is believed only while other parents
 * are found, so that no path that is gone empties the store.
 */
export function createFetchChildren({ store, connectionId, ...asking }: FetchChildrenOptions): FetchChildren {
  let notFoundLeft = 0;

  const fetchOne = (resource: ChildResource, parentKey: string, page: number) =>
    fetchPage({ ...asking, wanted: { resource, path: childPath(resource, parentKey), page, since: null } });

  const fetchAll: FetchChildren = async (resource, parentKey) => {
    const children: unknown[] = [];
    for (let page = 1; ; page += 1) {
      const fetched = await fetchOne(resource, parentKey, page);
      if (fetched === undefined) return undefined;
      children.push(...fetched.records);
      if (fetched.last) return children;
    }
  };

  /** Where there is no other parent, there is nothing that says otherwise. */
  async function isAnotherFound(resource: ChildResource, parentKey: string): Promise<boolean> {
    const others = await store.walks.otherParents({ connectionId, resource, parentKey, limit: MAX_NOT_FOUND - 1 });
    for (const other of others) {
      const found = await fetchOne(resource, other, 1).catch(toNothingWhereNotFound);
      if (found !== 'not found') return true;
    }
    return others.length === 0;
  }

  return async (resource, parentKey) => {
    try {
      const children = await fetchAll(resource, parentKey);
      notFoundLeft = MAX_NOT_FOUND - 1;
      return children;
    } catch (error) {
      if (toNothingWhereNotFound(error) !== 'not found') throw error;
      if (notFoundLeft === 0) {
        if (!(await isAnotherFound(resource, parentKey))) throw error;
        notFoundLeft = MAX_NOT_FOUND;
      }
      notFoundLeft -= 1;
      return [];
    }
  };
}

function toNothingWhereNotFound(error: unknown): 'not found' {
  if (error instanceof MaesnError && error.failure.type === 'NotFound') return 'not found';
  throw error;
}
