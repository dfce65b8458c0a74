/** What the metrics of the backend say, each family in one statement. */
import { and, count, eq, isNotNull, isNull, ne, sql } from 'drizzle-orm';
import type { SQL } from 'drizzle-orm';
import type { Database } from './database.js';
import { connections, cursors, events, holds, incidents, writes } from './schema.js';

export interface Measurements {
  /** By target system and status. */
  connections(): Promise<(Counted & { readonly targetSystem: string; readonly status: string })[]>;
  /** By target system and resource, of active connections without a hold; in seconds. */
  staleness(): Promise<
    {
      readonly targetSystem: string;
      readonly resource: string;
      readonly quantiles: Readonly<Record<Quantile, number>>;
    }[]
  >;
  /** Those that have not ended, by target system and state. */
  writes(): Promise<(Counted & { readonly targetSystem: string; readonly state: string })[]>;
  holds(): Promise<(Counted & { readonly kind: string })[]>;
  undeliveredEvents(): Promise<Counted & { readonly oldestNotTaken: number }>;
  openIncidents(): Promise<{ readonly kind: string; readonly targetSystem: string | null; readonly count: number }[]>;
}

export interface Counted {
  readonly count: number;
  /** In seconds; 0: there is none. */
  readonly oldest: number;
}

export type Quantile = '0.5' | '0.95' | '1';

const seconds = (time: SQL | (typeof cursors)['watermark']) =>
  sql<number>`(coalesce(greatest(0, extract(epoch from now() - ${time})), 0))::float8`;

const quantile = (of: Quantile) =>
  sql<number>`(percentile_disc(${of}::float8) within group (order by ${seconds(cursors.watermark)}))::float8`;

export function createMeasurements(db: Database): Measurements {
  return {
    connections: () =>
      db
        .select({
          targetSystem: connections.targetSystem,
          status: connections.status,
          count: count(),
          oldest: seconds(sql`min(${connections.awaitingSince})`),
        })
        .from(connections)
        .groupBy(connections.targetSystem, connections.status),

    async staleness() {
      const rows = await db
        .select({
          targetSystem: connections.targetSystem,
          resource: cursors.resource,
          median: quantile('0.5'),
          most: quantile('0.95'),
          oldest: quantile('1'),
        })
        .from(cursors)
        .innerJoin(connections, eq(connections.id, cursors.connectionId))
        .leftJoin(holds, eq(holds.connectionId, cursors.connectionId))
        .where(and(eq(connections.status, 'active'), isNotNull(cursors.watermark), isNull(holds.connectionId)))
        .groupBy(connections.targetSystem, cursors.resource);
      return rows.map(({ targetSystem, resource, median, most, oldest }) => ({
        targetSystem,
        resource,
        quantiles: { '0.5': median, '0.95': most, '1': oldest },
      }));
    },

    writes: () =>
      db
        .select({
          targetSystem: connections.targetSystem,
          state: writes.state,
          count: count(),
          oldest: seconds(sql`min(${writes.changedAt})`),
        })
        .from(writes)
        .innerJoin(connections, eq(connections.id, writes.connectionId))
        // As in the index of those.
        .where(ne(writes.state, sql`'ended'`))
        .groupBy(connections.targetSystem, writes.state),

    holds: () =>
      db
        .select({ kind: holds.kind, count: count(), oldest: seconds(sql`min(${holds.since})`) })
        .from(holds)
        .groupBy(holds.kind),

    async undeliveredEvents() {
      const [row] = await db
        .select({
          count: count(),
          oldest: seconds(sql`min(${events.createdAt})`),
          oldestNotTaken: seconds(sql`min(${events.createdAt}) filter (where ${events.attempts} > 0)`),
        })
        .from(events)
        .where(and(isNull(events.deliveredAt), isNull(events.incidentId)));
      return row ?? { count: 0, oldest: 0, oldestNotTaken: 0 };
    },

    openIncidents: () =>
      db
        .select({ kind: incidents.kind, targetSystem: incidents.targetSystem, count: count() })
        .from(incidents)
        .where(isNull(incidents.closedAt))
        .groupBy(incidents.kind, incidents.targetSystem),
  };
}
