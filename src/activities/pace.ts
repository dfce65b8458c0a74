/** Waits its turn before every request, in step with all other Workers: the store says when. */
import { sleep } from '@temporalio/activity';
import type { ScopedLimit } from '../spec/pace.js';
import type { Store } from '../store/index.js';
import { turnIsFar } from './failure.js';

export interface Pace {
  /** Resolves when the next request may be sent. */
  turn(): Promise<void>;
  /** The target system says that it is too fast, whatever the table says. */
  slowDown(): Promise<void>;
  /** Requests were answered. */
  answered(requests: number): Promise<void>;
}

/**
 * `ahead`: turns that are reserved at once; those that are not used are lost, so no more than may be in flight. `maxWaitMs`: a
 * turn that is further away is not waited for.
 */
export function createPace(
  store: Store,
  limits: readonly ScopedLimit[],
  ahead: number,
  maxWaitMs: number = Infinity,
): Pace {
  const scopes = [...new Set(limits.map(({ scope }) => scope))];
  let turns: number[] = [];
  let isSlow = false;
  let reserving: Promise<void> = Promise.resolve();

  async function reserve(): Promise<void> {
    if (turns.length > 0) return;
    const reserved = await store.paces.reserve(limits, ahead);
    const now = performance.now();
    turns = reserved.waitsMs.map((waitMs) => now + waitMs);
    ({ isSlow } = reserved);
  }

  return {
    async turn() {
      if (limits.length === 0) return;
      let at: number | undefined;
      while (at === undefined) {
        // One after the other: whoever comes meanwhile takes what the one before has reserved.
        reserving = reserving.then(reserve);
        await reserving;
        at = turns.shift();
      }
      const waitMs = at - performance.now();
      if (waitMs > maxWaitMs) throw turnIsFar(waitMs);
      if (waitMs > 0) await sleep(waitMs);
    },

    async slowDown() {
      turns = [];
      if (scopes.length > 0) await store.paces.slowDown(scopes);
    },

    async answered(requests) {
      if (isSlow) await store.paces.speedUp(scopes, requests);
    },
  };
}
