/** The outbox: what the application must be told, in the order in which it happened. */
import { and, desc, eq, gt, inArray, isNotNull, isNull, lt, sql } from 'drizzle-orm';
import type { Database } from './database.js';
import { events } from './schema.js';
import type { EventData, EventType } from './schema.js';

export interface Event {
  /** Grows; where a reader got to. */
  readonly id: number;
  readonly type: EventType;
  readonly connectionId: string;
  /** Ids, counts and times; never a key, never a record. */
  readonly data: EventData;
  readonly createdAt: Date;
  /** `null`: the application's webhook has not taken it yet, or there is none. */
  readonly deliveredAt: Date | null;
  readonly attempts: number;
  readonly lastError: string | null;
}

export interface NewEvent extends Pick<Event, 'type' | 'connectionId'> {
  /** What makes this event another one than the last of its type. */
  readonly occasion: string;
  readonly data?: EventData;
}

export interface ListEventsOptions {
  readonly afterId: number;
  readonly limit: number;
  readonly connectionId?: string | undefined;
}

export interface Events {
  /** The same occasion again is not told again. */
  add(event: NewEvent): Promise<void>;
  /** What came after event `afterId`, oldest first. */
  list(options: ListEventsOptions): Promise<Event[]>;
  /** Newest first. */
  latest(connectionId: string, limit: number): Promise<Event[]>;
  find(id: number): Promise<Event | undefined>;
  /** The oldest event of a connection that its application has not taken. */
  nextUndelivered(connectionId: string): Promise<Event | undefined>;
  delivered(id: number): Promise<void>;
  deliveryFailed(id: number, error: string): Promise<void>;
  /** Deletes what was delivered long ago; where nobody receives events, whatever is that old. */
  forget(connectionId: string, options?: { readonly undelivered?: boolean; readonly now?: Date }): Promise<void>;
  /** To be delivered once more, under the same id. Answers the connections that it concerns. */
  replay(ids: readonly number[]): Promise<string[]>;
}

/** How long events can be read and replayed. */
const KEPT_FOR_MS = 30 * 86_400_000;

export function createEvents(db: Database): Events {
  const columns = {
    id: events.id,
    type: events.type,
    connectionId: events.connectionId,
    data: events.data,
    createdAt: events.createdAt,
    deliveredAt: events.deliveredAt,
    attempts: events.attempts,
    lastError: events.lastError,
  };
  return {
    async add(event) {
      await db.insert(events).values(event).onConflictDoNothing();
    },

    list: ({ afterId, limit, connectionId }) =>
      db
        .select(columns)
        .from(events)
        .where(
          and(gt(events.id, afterId), connectionId === undefined ? undefined : eq(events.connectionId, connectionId)),
        )
        .orderBy(events.id)
        .limit(limit),

    latest: (connectionId, limit) =>
      db
        .select(columns)
        .from(events)
        .where(eq(events.connectionId, connectionId))
        .orderBy(desc(events.id))
        .limit(limit),

    async find(id) {
      const [event] = await db.select(columns).from(events).where(eq(events.id, id));
      return event;
    },

    async nextUndelivered(connectionId) {
      const [event] = await db
        .select(columns)
        .from(events)
        .where(and(eq(events.connectionId, connectionId), isNull(events.deliveredAt)))
        .orderBy(events.id)
        .limit(1);
      return event;
    },

    async delivered(id) {
      await db
        .update(events)
        .set({ deliveredAt: sql`now()`, attempts: sql`${events.attempts} + 1`, lastError: null })
        .where(eq(events.id, id));
    },

    async deliveryFailed(id, lastError) {
      await db
        .update(events)
        .set({ attempts: sql`${events.attempts} + 1`, lastError })
        .where(eq(events.id, id));
    },

    async forget(connectionId, { undelivered = false, now = new Date() } = {}) {
      await db
        .delete(events)
        .where(
          and(
            eq(events.connectionId, connectionId),
            lt(events.createdAt, new Date(now.getTime() - KEPT_FOR_MS)),
            undelivered ? undefined : isNotNull(events.deliveredAt),
          ),
        );
    },

    async replay(ids) {
      if (ids.length === 0) return [];
      const replayed = await db
        .update(events)
        .set({ deliveredAt: null })
        .where(inArray(events.id, [...ids]))
        .returning({ connectionId: events.connectionId });
      return [...new Set(replayed.map(({ connectionId }) => connectionId))];
    },
  };
}
