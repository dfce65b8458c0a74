/**
 * When the next requests may be sent so that no limit of a target system is exceeded, whoever sends them. Pure: the state
 * of a scope (a connection, or us as Maesn's client) is a row in the store that all Workers share.
 */
import type { LeaseState } from './lease.js';
import type { RateLimit } from './target-systems.js';

/** How many there were in each part of a window, by the number of that part since 1970. */
export type Slots = Readonly<Record<string, number>>;

/** What is remembered of one scope. Plain JSON. */
export interface PaceState {
  /** Of limits up to an hour: when the next request may be sent, in milliseconds since 1970, by limit. */
  readonly nextAt: Readonly<Record<string, number>>;
  /** Of longer limits, and of errors: how many there were, by limit and slot. */
  readonly used: Readonly<Record<string, Slots>>;
  /** How many times slower than the limit: 1, more after a 429. */
  readonly slowdown: number;
  /** Of errors: requests that are under way, each of which may bring one, and until when at most, in milliseconds since 1970. */
  readonly inFlight?: Readonly<Record<string, number>>;
  /** Of a target system that runs one request at a time: who has the right to it. */
  readonly lease?: LeaseState;
}

export interface ScopedLimit {
  readonly scope: string;
  readonly limit: RateLimit;
}

export type PaceStates = Readonly<Record<string, PaceState>>;

export const NEW_PACE: PaceState = { nextAt: {}, used: {}, slowdown: 1 };

const HOUR_MS = 3_600_000;
/** A longer window is counted in this many slots: the unknown part of the oldest one is taken for full. */
const SLOTS = 48;
/** Requests that leave evenly spaced do not arrive so: a little air between them keeps them from crowding a window. */
const AIR = 1.03;
const SLOWEST = 16;
const FASTER = 0.95;

/** Limits up to an hour are kept by spacing; a day's budget is not spread over the day: the first sync would crawl. */
function isSpaced({ perMs }: RateLimit): boolean {
  return perMs <= HOUR_MS;
}

/** Names a limit within its scope. */
export function nameOf({ requests, perMs }: RateLimit): string {
  return `${requests}/${perMs}`;
}

/** A turn that is too far away to be reserved. */
export interface FarTurn {
  /** In milliseconds since 1970. */
  readonly at: number;
  /** Of several limits, the one that has room last. */
  readonly limit: RateLimit;
}

export interface Reservation {
  readonly states: PaceStates;
  /** When each of the requests may be sent, in milliseconds since 1970, ascending. */
  readonly times: readonly number[];
  /** What comes after `times`, where those are fewer than were wanted. */
  readonly far?: FarTurn;
}

/** Reserves up to `count` requests, none before `nowMs`, and none later than `withinMs` after it: such a turn may be lost for nothing. */
export function reserve(
  given: PaceStates,
  limits: readonly ScopedLimit[],
  count: number,
  nowMs: number,
  withinMs = Infinity,
): Reservation {
  let states = given;
  const times: number[] = [];
  for (let index = 0; index < count; index += 1) {
    const { at, limit } = earliest(states, limits, nowMs);
    if (limit !== undefined && at - nowMs > withinMs) return { states, times, far: { at, limit } };
    states = take(states, limits, at, nowMs);
    times.push(at);
  }
  return { states, times };
}

/** When all limits have room, and the one that has it last; none: it is now. */
function earliest(
  states: PaceStates,
  limits: readonly ScopedLimit[],
  nowMs: number,
): Partial<FarTurn> & { at: number } {
  let at = nowMs;
  let last: RateLimit | undefined;
  for (let isLater = true; isLater;) {
    isLater = false;
    for (const { scope, limit } of limits) {
      const free = roomAt(states[scope] ?? NEW_PACE, limit, at);
      if (free > at) {
        at = free;
        last = limit;
        isLater = true;
      }
    }
  }
  return last === undefined ? { at } : { at, limit: last };
}

/** When this limit has room, at or after `at`. */
function roomAt({ nextAt, used }: PaceState, limit: RateLimit, at: number): number {
  const name = nameOf(limit);
  return isSpaced(limit) ? Math.max(at, nextAt[name] ?? 0) : freeAt(used[name], limit, at);
}

/** When fewer than the limit are counted, at or after `at`. */
export function freeAt(slots: Slots | undefined, limit: RateLimit, at: number): number {
  const slotMs = limit.perMs / SLOTS;
  const counted = countedAt(slots, limit.perMs, at);
  let total = counted.reduce((sum, { requests }) => sum + requests, 0);
  let free = at;
  for (const { slot, requests } of counted) {
    if (total < limit.requests) break;
    total -= requests;
    free = (slot + 1) * slotMs + limit.perMs;
  }
  return free;
}

/** What a window that ends at `at` may hold. */
function countedAt(slots: Slots = {}, perMs: number, at: number) {
  const slotMs = perMs / SLOTS;
  return Object.entries(slots)
    .map(([slot, requests]) => ({ slot: Number(slot), requests }))
    .filter(({ slot }) => (slot + 1) * slotMs > at - perMs)
    .toSorted((a, b) => a.slot - b.slot);
}

function take(states: PaceStates, limits: readonly ScopedLimit[], at: number, nowMs: number): PaceStates {
  const next: Record<string, PaceState> = { ...states };
  for (const { scope, limit } of limits) {
    const state = next[scope] ?? NEW_PACE;
    const name = nameOf(limit);
    if (isSpaced(limit)) {
      const intervalMs = (limit.perMs / limit.requests) * AIR * state.slowdown;
      next[scope] = { ...state, nextAt: { ...state.nextAt, [name]: at + intervalMs } };
    } else {
      next[scope] = { ...state, used: { ...state.used, [name]: countOne(state.used[name], limit.perMs, at, nowMs) } };
    }
  }
  return next;
}

/** One more in the slot of `at`, which may be tomorrow; slots that no window reaches any more, now, are forgotten. */
export function countOne(slots: Slots = {}, perMs: number, at: number, nowMs: number): Slots {
  const current = String(Math.floor(at / (perMs / SLOTS)));
  const kept = countedAt(slots, perMs, nowMs).map(({ slot, requests }) => [slot, requests] as const);
  return { ...Object.fromEntries(kept), [current]: (slots[current] ?? 0) + 1 };
}

/** After a 429: half as fast, within bounds. What the table says is what a vendor has published, not what it does. */
export function slowDown(state: PaceState): PaceState {
  return { ...state, slowdown: Math.min(SLOWEST, state.slowdown * 2) };
}

/** After requests that were answered: back towards the limit, never beyond it. */
export function speedUp(state: PaceState, answers: number): PaceState {
  return { ...state, slowdown: Math.max(1, state.slowdown * FASTER ** answers) };
}
