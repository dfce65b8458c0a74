/** Maesn has said that a login was revoked: whether it is so, Maesn's answer to a request tells. */
import { errorRule } from '../spec/error-guide.js';
import { startAttempt } from './attempt.js';
import type { ActivityDependencies } from './dependencies.js';
import { isMaesnError } from './failure.js';
import type { OfConnection } from './holds.js';
import { openConnection } from './open-connection.js';
import type { TriedBefore } from '../workflows/messages.js';
import { createProbe } from './probe.js';

export function createCheckLogin(dependencies: ActivityDependencies) {
  const { store, options } = dependencies;
  const probe = createProbe(dependencies);

  /** Opens a round of reauthorisation if Maesn answers 401. A webhook that is old, repeated or forged changes nothing. */
  return async function checkLogin({
    connectionId,
    before,
  }: OfConnection & TriedBefore): Promise<{ readonly revoked: boolean }> {
    const attempt = startAttempt(options, before);
    try {
      const connection = await openConnection(store, connectionId);
      const { status, accountKey, keyVersion } = connection;
      if (status !== 'active' || accountKey === undefined) return { revoked: false };
      try {
        await probe({ ...connection, accountKey });
      } catch (error) {
        if (!isMaesnError(error)) throw error;
        if (error.failure.type === 'Unauthorized') {
          await store.reauthorizations.join({ connectionId, refusedVersion: keyVersion });
          return { revoked: true };
        }
        // Every other refusal is not about the login.
        if (errorRule(error.failure.type).action !== 'retry') return { revoked: false };
        throw error;
      }
      return { revoked: false };
    } catch (error) {
      throw await attempt.toFailure(error);
    } finally {
      attempt.end();
    }
  };
}
