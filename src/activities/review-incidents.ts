/** Whether what is an incident still is one: one of the connections that it concerns asks on behalf of all of them. */
import { outcomeOf } from '../spec/incidents.js';
import type { Outcome } from '../spec/incidents.js';
import { startAttempt } from './attempt.js';
import type { ActivityDependencies } from './dependencies.js';
import { TurnIsFar, isMaesnError } from './failure.js';
import { createNoteOutcome, createTellIncidents } from './learn.js';
import { openConnection } from './open-connection.js';
import { createProbe } from './probe.js';

export function createReviewIncidents(dependencies: ActivityDependencies) {
  const { store, options } = dependencies;
  const probe = createProbe(dependencies);
  const noteOutcome = createNoteOutcome(dependencies);
  const tellIncidents = createTellIncidents(dependencies);

  /** `undefined`: nobody has asked, and nothing is known. */
  async function ask(connectionId: string): Promise<Outcome | undefined> {
    const connection = await openConnection(store, connectionId);
    const { status, accountKey } = connection;
    if (status !== 'active' || accountKey === undefined) return undefined;
    try {
      await probe({ ...connection, accountKey });
      return 'succeeded';
    } catch (error) {
      // Those behind it do not wait for that.
      if (error instanceof TurnIsFar) return undefined;
      if (!isMaesnError(error)) throw error;
      return error.failure.type === 'ErrorBudgetSpent' ? undefined : outcomeOf(error.failure.type);
    }
  }

  /** One request for each incident. What concerns no connection any more is over. */
  return async function reviewIncidents(): Promise<{ readonly open: number }> {
    const attempt = startAttempt(options);
    try {
      for (const incident of await store.incidents.open()) {
        const witness = await store.incidents.witness(incident);
        if (witness === undefined) await store.incidents.close(incident.id);
        else {
          const outcome = await ask(witness.connectionId);
          if (outcome !== undefined) await noteOutcome(witness, outcome);
        }
      }
      await tellIncidents(await store.incidents.untold());
      return { open: (await store.incidents.open()).length };
    } catch (error) {
      throw await attempt.toFailure(error);
    } finally {
      attempt.end();
    }
  };
}
