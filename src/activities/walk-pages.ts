/**
 * Fetches pages ahead, as many at once as the target system allows, and writes whatever is ready, in order, together. A
 * crash repeats at most what was in flight; a page that fails is thrown once everything before it is written.
 */
import type { Cursor } from '../store/index.js';
import type { FetchedPage } from './fetch-page.js';

export interface NumberedPage extends FetchedPage {
  readonly page: number;
}

export interface WalkPagesInput {
  readonly cursor: Cursor;
  /** Requests that may be under way at once. */
  readonly inFlight: number;
  /** `undefined`: time is up before the page was there. */
  readonly fetch: (page: number, signal: AbortSignal) => Promise<FetchedPage | undefined>;
  /** Writes pages that follow each other, the first of which the cursor points at; answers the cursor behind them. */
  readonly save: (pages: readonly NumberedPage[], cursor: Cursor) => Promise<Cursor>;
  readonly hasTime: () => boolean;
  readonly signal: AbortSignal;
}

/**
 * How many pages may be asked for and not yet written, as a multiple of those in flight: a bound for memory, and for what
 * a crash repeats.
 */
export const WINDOW_PER_IN_FLIGHT = 8;

/** The error of a page, and which. */
export class PageError extends Error {
  override readonly name = 'PageError';
  readonly page: number;
  constructor(page: number, cause: unknown) {
    super(`page ${page}`, { cause });
    this.page = page;
  }
}

export async function walkPages({
  cursor: from,
  inFlight,
  fetch,
  save,
  hasTime,
  signal,
}: WalkPagesInput): Promise<Cursor> {
  const ahead = new AbortController();
  const both = AbortSignal.any([signal, ahead.signal]);
  const ready = new Map<number, NumberedPage>();
  const fetching = new Map<number, Promise<void>>();
  let cursor = from;
  let next = cursor.nextPage;
  let totalPages = cursor.totalPages;
  let failed: PageError | undefined;
  let isOver = false;

  function mayFetch(): boolean {
    if (isOver || failed !== undefined || !hasTime()) return false;
    if (fetching.size >= inFlight || next >= cursor.nextPage + inFlight * WINDOW_PER_IN_FLIGHT) return false;
    // Without a count of pages, nobody knows whether there is another one until this one is there.
    return next === cursor.nextPage || (totalPages !== null && next <= totalPages);
  }

  function fetchAhead(): void {
    while (mayFetch()) {
      fetching.set(next, fetchOne(next));
      next += 1;
    }
  }

  async function fetchOne(page: number): Promise<void> {
    try {
      const fetched = await fetch(page, both);
      if (fetched === undefined) isOver = true;
      else {
        ready.set(page, { ...fetched, page });
        ({ totalPages } = fetched);
      }
    } catch (error) {
      if (failed === undefined || page < failed.page) failed = new PageError(page, error);
    } finally {
      fetching.delete(page);
    }
    fetchAhead();
  }

  /** The pages from the cursor on that are there, up to the first one that is not, or that is the last. */
  function takeReady(): NumberedPage[] {
    const group: NumberedPage[] = [];
    for (let page = cursor.nextPage; group.at(-1)?.last !== true; page += 1) {
      const found = ready.get(page);
      if (found === undefined) break;
      ready.delete(page);
      group.push(found);
    }
    return group;
  }

  try {
    while (cursor.completedAt === null) {
      signal.throwIfAborted();
      fetchAhead();
      const group = takeReady();
      if (group.length > 0) {
        const before = cursor;
        cursor = await save(group, before);
        // The pass is over, or another attempt was faster: what is in flight here is of no more use.
        if (!isSamePass(cursor, before) || cursor.nextPage !== before.nextPage + group.length) return cursor;
      } else if (failed?.page === cursor.nextPage) throw failed;
      else if (fetching.size === 0) return cursor;
      else await Promise.race(fetching.values());
    }
    return cursor;
  } finally {
    isOver = true;
    ahead.abort();
    await Promise.allSettled(fetching.values());
  }
}

export function isSamePass(a: Cursor, b: Cursor): boolean {
  return a.walkId === b.walkId && a.pass === b.pass && a.phase === b.phase;
}
