/** Walks written page by page by hand: what a test does not name is as on the only page of a first walk. */
import type { Store } from '../../src/store/index.js';

type BeginWalkInput = Parameters<Store['walks']['begin']>[0];
type SavePagesInput = Parameters<Store['walks']['savePages']>[0];

export const beginWalk = (
  store: Store,
  input: Pick<BeginWalkInput, 'connectionId' | 'resource'> & Partial<BeginWalkInput>,
) => store.walks.begin({ walkId: 'run-1', now: new Date(), fullEveryMs: 86_400_000, ...input });

export const savePages = (
  store: Store,
  input: Pick<SavePagesInput, 'connectionId' | 'resource' | 'records'> & Partial<SavePagesInput>,
) =>
  store.walks.savePages({
    walkId: 'run-1',
    pass: 1,
    phase: 'pages',
    page: 1,
    pages: 1,
    keys: input.records.map(({ key }) => key),
    totalPages: null,
    totalRecords: null,
    last: true,
    maximumDeletedShare: 1,
    ...input,
  });
