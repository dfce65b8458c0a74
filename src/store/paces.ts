/** How fast each connection, and we as Maesn's client, may ask: one row a scope, which all Workers share. */
import { inArray, sql } from 'drizzle-orm';
import { errorBudgetAt, giveErrorRoom, takeErrorRoom } from '../spec/error-budget.js';
import { FREE_LEASE, extendLease, passLease, takeLease } from '../spec/lease.js';
import type { LeaseState, LeaseWanted } from '../spec/lease.js';
import { NEW_PACE, reserve, slowDown, speedUp } from '../spec/pace.js';
import type { PaceState, PaceStates, ScopedLimit } from '../spec/pace.js';
import type { ErrorLimit, RateLimit } from '../spec/target-systems.js';
import type { Database } from './database.js';
import { paces } from './schema.js';

export interface ReservedTurns {
  /** Milliseconds from now, ascending. */
  readonly waitsMs: readonly number[];
  /** The turn after those, where it was too far away to be reserved, and the limit that has no room before. */
  readonly far?: { readonly waitMs: number; readonly limit: RateLimit } | undefined;
  /** Whether a scope is slower than its limit, because of a 429. */
  readonly isSlow: boolean;
}

export interface ErrorRoomTaken {
  readonly granted: boolean;
  /** Milliseconds until errors that were met leave room; 0: what is under way keeps it, ask again soon. */
  readonly spentForMs: number;
}

export interface Paces {
  /**
   * Reserves up to so many turns, none further away than `withinMs`, by the database's clock, so that Workers whose clocks
   * differ agree.
   */
  reserve(limits: readonly ScopedLimit[], count: number, withinMs?: number): Promise<ReservedTurns>;
  slowDown(scopes: readonly string[]): Promise<void>;
  speedUp(scopes: readonly string[], answers: number): Promise<void>;
  /** Takes room for the error that a request of this scope may bring. */
  takeErrorRoom(scope: string, limit: ErrorLimit, wanted: LeaseWanted): Promise<ErrorRoomTaken>;
  /** The request is over, and brought an error or not. */
  giveErrorRoom(scope: string, limit: ErrorLimit, given: { holder: string; isError: boolean }): Promise<void>;
  /** Takes the lease of this scope, or extends it for who holds it. `false`: another one holds it; ask again soon. */
  takeLease(scope: string, wanted: LeaseWanted): Promise<boolean>;
  /** For as long as what it was taken for takes. */
  extendLease(scope: string, wanted: LeaseWanted): Promise<void>;
  /** Gives the lease back, or on to `next`. */
  passLease(scope: string, holder: string, next?: LeaseWanted): Promise<void>;
}

const NOW_MS = sql<string>`extract(epoch from clock_timestamp()) * 1000`;

export function createPaces(db: Database): Paces {
  /** Changes the states of scopes while nobody else can; in order of name, so that two that overlap never wait for each other. */
  const change = <Result>(
    scopes: readonly string[],
    toNext: (states: PaceStates, nowMs: number) => { readonly states: PaceStates; readonly result: Result },
  ): Promise<Result> =>
    db.transaction(async (tx) => {
      const names = [...new Set(scopes)].toSorted();
      await tx
        .insert(paces)
        .values(names.map((scope) => ({ scope, state: NEW_PACE })))
        .onConflictDoNothing();
      const rows = await tx
        .select({
          scope: paces.scope,
          state: paces.state,
          nowMs: NOW_MS,
        })
        .from(paces)
        .where(inArray(paces.scope, names))
        .orderBy(paces.scope)
        .for('update');
      const states = Object.fromEntries(rows.map(({ scope, state }) => [scope, state]));
      // Read while the lock was waited for, the clock of the first row can be behind: the last one counts.
      const nowMs = Math.max(...rows.map((row) => Number(row.nowMs)));
      const { states: next, result } = toNext(states, nowMs);
      for (const scope of names) {
        const state = next[scope];
        if (state !== undefined && state !== states[scope]) {
          await tx
            .update(paces)
            .set({ state })
            .where(inArray(paces.scope, [scope]));
        }
      }
      return result;
    });

  const changeEach = (scopes: readonly string[], toState: (state: PaceState) => PaceState) =>
    change(scopes, (states) => ({
      states: Object.fromEntries(Object.entries(states).map(([scope, state]) => [scope, toState(state)])),
      result: undefined,
    }));

  const changeLease = (scope: string, toLease: (lease: LeaseState, nowMs: number) => LeaseState) =>
    change([scope], (states, nowMs) => {
      const state = states[scope] ?? NEW_PACE;
      const lease = toLease(state.lease ?? FREE_LEASE, nowMs);
      return { states: { ...states, [scope]: { ...state, lease } }, result: undefined };
    });

  return {
    reserve: (limits, count, withinMs) =>
      change(
        limits.map(({ scope }) => scope),
        (given, nowMs) => {
          const { states, times, far } = reserve(given, limits, count, nowMs, withinMs);
          const isSlow = Object.values(states).some(({ slowdown }) => slowdown > 1);
          const waitsMs = times.map((time) => time - nowMs);
          return { states, result: { waitsMs, far: far && { waitMs: far.at - nowMs, limit: far.limit }, isSlow } };
        },
      ),
    slowDown: (scopes) => changeEach(scopes, slowDown),
    speedUp: (scopes, answers) => changeEach(scopes, (state) => speedUp(state, answers)),

    takeErrorRoom: (scope, limit, wanted) =>
      change([scope], (states, nowMs) => {
        const before = states[scope] ?? NEW_PACE;
        const { state, granted } = takeErrorRoom(before, limit, wanted, nowMs);
        const spentForMs = errorBudgetAt(before, limit, nowMs) - nowMs;
        return { states: { [scope]: state }, result: { granted, spentForMs } };
      }),
    giveErrorRoom: (scope, limit, given) =>
      change([scope], (states, nowMs) => ({
        states: { [scope]: giveErrorRoom(states[scope] ?? NEW_PACE, limit, given, nowMs) },
        result: undefined,
      })),

    takeLease: (scope, wanted) =>
      change([scope], (states, nowMs) => {
        const state = states[scope] ?? NEW_PACE;
        const { state: lease, granted } = takeLease(state.lease ?? FREE_LEASE, wanted, nowMs);
        return { states: { [scope]: { ...state, lease } }, result: granted };
      }),
    extendLease: (scope, wanted) => changeLease(scope, (lease, nowMs) => extendLease(lease, wanted, nowMs)),
    passLease: (scope, holder, next) => changeLease(scope, (lease, nowMs) => passLease(lease, holder, next, nowMs)),
  };
}
