/** The outbox: what the application must be told, in the order in which it happened. */
import { and, count, desc, eq, gt, inArray, isNotNull, isNull, lt, or, sql } from 'drizzle-orm';
import type { Database } from './database.js';
import { connections, events } from './schema.js';
import type { EventData, EventType } from './schema.js';

export interface Event {
  /** Grows; where a reader got to. */
  readonly id: number;
  readonly type: EventType;
  /** `null`: of no single connection. */
  readonly connectionId: string | null;
  /** Ids, counts and times; never a key, never a record. */
  readonly data: EventData;
  readonly createdAt: Date;
  /** `null`: the application's webhook has not taken it yet, or there is none. */
  readonly deliveredAt: Date | null;
  /** How often it was sent, since it was last replayed. */
  readonly attempts: number;
  /** Why the last attempt failed. */
  readonly lastError: string | null;
  /** What explains it and was told in its place: it is not delivered, unless it is replayed. */
  readonly incidentId: number | null;
}

export interface NewEvent extends Pick<Event, 'type' | 'connectionId'> {
  /** What makes this event another one than the last of its type. */
  readonly occasion: string;
  readonly data?: EventData;
  readonly incidentId?: number | undefined;
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
  /** The oldest event of a connection (or of none) that is to be delivered and has not been taken. */
  nextUndelivered(connectionId: string | null): Promise<Event | undefined>;
  /** Whether another one that came before this one is to be delivered and has not been taken. */
  isBehind(event: Pick<NewEvent, 'type' | 'connectionId' | 'occasion'>): Promise<boolean>;
  /** How many of those there are. */
  countUndelivered(connectionId: string | null): Promise<number>;
  delivered(id: number): Promise<void>;
  deliveryFailed(id: number, error: string): Promise<void>;
  /** To be delivered once more, under the same id. Answers the connections that it concerns. */
  replay(ids: readonly number[]): Promise<(string | null)[]>;
  /**
   * Deletes what was delivered before that time, and what happened before it and is not to be delivered; with
   * `undelivered`, also what should have been and was not.
   */
  prune(options: {
    /** Absent: of all connections and of none. */
    readonly connectionId?: string | null;
    readonly before: Date;
    readonly undelivered: boolean;
  }): Promise<void>;
}

/** Any number that nobody else uses. */
const ADD_LOCK = 7_236_796_002;

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
    incidentId: events.incidentId,
  };
  const isUndelivered = and(isNull(events.deliveredAt), isNull(events.incidentId));
  return {
    async add({ type, connectionId, occasion, data = {}, incidentId = null }) {
      // One at a time: an id that becomes visible after a higher one would be missed by whoever reads on from there. The lock
      // is held before the id is given out, and until the commit. The connection's row, which the foreign key asks for, may be
      // waited for: before the turn, not in it.
      await db.execute(sql`
        with there as materialized (select from ${connections} where id = ${connectionId} for key share),
        turn as materialized (select pg_advisory_xact_lock(${ADD_LOCK}) from (select count(*) from there) as waited_for)
        insert into ${events} (type, connection_id, occasion, data, incident_id)
        select ${type}, ${connectionId}, ${occasion}, ${JSON.stringify(data)}::jsonb, ${incidentId}::bigint from turn
        on conflict do nothing`);
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
        .where(and(isOf(connectionId), isUndelivered))
        .orderBy(events.id)
        .limit(1);
      return event;
    },

    async isBehind({ connectionId, type, occasion }) {
      const its = db
        .select({ id: events.id })
        .from(events)
        .where(and(isOf(connectionId), eq(events.type, type), eq(events.occasion, occasion)));
      const before = await db
        .select({ id: events.id })
        .from(events)
        .where(and(isOf(connectionId), isUndelivered, lt(events.id, its)))
        .limit(1);
      return before.length > 0;
    },

    async countUndelivered(connectionId) {
      const [row] = await db
        .select({ events: count() })
        .from(events)
        .where(and(isOf(connectionId), isUndelivered));
      return row?.events ?? 0;
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

    async replay(ids) {
      if (ids.length === 0) return [];
      const replayed = await db
        .update(events)
        .set({ deliveredAt: null, attempts: 0, lastError: null, incidentId: null })
        .where(inArray(events.id, [...ids]))
        .returning({ connectionId: events.connectionId });
      return [...new Set(replayed.map(({ connectionId }) => connectionId))];
    },

    async prune({ connectionId, before, undelivered }) {
      const wasDelivered = lt(events.deliveredAt, before);
      const happened = lt(events.createdAt, before);
      const isOld = undelivered
        ? or(wasDelivered, and(isNull(events.deliveredAt), happened))
        : or(wasDelivered, and(isNotNull(events.incidentId), happened));
      await db.delete(events).where(and(connectionId === undefined ? undefined : isOf(connectionId), isOld));
    },
  };
}

function isOf(connectionId: string | null) {
  return connectionId === null ? isNull(events.connectionId) : eq(events.connectionId, connectionId);
}
