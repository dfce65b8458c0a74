/** The one that was most likely meant: that with the fewest letters to change, add or leave out; `undefined` when none is near. */
export function nearest(typed: string, known: readonly string[]): string | undefined {
  const [best] = known
    .map((name) => ({ name, changes: changesBetween(typed, name) }))
    .toSorted((a, b) => a.changes - b.changes);
  return best !== undefined && best.changes <= Math.ceil(typed.length / 3) ? best.name : undefined;
}

/** Levenshtein's distance, a row of his table at a time. */
function changesBetween(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, index) => index);
  for (const letter of a.split('')) {
    const next = [(row[0] ?? 0) + 1];
    for (const [index, other] of b.split('').entries()) {
      const changed = (row[index] ?? 0) + (letter === other ? 0 : 1);
      next.push(Math.min(changed, (row[index + 1] ?? 0) + 1, (next[index] ?? 0) + 1));
    }
    row = next;
  }
  return row.at(-1) ?? 0;
}
