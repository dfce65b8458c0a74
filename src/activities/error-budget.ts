/** Stops before a target system that counts errors blocks the key; see `spec/error-budget.ts`. */
import prettyMs from 'pretty-ms';
import { MaesnError } from '../maesn/failure.js';
import { errorScope, errorsAllowed, isCountedError } from '../spec/error-budget.js';
import type { TargetSystem } from '../spec/target-systems.js';
import type { Store } from '../store/index.js';
import { isMaesnError } from './failure.js';

export interface ErrorBudgetOptions {
  readonly store: Store;
  readonly connectionId: string;
  readonly system: TargetSystem;
  /** Of the target system, for whoever reads why it waits. */
  readonly name: string;
}

export interface ErrorBudget {
  /** Throws when as many errors were met at this endpoint as we allow ourselves. */
  require(endpoint: string): Promise<void>;
  /** What a request there has failed with. */
  count(endpoint: string, error: unknown): Promise<void>;
}

export function createErrorBudget({ store, connectionId, system, name }: ErrorBudgetOptions): ErrorBudget {
  const { errorLimit: limit } = system;
  if (limit === undefined) return { require: async () => undefined, count: async () => undefined };
  return {
    async require(endpoint) {
      const waitMs = await store.paces.errorBudgetIn(errorScope(connectionId, endpoint), limit);
      if (waitMs <= 0) return;
      const per = prettyMs(limit.perMs, { verbose: true });
      throw new MaesnError({
        type: 'ErrorBudgetSpent',
        request: endpoint,
        reason: `was not sent: ${name} blocks a key after ${limit.requests} errors in ${per} at one endpoint, and ${errorsAllowed(limit)} were met there`,
        retryAfterMs: waitMs,
      });
    },
    async count(endpoint, error) {
      if (!isMaesnError(error) || !isCountedError(error.failure.status)) return;
      await store.paces.countError(errorScope(connectionId, endpoint), limit);
    },
  };
}
