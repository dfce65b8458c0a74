/** What Maesn warned of, the newest of each connection and resource. May quote records: it is shown, and sent nowhere. */
import { and, eq, notInArray, sql } from 'drizzle-orm';
import type { Resource } from '../spec/resources.js';
import type { Database } from './database.js';
import { warnings } from './schema.js';
import type { WalkOf } from './walks.js';

export interface Warning {
  readonly resource: Resource;
  /** At most 500 characters. */
  readonly text: string;
  /** In how many answers. */
  readonly count: number;
  readonly firstAt: Date;
  readonly lastAt: Date;
}

export interface Warnings {
  /** As they came; the same one from two answers stands there twice. */
  add(of: WalkOf, texts: readonly string[]): Promise<void>;
  /** By resource, newest first. */
  list(connectionId: string): Promise<Warning[]>;
}

/** Of each connection and resource. A warning that names a record is another one for every record. */
export const MAX_WARNINGS = 20;
export const MAX_WARNING_LENGTH = 500;

export function createWarnings(db: Database): Warnings {
  return {
    async add({ connectionId, resource }, texts) {
      const counts = new Map<string, number>();
      for (const text of texts.map(storable)) {
        // The newest last: beyond the limit, those are kept.
        const count = (counts.get(text) ?? 0) + 1;
        counts.delete(text);
        counts.set(text, count);
      }
      const rows = [...counts].slice(-MAX_WARNINGS).map(([text, count]) => ({ connectionId, resource, text, count }));
      if (rows.length === 0) return;
      await db.transaction(async (tx) => {
        await tx
          .insert(warnings)
          .values(rows)
          .onConflictDoUpdate({
            target: [warnings.connectionId, warnings.resource, warnings.text],
            set: { count: sql`${warnings.count} + excluded.count`, lastAt: sql`now()` },
          });
        const ofResource = and(eq(warnings.connectionId, connectionId), eq(warnings.resource, resource));
        const kept = tx
          .select({ text: warnings.text })
          .from(warnings)
          .where(ofResource)
          .orderBy(sql`${warnings.lastAt} desc`, warnings.text)
          .limit(MAX_WARNINGS);
        await tx.delete(warnings).where(and(ofResource, notInArray(warnings.text, kept)));
      });
    },

    list: (connectionId) =>
      db
        .select({
          resource: warnings.resource,
          text: warnings.text,
          count: warnings.count,
          firstAt: warnings.firstAt,
          lastAt: warnings.lastAt,
        })
        .from(warnings)
        .where(eq(warnings.connectionId, connectionId))
        .orderBy(warnings.resource, sql`${warnings.lastAt} desc`, warnings.text),
  };
}

/** Cut, and without what Postgres cannot hold: NUL, and half of a surrogate pair, which the cut can leave too. */
function storable(text: string): string {
  return text.replaceAll('\u0000', '').slice(0, MAX_WARNING_LENGTH).toWellFormed();
}
