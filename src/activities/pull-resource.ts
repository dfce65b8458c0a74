/**
 * Walks the pages of one resource for a bounded time, from where the store says the walk stands. One Activity for
 * many pages: a thousand pages cost a handful of Temporal actions, and the cursor in the store makes any crash
 * repeat at most what was in flight. Of a child resource, the children of one parent are a page.
 */
import { cancellationSignal } from '@temporalio/activity';
import { parseRecords } from '../maesn/records.js';
import type { MaesnRecord } from '../maesn/records.js';
import { isChild, resourceRow } from '../spec/resources.js';
import { requestsInFlight } from '../spec/target-systems.js';
import type { Cursor, Store } from '../store/index.js';
import type { PullResourceInput, PullResourceResult, PullTask, WalkCounts } from '../workflows/messages.js';
import { startAttempt } from './attempt.js';
import type { ActivityDependencies } from './dependencies.js';
import { isMaesnError } from './failure.js';
import { createFetchChildren } from './fetch-children.js';
import { fetchPage } from './fetch-page.js';
import { createLearn } from './learn.js';
import type { Learning } from './learn.js';
import { openConnection, requireAuthorization } from './open-connection.js';
import { createPace } from './pace.js';
import type { Pace } from './pace.js';
import { createTellStuck } from './tell-application.js';
import { PageError, walkPages } from './walk-pages.js';
import type { NumberedPage, WalkPagesInput } from './walk-pages.js';

export function createPullResource(dependencies: ActivityDependencies) {
  const { maesn, store, options } = dependencies;
  const tellStuck = createTellStuck(dependencies);
  const learn = createLearn(dependencies);

  return async function pullResource(input: PullResourceInput): Promise<PullResourceResult> {
    const { connectionId, resource, walkId } = input;
    const until = Date.now() + options.walkForMs;
    const hasTime = () => Date.now() < until;
    const attempt = startAttempt(options);
    let keyVersion: number | undefined;
    let walk: WalkCounts | undefined;
    let pace: Pace | undefined;
    let learning: Learning | undefined;

    try {
      const opened = await openConnection(store, connectionId);
      ({ keyVersion } = opened);
      if ((await store.holds.list(connectionId)).length > 0) return HELD;
      const connection = requireAuthorization(opened);
      learning = learn(connection, resource);
      const begun = await store.walks.begin({ connectionId, resource, walkId, now: new Date() });
      walk = toCounts(begun);
      let task = attempt.progress.task ?? input.task;
      // A task is asked for until it is done: one at a time.
      const inFlight = task === undefined ? requestsInFlight(connection.targetSystem) : 1;
      pace = createPace(store, connection, inFlight);
      const asking = { maesn, connection, hasTime, pace: pace.turn.bind(pace) };

      const fetchOfList: WalkPagesInput['fetch'] = (page, signal) =>
        fetchPage({
          ...asking,
          signal,
          wanted: { resource, path: resourceRow(resource).path, page, since: begun.walkSince },
          task,
          onTask: (started: PullTask | undefined) => attempt.note({ task: (task = started) }),
        });
      const fetch = isChild(resource)
        ? createFetchChildren({ ...asking, store, connectionId, resource, cursor: begun })
        : fetchOfList;

      const cursor = await walkPages({
        cursor: begun,
        inFlight,
        hasTime,
        signal: cancellationSignal(),
        fetch: (page, signal) => {
          attempt.note({ page, totalPages: walk?.totalPages });
          return fetch(page, signal);
        },
        save: async (pages) => {
          const saved = await savePages(store, input, walk?.records ?? 0, pages);
          walk = toCounts(saved);
          task = undefined;
          attempt.progressed({ task: undefined });
          await pace?.answered(pages.length);
          await learning?.answered(pages);
          return saved;
        },
      });
      return toResult(cursor, attempt.progress.retries, task);
    } catch (thrown) {
      if (thrown instanceof PageError) attempt.note({ page: thrown.page });
      const error: unknown = thrown instanceof PageError ? thrown.cause : thrown;
      if (isMaesnError(error) && error.failure.type === 'TooManyRequests') await pace?.slowDown();
      const failure = attempt.toFailure(error, { keyVersion, walk });
      await learning?.failed(failure);
      await tellStuck(input, failure);
      throw failure;
    } finally {
      attempt.end();
    }
  };
}

/** Not begun, because of a hold; the Workflow reads which. */
const HELD: PullResourceResult = { done: false, held: true, pages: 0, records: 0, flagged: 0, retries: 0 };

function toResult(cursor: Cursor, retries: number, task?: PullResourceResult['task']): PullResourceResult {
  return { done: cursor.completedAt !== null, ...toCounts(cursor), retries, task };
}

function toCounts({ pages, records, flagged, totalPages }: Cursor): WalkCounts {
  return { pages, records, flagged, totalPages: totalPages ?? undefined };
}

/** Pages that follow each other, in one statement. Of two records of the same key, the later one is kept. */
async function savePages(
  store: Store,
  { connectionId, resource, walkId }: PullResourceInput,
  offset: number,
  pages: readonly NumberedPage[],
): Promise<Cursor> {
  const byKey = new Map<string, MaesnRecord>();
  let read = 0;
  for (const { records, parentKey } of pages) {
    const parsed = parseRecords(resource, records, offset + read, parentKey);
    read += parsed.length;
    for (const record of parsed) byKey.set(record.key, record);
  }
  const [first] = pages;
  const last = pages.at(-1);
  if (first === undefined || last === undefined) throw new RangeError('there is no page to save');
  return store.walks.savePages({
    connectionId,
    resource,
    walkId,
    page: first.page,
    pages: pages.length,
    read,
    records: [...byKey.values()],
    parents: isChild(resource) ? pages.flatMap(({ parentKey }) => parentKey ?? []) : undefined,
    totalPages: last.totalPages,
    totalRecords: last.totalRecords,
    last: last.last,
  });
}
