/**
 * Who waits for a connection's end user to sign in again. The connection's row is the truth: every step locks it,
 * so that a Workflow that joins and one that releases can never miss each other.
 */
import { and, eq, lte, sql } from 'drizzle-orm';
import { toConnection } from './connections.js';
import type { Connection } from './connections.js';
import type { Database } from './database.js';
import { connections, waitingWorkflows } from './schema.js';

export interface Joined {
  /** `wait`: the Workflow is entered and will be released. `proceed`: there is a newer key already. */
  readonly decision: 'wait' | 'proceed';
  /** Whether the reauthorizeConnection Workflow must be signalled that a round has begun; then `announced`. */
  readonly announce: boolean;
  readonly round: number;
}

export interface JoinInput {
  readonly connectionId: string;
  /** Absent: nobody waits yet; the login is just known to be dead. */
  readonly workflowId?: string | undefined;
  /** Version of the account key that was refused. */
  readonly refusedVersion: number;
}

export type ReauthorizationOutcome = 'reauthorized' | 'expired';

export interface SettleInput {
  readonly connectionId: string;
  /** Only this round is settled: a repeat after a new round has begun changes nothing of the new one. */
  readonly round: number;
  readonly outcome: ReauthorizationOutcome;
}

export interface Reauthorizations {
  /** Enters a Workflow among those that wait, unless there is nothing to wait for. `undefined`: no such connection. */
  join(input: JoinInput): Promise<Joined | undefined>;
  /** The round's reauthorizeConnection Workflow has been signalled. */
  announced(connectionId: string, round: number): Promise<void>;
  /** The probe has refused this version of the key. */
  refuse(connectionId: string, keyVersion: number): Promise<void>;
  /** Ends the round and answers the ids of the Workflows to release. */
  settle(input: SettleInput): Promise<string[]>;
  /**
   * A Workflow waits no more. With `round`: unless it has entered again since, because it was released, tried, and
   * met the next 401 at once.
   */
  leave(connectionId: string, workflowId: string, round?: number): Promise<void>;
}

export function createReauthorizations(db: Database): Reauthorizations {
  return {
    join: ({ connectionId, workflowId, refusedVersion }) =>
      db.transaction(async (tx) => {
        const connection = await lock(tx, connectionId);
        if (connection === undefined) return undefined;
        const awaiting = connection.status === 'awaiting_reauthorization';
        // A key that came too late for its round, and was not probed, is probed by the next one.
        // And a version that there is not was the key of a connection that was removed.
        if (connection.status === 'active' && connection.keyVersion !== refusedVersion) {
          return { decision: 'proceed', announce: false, round: connection.round };
        }
        const round = awaiting ? connection.round : connection.round + 1;
        if (!awaiting) {
          await tx
            .update(connections)
            .set({
              status: 'awaiting_reauthorization',
              reauthorizationRound: round,
              refusedVersion,
              awaitingSince: sql`now()`,
              announced: false,
            })
            .where(eq(connections.id, connectionId));
        }
        if (workflowId !== undefined) {
          await tx
            .insert(waitingWorkflows)
            .values({ connectionId, workflowId, round })
            .onConflictDoUpdate({
              target: [waitingWorkflows.connectionId, waitingWorkflows.workflowId],
              set: { round },
            });
        }
        const [{ announced } = { announced: false }] = await tx
          .select({ announced: connections.announced })
          .from(connections)
          .where(eq(connections.id, connectionId));
        return { decision: 'wait', announce: !announced, round };
      }),

    async announced(connectionId, round) {
      await db
        .update(connections)
        .set({ announced: true })
        .where(and(eq(connections.id, connectionId), eq(connections.reauthorizationRound, round)));
    },

    async refuse(connectionId, keyVersion) {
      await db
        .update(connections)
        .set({ refusedVersion: sql`greatest(${connections.refusedVersion}, ${keyVersion})` })
        .where(eq(connections.id, connectionId));
    },

    settle: ({ connectionId, round, outcome }) =>
      db.transaction(async (tx) => {
        const connection = await lock(tx, connectionId);
        if (connection?.status === 'awaiting_reauthorization' && connection.round === round) {
          await tx
            .update(connections)
            .set({ status: outcome === 'reauthorized' ? 'active' : 'reauthorization_expired', awaitingSince: null })
            .where(eq(connections.id, connectionId));
        }
        const waiting = await tx
          .select({ workflowId: waitingWorkflows.workflowId })
          .from(waitingWorkflows)
          .where(and(eq(waitingWorkflows.connectionId, connectionId), lte(waitingWorkflows.round, round)));
        return waiting.map(({ workflowId }) => workflowId);
      }),

    async leave(connectionId, workflowId, round) {
      await db
        .delete(waitingWorkflows)
        .where(
          and(
            eq(waitingWorkflows.connectionId, connectionId),
            eq(waitingWorkflows.workflowId, workflowId),
            round === undefined ? undefined : lte(waitingWorkflows.round, round),
          ),
        );
    },
  };
}

async function lock(tx: Database, connectionId: string): Promise<Connection | undefined> {
  const [row] = await tx.select().from(connections).where(eq(connections.id, connectionId)).for('update');
  return row === undefined ? undefined : toConnection(row);
}
