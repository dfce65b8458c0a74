/** How fast each connection, and we as Maesn's client, may ask: one row a scope, which all Workers share. */
import { inArray, sql } from 'drizzle-orm';
import { NEW_PACE, reserve, slowDown, speedUp } from '../spec/pace.js';
import type { PaceState, PaceStates, ScopedLimit } from '../spec/pace.js';
import type { Database } from './database.js';
import { paces } from './schema.js';

export interface ReservedTurns {
  /** Milliseconds from now, ascending. */
  readonly waitsMs: readonly number[];
  /** Whether a scope is slower than its limit, because of a 429. */
  readonly isSlow: boolean;
}

export interface Paces {
  /** Reserves turns by the database's clock, so that Workers whose clocks differ agree. */
  reserve(limits: readonly ScopedLimit[], count: number): Promise<ReservedTurns>;
  slowDown(scopes: readonly string[]): Promise<void>;
  speedUp(scopes: readonly string[], answers: number): Promise<void>;
}

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
          nowMs: sql<string>`extract(epoch from clock_timestamp()) * 1000`,
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

  return {
    reserve: (limits, count) =>
      change(
        limits.map(({ scope }) => scope),
        (given, nowMs) => {
          const { states, times } = reserve(given, limits, count, nowMs);
          const isSlow = Object.values(states).some(({ slowdown }) => slowdown > 1);
          return { states, result: { waitsMs: times.map((time) => time - nowMs), isSlow } };
        },
      ),
    slowDown: (scopes) => changeEach(scopes, slowDown),
    speedUp: (scopes, answers) => changeEach(scopes, (state) => speedUp(state, answers)),
  };
}
