/** What keeps a connection from running: a set, in which each hold is lifted only by whoever may. */
import { and, eq } from 'drizzle-orm';
import type { Database } from './database.js';
import { enter } from './journal.js';
import type { NewJournalEntry } from './journal.js';
import { holds } from './schema.js';
import type { HoldKind } from './schema.js';

export interface Hold {
  readonly kind: HoldKind;
  readonly placedBy: string;
  readonly reason: string;
  readonly since: Date;
}

export interface PlaceHoldInput extends Pick<Hold, 'kind' | 'placedBy' | 'reason'> {
  readonly connectionId: string;
  /** Entered in the same transaction. */
  readonly entry?: NewJournalEntry;
}

export interface LiftHoldInput {
  readonly connectionId: string;
  readonly kind: HoldKind;
  readonly entry?: NewJournalEntry;
}

export interface Holds {
  /** `false`: there is a hold of that kind already; it stays as it was. */
  place(input: PlaceHoldInput): Promise<boolean>;
  /** `false`: there is no hold of that kind. All others stay. */
  lift(input: LiftHoldInput): Promise<boolean>;
  list(connectionId: string): Promise<Hold[]>;
  /** Every connection that has one. */
  all(): Promise<(Hold & { readonly connectionId: string })[]>;
}

/** Its columns. */
export const HOLD = { kind: holds.kind, placedBy: holds.placedBy, reason: holds.reason, since: holds.since };

export function createHolds(db: Database): Holds {
  return {
    place: ({ entry, ...hold }) =>
      db.transaction(async (tx) => {
        const placed = await tx.insert(holds).values(hold).onConflictDoNothing().returning({ kind: holds.kind });
        if (placed.length > 0 && entry !== undefined) await enter(tx, entry);
        return placed.length > 0;
      }),

    lift: ({ connectionId, kind, entry }) =>
      db.transaction(async (tx) => {
        const lifted = await tx
          .delete(holds)
          .where(and(eq(holds.connectionId, connectionId), eq(holds.kind, kind)))
          .returning({ kind: holds.kind });
        if (lifted.length > 0 && entry !== undefined) await enter(tx, entry);
        return lifted.length > 0;
      }),

    list: (connectionId) =>
      db.select(HOLD).from(holds).where(eq(holds.connectionId, connectionId)).orderBy(holds.since, holds.kind),

    all: () =>
      db
        .select({ connectionId: holds.connectionId, ...HOLD })
        .from(holds)
        .orderBy(holds.since, holds.connectionId),
  };
}
