import { closest, distance } from 'fastest-levenshtein';

/** The one that was most likely meant: that with the fewest letters to change, add or leave out; `undefined` when none is near. */
export function nearest(typed: string, known: readonly string[]): string | undefined {
  const best = closest(typed, known);
  return distance(typed, best) <= Math.ceil(typed.length / 3) ? best : undefined;
}
