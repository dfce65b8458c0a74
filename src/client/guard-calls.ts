import { databaseCode, isUnreachable } from '../store/database-error.js';
import { MaesnSyncError } from './errors.js';

/**
 * Each call of these answers with a promise, also where one throws. Whoever makes several at once, as for `Promise.all`, would
 * else leave those behind that were made before it, and one of them that rejects ends the process.
 */
export function guardCalls<Calls extends object>(calls: Calls): Calls {
  return new Proxy(calls, {
    get(target, name) {
      const call: unknown = Reflect.get(target, name);
      if (typeof call !== 'function') return call;
      return async (...given: unknown[]): Promise<unknown> => {
        try {
          const answer: unknown = await Reflect.apply(call, target, given);
          return answer;
        } catch (error) {
          throw isStoreGone(error) ? storeUnavailable(error) : error;
        }
      };
    },
  });
}

/** What Maesn or Temporal was not reached for has our words already. */
function isStoreGone(error: unknown): boolean {
  return !(error instanceof MaesnSyncError) && isUnreachable(error);
}

/** Without the cause: a failed statement carries its parameters. */
function storeUnavailable(error: unknown): MaesnSyncError {
  return new MaesnSyncError('Unavailable', `The store did not answer: ${databaseCode(error) ?? 'no connection'}.`);
}
