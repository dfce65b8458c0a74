/** Stops before a target system that counts errors blocks the key; see `spec/error-budget.ts`. */
import { randomUUID } from 'node:crypto';
import { sleep } from '@temporalio/activity';
import prettyMs from 'pretty-ms';
import { MaesnError } from '../maesn/failure.js';
import { errorScope, errorsAllowed, isCountedError } from '../spec/error-budget.js';
import type { ErrorLimit, TargetSystem } from '../spec/target-systems.js';
import type { Store } from '../store/index.js';
import { errorsMayCome, isMaesnError } from './failure.js';

const LOOK_AGAIN_MS = 1_000;

export interface ErrorBudgetOptions {
  readonly store: Store;
  readonly connectionId: string;
  readonly system: TargetSystem;
  /** Of the target system, for whoever reads why it waits. */
  readonly name: string;
  /** How long room is waited for that requests under way may yet leave. */
  readonly maxWaitMs: number;
  /** How long a request may take at most: a Worker that died with it keeps its room for so long. */
  readonly requestMs: number;
}

/** To be called when the request is over, with what it has failed with. */
export type GiveErrorRoom = (error?: unknown) => Promise<void>;

export interface ErrorBudget {
  /** Room for the error that a request may bring. Throws when as many were met at this endpoint as we allow ourselves. */
  take(endpoint: string): Promise<GiveErrorRoom>;
}

export function createErrorBudget(options: ErrorBudgetOptions): ErrorBudget {
  const { store, connectionId, system, name, maxWaitMs, requestMs } = options;
  const { errorLimit: limit } = system;
  if (limit === undefined) return { take: async () => async () => undefined };
  return {
    async take(endpoint) {
      const scope = errorScope(connectionId, endpoint);
      const holder = randomUUID();
      const until = performance.now() + maxWaitMs;
      for (;;) {
        const { granted, spentForMs } = await store.paces.takeErrorRoom(scope, limit, { holder, forMs: requestMs });
        if (granted) break;
        if (spentForMs > 0) throw spent(endpoint, limit, spentForMs);
        if (performance.now() > until) throw errorsMayCome(name, endpoint);
        await sleep(LOOK_AGAIN_MS);
      }
      return async (failure) => {
        const isError = isMaesnError(failure) && isCountedError(failure.failure.status);
        // What the request brought does not depend on it; room that is not given back ends by itself.
        await store.paces.giveErrorRoom(scope, limit, { holder, isError }).catch(() => undefined);
      };
    },
  };

  function spent(endpoint: string, { requests, perMs }: ErrorLimit, retryAfterMs: number): MaesnError {
    return new MaesnError({
      type: 'ErrorBudgetSpent',
      request: endpoint,
      reason: `was not sent: ${name} blocks a key after ${requests} errors in ${prettyMs(perMs, { verbose: true })} at one endpoint, and ${errorsAllowed({ requests, perMs })} were met there`,
      retryAfterMs,
    });
  }
}
