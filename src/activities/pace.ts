/** Waits its turn before every request, in step with all other Workers: the store says when. */
import { sleep } from '@temporalio/activity';
import type { ScopedLimit } from '../spec/pace.js';
import type { Store } from '../store/index.js';
import { TurnIsFar } from './failure.js';

export interface Pace {
  /** Resolves when the next request may be sent, with whether that was waited for; throws `TurnIsFar` where it is too far away. */
  turn(): Promise<boolean>;
  /** The target system says that it is too fast, whatever the table says. */
  slowDown(): Promise<void>;
  /** A request was answered. */
  answered(): Promise<void>;
}

export interface PaceOptions {
  readonly store: Store;
  readonly limits: readonly ScopedLimit[];
  /** A turn that is further away is neither reserved nor waited for. */
  readonly maxWaitMs: number;
  /** Of the target system, for whoever reads why it waits. */
  readonly name: string;
}

/** So much later, a turn is not taken any more: many that were missed, taken together, would be a burst. */
const MISSED_AFTER_MS = 1_000;

export function createPace({ store, limits, maxWaitMs, name }: PaceOptions): Pace {
  const scopes = [...new Set(limits.map(({ scope }) => scope))];
  let turns: number[] = [];
  let far: TurnIsFar | undefined;
  let isSlow = false;
  let waiting = 0;
  let reserving: Promise<void> = Promise.resolve();

  async function reserve(): Promise<void> {
    if (turns.length > 0) return;
    // As many as are waited for: one that nobody takes is counted all the same, also against the budget of a day.
    const reserved = await store.paces.reserve(limits, waiting, maxWaitMs);
    const now = performance.now();
    turns = reserved.waitsMs.map((waitMs) => now + waitMs);
    far = reserved.far === undefined || turns.length > 0 ? undefined : new TurnIsFar(name, reserved.far);
    ({ isSlow } = reserved);
  }

  async function next(): Promise<number> {
    waiting += 1;
    try {
      for (;;) {
        // One after the other: whoever comes meanwhile takes what the one before has reserved.
        reserving = reserving.then(reserve);
        await reserving;
        const at = turns.shift();
        if (at !== undefined) return at;
        if (far !== undefined) throw far;
      }
    } finally {
      waiting -= 1;
    }
  }

  return {
    async turn() {
      if (limits.length === 0) return false;
      for (;;) {
        const at = await next();
        const waitMs = at - performance.now();
        if (waitMs > 0) await sleep(waitMs);
        if (performance.now() < at + MISSED_AFTER_MS) return waitMs > 0;
      }
    },

    async slowDown() {
      turns = [];
      if (scopes.length > 0) await store.paces.slowDown(scopes);
    },

    async answered() {
      if (isSlow) await store.paces.speedUp(scopes, 1);
    },
  };
}
