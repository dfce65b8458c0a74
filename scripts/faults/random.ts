import { createHash } from 'node:crypto';

/** The same seed draws the same. */
export interface Random {
  /** In [0, 1). */
  next(): number;
  pick<Item>(items: readonly Item[]): Item;
}

export function createRandom(seed: string): Random {
  let draws = 0;
  const next = () => {
    draws += 1;
    return createHash('sha256').update(`${seed} ${draws}`).digest().readUInt32BE() / 2 ** 32;
  };
  return {
    next,
    pick(items) {
      const item = items[Math.floor(next() * items.length)];
      if (item === undefined) throw new RangeError('there is nothing to pick from');
      return item;
    },
  };
}
