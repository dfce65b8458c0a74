/** Waits its turn before every request, in step with all other Workers: the store says when. */
import { sleep } from '@temporalio/activity';
import type { ScopedLimit } from '../spec/pace.js';
import type { Store } from '../store/index.js';
import { TurnIsFar } from './failure.js';

export interface Pace {
  /** Resolves when the next request may be sent; throws `TurnIsFar` where that is too far away. */
  turn(): Promise<void>;
  /** The target system says that it is too fast, whatever the table says. */
  slowDown(): Promise<void>;
  /** Requests were answered. */
  answered(requests: number): Promise<void>;
}

export interface PaceOptions {
  readonly store: Store;
  readonly limits: readonly ScopedLimit[];
  /** Turns that are reserved at once; those that are not used are lost, so no more than may be in flight. */
  readonly ahead: number;
  /** A turn that is further away is neither reserved nor waited for. */
  readonly maxWaitMs: number;
  /** Of the target system, for whoever reads why it waits. */
  readonly name: string;
}

export function createPace({ store, limits, ahead, maxWaitMs, name }: PaceOptions): Pace {
  const scopes = [...new Set(limits.map(({ scope }) => scope))];
  let turns: number[] = [];
  let far: TurnIsFar | undefined;
  let isSlow = false;
  let reserving: Promise<void> = Promise.resolve();

  async function reserve(): Promise<void> {
    if (turns.length > 0) return;
    const reserved = await store.paces.reserve(limits, ahead, maxWaitMs);
    const now = performance.now();
    turns = reserved.waitsMs.map((waitMs) => now + waitMs);
    far = reserved.far === undefined || turns.length > 0 ? undefined : new TurnIsFar(name, reserved.far);
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
        if (at === undefined && far !== undefined) throw far;
      }
      const waitMs = at - performance.now();
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
