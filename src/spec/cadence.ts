/** How often a repeating sync runs. */

const DAY_MS = 24 * 60 * 60_000;

/** More is no time that a clock can tell. */
export const MAXIMUM_EVERY_MS = 999 * DAY_MS;

/**
 * Milliseconds from the start of a cycle to the start of the next, after so many in a row that brought nothing at all:
 * twice as long for each, at most a day, never less than was asked for.
 */
export function cycleIntervalMs(everyMs: number, failedCycles: number): number {
  return Math.max(everyMs, Math.min(everyMs * 2 ** failedCycles, DAY_MS));
}
