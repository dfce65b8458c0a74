/** Logins that an end user has been sent to. The state on the callback URL counts once, for one connection, for a while. */
import { createHash, randomBytes } from 'node:crypto';
import { and, eq, gt, isNull, sql } from 'drizzle-orm';
import { createConnections } from './connections.js';
import type { Database } from './database.js';
import { enter } from './journal.js';
import { logins } from './schema.js';
import type { JournalAction, LoginOutcome } from './schema.js';
import type { Sealing } from './sealing.js';

export interface Login {
  readonly connectionId: string;
  readonly askedForBy: string;
  readonly expiresAt: Date;
  readonly usedAt: Date | null;
  readonly outcome: LoginOutcome | null;
}

export interface UseLoginInput {
  readonly outcome: LoginOutcome;
  readonly actor: string;
  readonly accountKey?: string;
  /** Why it failed. */
  readonly reason?: string;
}

const ACTIONS: Readonly<Record<LoginOutcome, JournalAction>> = {
  posted: 'login.completed',
  connected: 'login.completed',
  cancelled: 'login.cancelled',
  failed: 'login.failed',
};

export interface Logins {
  /** The state: 43 characters, told to nobody but the callback URL. */
  begin(input: Pick<Login, 'connectionId' | 'askedForBy' | 'expiresAt'>): Promise<string>;
  /** `undefined`: there never was such a login. */
  find(state: string): Promise<Login | undefined>;
  /**
   * Uses the state up, enters what it has come to, and stores the account key that came with it: all of it or nothing.
   * `undefined`: it is unknown, used or expired; nothing was changed.
   */
  use(state: string, input: UseLoginInput): Promise<Login | undefined>;
  /** The end user of a login that was `posted` is back, for the first time. */
  welcome(state: string): Promise<Login | undefined>;
}

const COLUMNS = {
  connectionId: logins.connectionId,
  askedForBy: logins.askedForBy,
  expiresAt: logins.expiresAt,
  usedAt: logins.usedAt,
  outcome: logins.outcome,
};

export function createLogins(db: Database, sealing: Sealing): Logins {
  return {
    async begin(login) {
      const state = randomBytes(32).toString('base64url');
      await db.insert(logins).values({ stateHash: hashToken(state), ...login });
      return state;
    },

    async find(state) {
      const [login] = await db
        .select(COLUMNS)
        .from(logins)
        .where(eq(logins.stateHash, hashToken(state)));
      return login;
    },

    use: (state, { outcome, actor, accountKey, reason }) =>
      db.transaction(async (tx) => {
        const [login] = await tx
          .update(logins)
          .set({ usedAt: sql`now()`, outcome })
          .where(and(eq(logins.stateHash, hashToken(state)), isNull(logins.usedAt), gt(logins.expiresAt, sql`now()`)))
          .returning(COLUMNS);
        if (login === undefined) return undefined;
        const { connectionId } = login;
        const detail = reason === undefined ? {} : { reason };
        await enter(tx, { connectionId, actor, action: ACTIONS[outcome], detail });
        if (accountKey !== undefined) await createConnections(tx, sealing).storeKey(connectionId, accountKey, actor);
        return login;
      }),

    async welcome(state) {
      const [login] = await db
        .update(logins)
        .set({ outcome: 'connected' })
        .where(and(eq(logins.stateHash, hashToken(state)), eq(logins.outcome, 'posted')))
        .returning(COLUMNS);
      return login;
    },
  };
}

/** What is stored of a token that somebody else holds: enough to know it again, not enough to use it. */
export function hashToken(token: string): string {
  return createHash('sha256').update(token).digest('base64url');
}
