/**
 * Walks the pages of one resource for a bounded time, from where the store says the walk stands. One Activity for
 * many pages: a thousand pages cost a handful of Temporal actions, and the cursor in the store makes any crash
 * repeat at most one page. Of a child resource, the children of one parent are a page.
 */
import { cancellationSignal, sleep } from '@temporalio/activity';
import { parseRecords } from '../maesn/records.js';
import { isChild, resourceRow } from '../spec/resources.js';
import { requestIntervalMs } from '../spec/target-systems.js';
import type { Cursor } from '../store/index.js';
import type { PullResourceInput, PullResourceResult, WalkCounts } from '../workflows/messages.js';
import { startAttempt } from './attempt.js';
import type { ActivityDependencies } from './dependencies.js';
import { createFetchChildren } from './fetch-children.js';
import { fetchPage } from './fetch-page.js';
import { openConnection, requireAuthorization } from './open-connection.js';
import { createTellStuck } from './tell-application.js';

export function createPullResource(dependencies: ActivityDependencies) {
  const { maesn, store, options } = dependencies;
  const tellStuck = createTellStuck(dependencies);
  const pace = createPace();

  return async function pullResource(input: PullResourceInput): Promise<PullResourceResult> {
    const { connectionId, resource, walkId } = input;
    const signal = cancellationSignal();
    const until = Date.now() + options.walkForMs;
    const hasTime = () => Date.now() < until;
    const attempt = startAttempt(options);
    let keyVersion: number | undefined;
    let walk: WalkCounts | undefined;

    try {
      const opened = await openConnection(store, connectionId);
      ({ keyVersion } = opened);
      if ((await store.holds.list(connectionId)).length > 0) return HELD;
      const connection = requireAuthorization(opened);
      const intervalMs = requestIntervalMs(connection.targetSystem);
      const asking = { maesn, connection, signal, hasTime, pace: () => pace(connectionId, intervalMs) };
      const fetchChildren = createFetchChildren({ ...asking, store, connectionId });
      let cursor = await store.walks.begin({ connectionId, resource, walkId, now: new Date() });
      walk = toCounts(cursor);
      let task = attempt.progress.task ?? input.task;

      /** `undefined`: time is up while a task is running. */
      const step = async ({ nextPage: page, nextParent, walkSince, records: before }: Cursor) => {
        const at = { connectionId, walkId, page };
        if (isChild(resource) && nextParent !== null) {
          const children = await fetchChildren(resource, nextParent);
          if (children === undefined) return undefined;
          const records = parseRecords(resource, children, 0, nextParent);
          return store.walks.saveParent({ ...at, resource, parentKey: nextParent, records });
        }
        const fetched = await fetchPage({
          ...asking,
          wanted: { resource, path: resourceRow(resource).path, page, since: walkSince },
          task,
          onTask: (started) => attempt.note({ task: (task = started) }),
        });
        if (fetched === undefined) return undefined;
        task = undefined;
        return store.walks.savePage({
          ...at,
          resource,
          ...fetched,
          records: parseRecords(resource, fetched.records, before),
        });
      };

      while (cursor.completedAt === null && hasTime()) {
        signal.throwIfAborted();
        attempt.note({ page: cursor.nextPage, totalPages: cursor.totalPages ?? undefined });
        const next = await step(cursor);
        if (next === undefined) return toResult(cursor, attempt.progress.retries, task);
        cursor = next;
        walk = toCounts(cursor);
        attempt.progressed({ task: undefined });
      }
      return toResult(cursor, attempt.progress.retries);
    } catch (error) {
      const failure = attempt.toFailure(error, { keyVersion, walk });
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

/** Spaces the requests of one connection; a walk asks one page after another, so this holds its rate limit. */
function createPace() {
  const nextAt = new Map<string, number>();
  return async (connectionId: string, intervalMs: number): Promise<void> => {
    if (intervalMs === 0) return;
    const now = Date.now();
    const at = Math.max(now, nextAt.get(connectionId) ?? 0);
    nextAt.set(connectionId, at + intervalMs);
    if (at > now) await sleep(at - now);
  };
}
