/** Who did what, when, and what came of it: what Temporal forgets with the Workflow, and never knew of people. */
import { and, desc, eq, lt, sql } from 'drizzle-orm';
import type { SQL } from 'drizzle-orm';
import type { Database } from './database.js';
import { connections, journal } from './schema.js';
import type { EventData, JournalAction } from './schema.js';

export interface JournalEntry {
  /** Grows. */
  readonly id: number;
  readonly connectionId: string;
  readonly at: Date;
  /** The name of a token, `end user`, `Maesn`, or `maesn-sync` itself. */
  readonly actor: string;
  readonly action: JournalAction;
  readonly detail: EventData;
}

export interface NewJournalEntry extends Pick<JournalEntry, 'connectionId' | 'actor' | 'action'> {
  readonly detail?: EventData;
  /** An occasion that is told twice is entered once. */
  readonly occasion?: string;
}

export interface Journal {
  add(entry: NewJournalEntry): Promise<void>;
  /** Newest first, from before `beforeId`. */
  list(options: {
    readonly connectionId: string;
    readonly beforeId?: number | undefined;
    readonly limit: number;
  }): Promise<JournalEntry[]>;
}

/** Enters in the transaction of what is entered, so that neither is there without the other. */
export async function enter(tx: Database, { occasion, ...entry }: NewJournalEntry): Promise<void> {
  await tx
    .insert(journal)
    .values(occasion === undefined ? entry : { ...entry, occasion: ofThisConnection(occasion, entry.connectionId) })
    .onConflictDoNothing();
}

/** The journal outlives the connection: one that is added anew under the same id begins again with its first round. */
function ofThisConnection(occasion: string, connectionId: string): SQL {
  const addedAt = sql`select extract(epoch from created_at) from ${connections} where id = ${connectionId}`;
  return sql`concat_ws(', added at ', ${occasion}::text, (${addedAt}))`;
}

export function createJournal(db: Database): Journal {
  return {
    add: (entry) => enter(db, entry),
    list: ({ connectionId, beforeId, limit }) =>
      db
        .select({
          id: journal.id,
          connectionId: journal.connectionId,
          at: journal.at,
          actor: journal.actor,
          action: journal.action,
          detail: journal.detail,
        })
        .from(journal)
        .where(
          and(eq(journal.connectionId, connectionId), beforeId === undefined ? undefined : lt(journal.id, beforeId)),
        )
        .orderBy(desc(journal.id))
        .limit(limit),
  };
}
