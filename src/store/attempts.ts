/**
 * Attempts of Activities that walk, and whose process has ended without ending them. Temporal would find out by a heartbeat
 * that does not come; Postgres knows at once, because the connections of the process are gone.
 */
import { and, eq, sql } from 'drizzle-orm';
import type { Database } from './database.js';
import { connectionsOf } from './database.js';
import { cursors } from './schema.js';
import type { Resource } from '../spec/resources.js';

export interface LostAttempt {
  readonly connectionId: string;
  readonly resource: Resource;
  readonly taskToken: string;
}

export interface Attempts {
  /**
   * None where connections cannot be told apart: behind a pooler that does not pass their names on, or when Postgres has
   * just started and not everybody is back.
   */
  lost(): Promise<LostAttempt[]>;
  /** Called when Temporal knows. One that has begun since is not forgotten. */
  forget(attempt: LostAttempt): Promise<void>;
}

export function createAttempts(
  db: Database,
  { process, isAlone }: { readonly process: string; readonly isAlone: boolean },
): Attempts {
  const isGone = isAlone
    ? sql`true`
    : sql`not exists (select from ${connectionsOf(sql`${cursors.process}`)})
          and exists (select from ${connectionsOf(sql`${process}::text`)})
          and pg_postmaster_start_time() < now() - interval '10 seconds'`;

  return {
    async lost() {
      const found = await db
        .select({ connectionId: cursors.connectionId, resource: cursors.resource, taskToken: cursors.taskToken })
        .from(cursors)
        .where(
          sql`${cursors.completedAt} is null and ${cursors.taskToken} is not null and ${cursors.process} <> ${process} and ${isGone}`,
        );
      return found.flatMap(({ taskToken, ...of }) => (taskToken === null ? [] : [{ ...of, taskToken }]));
    },

    async forget({ connectionId, resource, taskToken }) {
      await db
        .update(cursors)
        .set({ taskToken: null })
        .where(
          and(eq(cursors.connectionId, connectionId), eq(cursors.resource, resource), eq(cursors.taskToken, taskToken)),
        );
    },
  };
}
