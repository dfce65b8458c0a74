/** What the answers to a connection's requests tell besides records: what is offered, what Maesn warns of, what is an incident. */
import { ApplicationFailure } from '@temporalio/activity';
import { meansNotOffered } from '../spec/capabilities.js';
import { NOTE_OUTCOME_EVERY_MS, incidentRule, outcomeOf } from '../spec/incidents.js';
import type { Outcome } from '../spec/incidents.js';
import type { Resource } from '../spec/resources.js';
import type { Connection, Incident } from '../store/index.js';
import { isFailureDetails, watchIncidentsStart } from '../workflows/messages.js';
import type { ActivityDependencies } from './dependencies.js';
import type { FetchedPage } from './fetch-page.js';
import { createTell } from './tell-application.js';

export interface Learning {
  /** Pages came. */
  answered(pages: readonly FetchedPage[]): Promise<void>;
  /** Whatever becomes of it, the failure stays what it is. */
  failed(failure: unknown): Promise<void>;
}

/** What was learnt by pulls that share it, so that it is not written down by each. */
export interface Learnt {
  /** Known to be offered, and noted not long ago. */
  readonly offered: Set<Resource>;
  /** When it was last noted that the connection is answered; by `performance.now()`. */
  answeredAt: number;
}

export function createLearnt(offered: readonly Resource[] = []): Learnt {
  return { offered: new Set(offered), answeredAt: -Infinity };
}

/** Tells the application of incidents, and has them looked at again while they are open. */
export function createTellIncidents(dependencies: ActivityDependencies) {
  const { store, temporal, taskQueue } = dependencies;
  const tell = createTell(dependencies);

  async function tellOf(incident: Incident): Promise<void> {
    const { id, kind, targetSystem, openedAt, closedAt, connections } = incident;
    const { what, advice } = incidentRule(kind);
    const data = { incidentId: id, kind, targetSystem: targetSystem ?? undefined, openedAt, connections };
    const about = { connectionId: null, occasion: String(id) };
    // Also of one that is over already: told twice, it is one event.
    await tell({ ...about, type: 'incident.opened', data: { ...data, what, advice } });
    if (closedAt !== null) await tell({ ...about, type: 'incident.closed', data: { ...data, closedAt } });
    else await temporal.workflow.signalWithStart('watchIncidents', watchIncidentsStart(taskQueue));
    await store.incidents.announced(incident);
  }

  return async (incidents: readonly Incident[]): Promise<void> => {
    for (const incident of incidents) await tellOf(incident);
  };
}

/** What Maesn has answered for a connection, as far as it says anything of others. */
export function createNoteOutcome(dependencies: ActivityDependencies) {
  const tellIncidents = createTellIncidents(dependencies);
  return async (of: Pick<Connection, 'connectionId' | 'targetSystem'>, outcome: Outcome): Promise<void> =>
    tellIncidents(await dependencies.store.incidents.note({ ...of, outcome }));
}

export function createLearn(dependencies: ActivityDependencies) {
  const { store } = dependencies;
  const noteOutcome = createNoteOutcome(dependencies);

  return (connection: Connection, resource: Resource, learnt = createLearnt()): Learning => {
    const { connectionId, targetSystem, keyVersion } = connection;
    const of = { connectionId, resource };

    const note = (outcome: Outcome) => noteOutcome({ connectionId, targetSystem }, outcome);

    async function noteSuccess(): Promise<void> {
      if (performance.now() - learnt.answeredAt < NOTE_OUTCOME_EVERY_MS) return;
      learnt.answeredAt = performance.now();
      // Whoever notes the next answer tells what was not told by this one.
      await note('succeeded').catch(() => undefined);
    }

    return {
      async answered(pages) {
        const warnings = pages.flatMap((page) => page.warnings);
        await Promise.all([
          store.warnings.add(of, warnings),
          learnt.offered.has(resource) ? undefined : store.capabilities.offered({ ...of, keyVersion }),
          noteSuccess(),
        ]);
        learnt.offered.add(resource);
      },

      async failed(failure) {
        const details: unknown = failure instanceof ApplicationFailure ? failure.details?.[0] : undefined;
        // No answer of Maesn: our own refusal to ask, or a task that came to nothing.
        if (!isFailureDetails(details) || (details.status === undefined && details.type !== 'NoResponse')) return;
        const { type, status } = details;
        try {
          if (meansNotOffered(details))
            await store.capabilities.notOffered({ ...of, keyVersion, reason: { type, status } });
          await note(outcomeOf(type));
        } catch {
          // As above.
        }
      },
    };
  };
}
