/**
 * Walks the pages of one resource for a bounded time, from where the store says the walk stands. One Activity for
 * many pages: a thousand pages cost a handful of Temporal actions, and the cursor in the store makes any crash
 * repeat at most what was in flight. Of a child resource, the children of one parent are a page. A list that does not stand
 * still is read in several passes; see `spec/completeness.ts`.
 */
import { hash } from 'node:crypto';
import { activityInfo, cancellationSignal } from '@temporalio/activity';
import { parseRecords } from '../maesn/records.js';
import type { MaesnRecord } from '../maesn/records.js';
import { WATERMARK_OVERLAP_MS, isChild, resourceRow } from '../spec/resources.js';
import type { Resource } from '../spec/resources.js';
import type { Cursor, OpenedForWalk } from '../store/index.js';
import type { PullResourceInput, PullResourceResult, PullTask, WalkCounts } from '../workflows/messages.js';
import { startAttempt } from './attempt.js';
import type { ActivityDependencies } from './dependencies.js';
import { isMaesnError } from './failure.js';
import { createFetchChildren } from './fetch-children.js';
import { fetchPage } from './fetch-page.js';
import type { FetchedPage } from './fetch-page.js';
import { createLearn } from './learn.js';
import type { Learning, Learnt } from './learn.js';
import { count } from './metrics.js';
import { openForWalk, requireAuthorization, triedVersion } from './open-connection.js';
import { createSender } from './send.js';
import type { Sender } from './send.js';
import { createTellStuck, createTellWithheld } from './tell-application.js';
import { PageError, isSamePass, walkPages } from './walk-pages.js';
import type { NumberedPage, WalkPagesInput } from './walk-pages.js';

/** Of a pull within a Workflow Task. */
export interface WithinTask {
  /** When it is to end, in milliseconds since 1970. */
  readonly until: number;
  /** What turns out to have more is not gone on with. */
  readonly maxPages: number;
  /** How long it may wait for its turn to ask. */
  readonly maxWaitMs: number;
  /** These two are the same for all of the task. */
  readonly opening: Promise<OpenedForWalk>;
  readonly learnt: Learnt;
}

export function createPullResource(dependencies: ActivityDependencies) {
  const { maesn, store, targetSystems, options } = dependencies;
  const tellStuck = createTellStuck(dependencies);
  const tellWithheld = createTellWithheld(dependencies);
  const learn = createLearn(dependencies);

  return async function pullResource(input: PullResourceInput, within?: WithinTask): Promise<PullResourceResult> {
    const { connectionId, resource, walkId } = input;
    const { attempt: attemptNumber, base64TaskToken } = activityInfo();
    const until = within?.until ?? Date.now() + options.walkForMs;
    const hasTime = () => Date.now() < until && !isLarge;
    const attempt = startAttempt(options, input.before);
    const explain = async (type: string) => (await store.incidents.explaining(connectionId, [type]))?.id;
    let isLarge = false;
    let keyVersion: number | undefined;
    let walk: WalkCounts | undefined;
    let sender: Sender | undefined;
    let learning: Learning | undefined;

    try {
      if (input.met !== undefined && attemptNumber === 1) throw await attempt.takeOver(input.met, { explain });
      const { opened, holds } = await (within?.opening ?? openForWalk(store, connectionId));
      keyVersion = triedVersion(opened);
      if (holds.some(({ kind }) => kind === 'delete_guard')) await tellWithheld(connectionId);
      if (holds.length > 0) return HELD;
      // Where requests are made one at a time, it is one that started a task; an Activity keeps its id.
      if (within !== undefined && targetSystems.get(opened.targetSystem).exclusive === true) return NOT_BEGUN;
      const connection = requireAuthorization(opened);
      learning = learn(connection, resource, within?.learnt);
      let cursor = await store.walks.begin({
        connectionId,
        resource,
        walkId,
        now: new Date(),
        // What is lost within a Workflow Task, Temporal does again with the task.
        taskToken: within === undefined ? base64TaskToken : undefined,
        fullEveryMs: options.fullWalkEveryMs,
      });
      walk = toCounts(cursor);
      let task = attempt.progress.task ?? input.task;
      // A task is asked for until it is done: one at a time.
      const inFlight = task === undefined ? targetSystems.requestsInFlight(connection.targetSystem) : 1;
      sender = createSender(dependencies, connection, within?.maxWaitMs);
      const asking = { maesn, connection, hasTime, sender, targetSystems, pageLimit: options.pageLimit };

      const fetchOf = (at: Cursor): WalkPagesInput['fetch'] =>
        isChild(resource)
          ? createFetchChildren({ ...asking, store, connectionId, resource, cursor: at })
          : (page, signal) =>
              fetchPage({
                ...asking,
                signal,
                wanted: { resource, path: resourceRow(resource).path, page, since: sinceOf(at) },
                task,
                onTask: (started: PullTask | undefined) => attempt.note({ task: (task = started) }),
              });

      // A pass is walked to its end; then the store says whether there is another one.
      let before: Cursor;
      do {
        before = cursor;
        const fetch = fetchOf(cursor);
        cursor = await walkPages({
          cursor,
          inFlight,
          hasTime,
          signal: cancellationSignal(),
          fetch: async (page, signal) => {
            attempt.note({ page, totalPages: walk?.totalPages });
            const fetched = await fetch(page, signal);
            isLarge ||= (fetched?.totalPages ?? page) > (within?.maxPages ?? Infinity);
            return fetched && parseAhead(resource, fetched);
          },
          save: async (pages, from) => {
            const [saved] = await Promise.all([
              store.walks.savePages({
                ...toSaved(from, pages),
                connectionId,
                maximumDeletedShare: options.maximumDeletedShare,
              }),
              learning?.answered(pages),
            ]);
            walk = toCounts(saved);
            // One that holds a page behind these is still to be asked for.
            if (task !== undefined && task.page <= (pages.at(-1)?.page ?? 0)) task = undefined;
            await attempt.progressed({ task });
            countSaved(connection.targetSystem, resource, pages);
            return saved;
          },
        });
      } while (
        cursor.walkId === walkId &&
        cursor.completedAt === null &&
        cursor.phase !== 'guarded' &&
        !isSamePass(before, cursor)
      );
      // Another run walks now, perhaps over the books of another company: of a connection that was removed and added anew.
      if (cursor.walkId !== walkId) return NOT_BEGUN;
      if (cursor.phase === 'guarded') {
        await tellWithheld(connectionId);
        return { ...HELD, ...toCounts(cursor) };
      }
      return toResult(cursor, attempt.progress.retries, task);
    } catch (thrown) {
      if (thrown instanceof PageError) attempt.note({ page: thrown.page });
      const error: unknown = thrown instanceof PageError ? thrown.cause : thrown;
      if (isMaesnError(error) && error.failure.type === 'TooManyRequests') await sender?.slowDown();
      throw await attempt.toFailure(error, {
        keyVersion,
        walk,
        hears: async (failure) => {
          await learning?.failed(failure);
          await tellStuck(input, failure);
        },
        explain,
      });
    } finally {
      attempt.end();
    }
  };
}

