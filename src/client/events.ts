/** What the application is told, and telling it again. */
import { deliverEventsStart, eventsAddedSignal } from '../workflows/messages.js';
import type { MaesnSync } from '../client.js';
import type { ClientContext } from './context.js';
import { MaesnSyncError, callTemporal, parseInput } from './errors.js';
import { connectionId, eventIds, eventsOptions, incidentsOptions } from './inputs.js';

export function createEvents(
  context: ClientContext,
): Pick<MaesnSync, 'events' | 'latestEvents' | 'replayEvents' | 'incidents'> {
  const { temporal, store, taskQueue, actor } = context;
  return {
    events: async (options = {}) => store.events.list(parseInput(eventsOptions, options)),

    latestEvents: (id, limit) => store.events.latest(parseInput(connectionId, id), limit),

    async incidents(options = {}) {
      const { open, ...which } = parseInput(incidentsOptions, options);
      return open ? store.incidents.open() : store.incidents.list(which);
    },

    async replayEvents(given) {
      const ids = parseInput(eventIds, given);
      if (!context.deliversEvents) {
        throw new MaesnSyncError('NotConfigured', 'Events are delivered to nobody: set MAESN_SYNC_EVENTS_URL.');
      }
      const found = await Promise.all(ids.map((id) => store.events.find(id)));
      const missing = ids.filter((_id, index) => found[index] === undefined);
      if (missing.length > 0) throw new MaesnSyncError('EventNotFound', `There is no event ${missing.join(', ')}.`);
      for (const id of await store.events.replay(ids)) {
        const replayed = found.flatMap((event) => (event?.connectionId === id ? [event.id] : []));
        // The journal is one of connections.
        if (id !== null) {
          await store.journal.add({ connectionId: id, actor, action: 'event.replayed', detail: { events: replayed } });
        }
        const of = id === null ? { connectionId: id } : ((await store.connections.find(id)) ?? { connectionId: id });
        await callTemporal(context, id ?? '', () =>
          temporal.workflow.signalWithStart('deliverEvents', {
            ...deliverEventsStart(of, taskQueue),
            signal: eventsAddedSignal,
          }),
        );
      }
      return found.filter((event) => event !== undefined);
    },
  };
}
