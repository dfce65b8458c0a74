/** Logins that an end user has been sent to. The state on the callback URL counts once, for one connection, for a while. */
import { createHash, randomBytes } from 'node:crypto';
import { and, eq, gt, isNull, sql } from 'drizzle-orm';
import type { Database } from './database.js';
import { logins } from './schema.js';
import type { LoginOutcome } from './schema.js';

export interface Login {
  readonly connectionId: string;
  readonly askedForBy: string;
  readonly expiresAt: Date;
  readonly usedAt: Date | null;
  readonly outcome: LoginOutcome | null;
}

export interface Logins {
  /** The state: 43 characters, told to nobody but the callback URL. */
  begin(input: Pick<Login, 'connectionId' | 'askedForBy' | 'expiresAt'>): Promise<string>;
  /** `undefined`: there never was such a login. */
  find(state: string): Promise<Login | undefined>;
  /** Uses the state up. `undefined`: it is unknown, used or expired; nothing was changed. */
  use(state: string, outcome: LoginOutcome): Promise<Login | undefined>;
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

export function createLogins(db: Database): Logins {
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

    async use(state, outcome) {
      const [login] = await db
        .update(logins)
        .set({ usedAt: sql`now()`, outcome })
        .where(and(eq(logins.stateHash, hashToken(state)), isNull(logins.usedAt), gt(logins.expiresAt, sql`now()`)))
        .returning(COLUMNS);
      return login;
    },

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