function countSaved(target_system: string, resource: Resource, pages: readonly NumberedPage[]): void {
  const listed = pages.reduce((sum, { parsed, records }) => sum + (parsed ?? records).length, 0);
  count('maesn_sync_pages_total', { target_system, resource }, pages.length);
  count('maesn_sync_records_total', { target_system, resource }, listed);
}

export const NOT_BEGUN: PullResourceResult = { done: false, pages: 0, records: 0, flagged: 0, retries: 0 };
/** Because of a hold; the Workflow reads which. */
const HELD: PullResourceResult = { ...NOT_BEGUN, held: true };

function toResult(cursor: Cursor, retries: number, task?: PullResourceResult['task']): PullResourceResult {
  return { done: cursor.completedAt !== null, ...toCounts(cursor), retries, task };
}

function toCounts({ pages, records, flagged, totalPages, pass, verified, deleted, completedAt }: Cursor): WalkCounts {
  const counts = { pages, records, flagged, totalPages: totalPages ?? undefined, passes: pass };
  return completedAt === null ? counts : { ...counts, verified: verified ?? undefined, deleted };
}

/** `lastModifiedAt` of what is asked for now. */
function sinceOf({ phase, passStartedAt, walkSince }: Cursor): Date | null {
  return phase === 'changes' ? new Date(passStartedAt.getTime() - WATERMARK_OVERLAP_MS) : walkSince;
}

/** All that can be done while the database writes the pages before it. Where records have no key, theirs is their position, known only then. */
function parseAhead(resource: Resource, fetched: FetchedPage): FetchedPage {
  if (resourceRow(resource).key === null) return fetched;
  const parsed = parseRecords(resource, fetched, 0, fetched.parentKey);
  // What they were parsed from is not kept: it is most of the memory.
  return { ...fetched, records: [], texts: [], parsed };
}

/** Pages that follow each other, in one statement. Of two records of the same key, the newer one is kept, else the later. */
function toSaved(cursor: Cursor, pages: readonly NumberedPage[]) {
  const { resource, walkId, pass, phase, walkSince } = cursor;
  const byKey = new Map<string, MaesnRecord>();
  const keys: string[] = [];
  let { fingerprint } = cursor;
  for (const page of pages) {
    const { parentKey, parsed: ahead } = page;
    const parsed = ahead ?? parseRecords(resource, page, cursor.records + keys.length, parentKey);
    keys.push(...parsed.map(({ key }) => key));
    fingerprint = fingerprintOf(fingerprint, parsed);
    for (const record of parsed) {
      const other = byKey.get(record.key);
      if (!isOlder(record, other)) byKey.set(record.key, record);
    }
  }
  const [first] = pages;
  const last = pages.at(-1);
  if (first === undefined || last === undefined) throw new RangeError('there is no page to save');
  return {
    resource,
    walkId,
    pass,
    phase,
    page: first.page,
    pages: pages.length,
    keys,
    records: [...byKey.values()],
    parents: isChild(resource) ? pages.flatMap(({ parentKey }) => parentKey ?? []) : undefined,
    totalPages: last.totalPages,
    totalRecords: last.totalRecords,
    totalChanged: pages.some(({ totalRecords }) => totalRecords !== last.totalRecords),
    fingerprint,
    last: last.last,
    walkSince,
  };
}

function isOlder({ modifiedAt }: MaesnRecord, other: MaesnRecord | undefined): boolean {
  return modifiedAt !== null && other?.modifiedAt != null && modifiedAt < other.modifiedAt;
}

/** Over the pages of a pass so far. Records without a key of their own are told apart by what is in them. */
function fingerprintOf(before: string | null, records: readonly MaesnRecord[]): string {
  const listed = records.map((record) => (record.key.startsWith('row:') ? record.key + record.hash : record.key));
  return hash('sha256', (before ?? '') + listed.join(''), 'base64url');
}
