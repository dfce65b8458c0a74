/** Telling the application: an event in the outbox, and the Workflow that delivers it. */
import { ApplicationFailure } from '@temporalio/activity';
import { z } from 'zod';
import { STUCK_AFTER } from '../spec/retry.js';
import type { NewEvent } from '../store/index.js';
import { deliverEventsStart, eventsAddedSignal, isFailureDetails } from '../workflows/messages.js';
import type { PullResourceInput } from '../workflows/messages.js';
import type { ActivityDependencies } from './dependencies.js';

/** How often what nobody has fetched is cleared away. */
const PRUNE_EVERY_MS = 10 * 60_000;

/** Safe to repeat: the same occasion is one event, and whoever died before the Signal sends it when tried again. */
export function createTell({ store, temporal, taskQueue, options }: ActivityDependencies) {
  let prunedAt = -Infinity;

  return async function tell(event: NewEvent): Promise<void> {
    const { connectionId } = event;
    const incident =
      connectionId === null ? undefined : await store.incidents.explaining(connectionId, failureTypesOf(event));
    await store.events.add(
      incident === undefined
        ? event
        : { ...event, incidentId: incident.id, data: { ...event.data, incidentId: incident.id } },
    );
    if (options.eventReceiver === undefined) {
      // Nobody delivers them, so nobody else would ever clear them away.
      if (performance.now() - prunedAt < PRUNE_EVERY_MS) return;
      prunedAt = performance.now();
      return store.events.prune({ before: new Date(Date.now() - options.keepEventsForMs), undelivered: true });
    }
    // Unless there was something to deliver before: whoever should have said so may have died.
    if (incident !== undefined && (await store.events.nextUndelivered(connectionId)) === undefined) return;
    const of =
      connectionId === null ? { connectionId } : ((await store.connections.find(connectionId)) ?? { connectionId });
    const start = deliverEventsStart(of, taskQueue);
    if (await store.events.isBehind(event)) {
      // Whoever tells of the first one sends the Signal, and who delivers that finds this one behind it. A Workflow that waits for
      // its receiver takes 10,000 Signals, no more.
      await temporal.workflow.start('deliverEvents', { ...start, workflowIdConflictPolicy: 'USE_EXISTING' });
    } else {
      await temporal.workflow.signalWithStart('deliverEvents', { ...start, signal: eventsAddedSignal });
    }
  };
}

/** Once for every row of failures: when the third one comes. */
export function createTellStuck(dependencies: ActivityDependencies) {
  const tell = createTell(dependencies);
  return async ({ connectionId, resource, walkId }: PullResourceInput, failure: unknown): Promise<void> => {
    if (!(failure instanceof ApplicationFailure) || failure.nonRetryable === true) return;
    const details: unknown = failure.details?.[0];
    if (!isFailureDetails(details) || details.failureCount !== STUCK_AFTER) return;
    const { type, page, status, nextAttemptAt, request } = details;
    await tell({
      connectionId,
      type: 'sync.stuck',
      occasion: `${walkId}, ${resource}, page ${page ?? '-'}, ${type}`,
      data: { resource, page, type, status, request, failures: STUCK_AFTER, nextAttemptAt },
    }).catch(() => undefined);
  };
}

/** Somebody must say whether what is gone may be deleted. Once for every walk, however often it is told. */
export function createTellWithheld(dependencies: ActivityDependencies) {
  const tell = createTell(dependencies);
  return async (connectionId: string): Promise<void> => {
    const cursors = await dependencies.store.walks.list(connectionId);
    for (const { phase, walkId, resource, deleted: gone, records: listed } of cursors) {
      if (phase !== 'guarded') continue;
      const occasion = `${walkId}, ${resource}`;
      await tell({ connectionId, type: 'sync.deletes_withheld', occasion, data: { resource, gone, listed } });
    }
  };
}

const stuck = z.object({ type: z.string() });
const failed = z.object({
  failure: z.object({ type: z.string() }).optional(),
  resources: z.record(z.string(), z.object({ status: z.string(), failure: z.object({ type: z.string() }).optional() })),
});

/** What an event says has failed: where an incident explains all of it, the incident is what the application is told of. */
function failureTypesOf({ type, data }: NewEvent): string[] {
  if (type === 'sync.stuck') return [stuck.parse(data).type];
  if (type !== 'sync.failed') return [];
  const { failure, resources } = failed.parse(data);
  const ofResources = Object.values(resources).flatMap((report) =>
    report.status === 'failed' ? [report.failure?.type ?? 'Unexpected'] : [],
  );
  return failure === undefined ? ofResources : [failure.type, ...ofResources];
}
