/** Numbers that look random and are a pure function of a seed, so that two sandboxes hold the same books. */

/** Murmur3's 32-bit finalizer: neighbouring inputs give unrelated outputs. */
export function mix(value: number): number {
  let mixed = value;
  mixed = Math.imul(mixed ^ (mixed >>> 16), 0x85_eb_ca_6b);
  mixed = Math.imul(mixed ^ (mixed >>> 13), 0xc2_b2_ae_35);
  return (mixed ^ (mixed >>> 16)) >>> 0;
}

/** FNV-1a, 32 bits. */
export function hashText(text: string): number {
  let hash = 0x81_1c_9d_c5;
  for (let index = 0; index < text.length; index += 1) hash = Math.imul(hash ^ text.charCodeAt(index), 0x01_00_01_93);
  return mix(hash);
}

export class Draw {
  #state: number;

  constructor(seed: number) {
    this.#state = seed;
  }

  /** In [0, 1). */
  fraction(): number {
    // The golden ratio's step visits all 2^32 states before it repeats.
    this.#state = (this.#state + 0x9e_37_79_b9) | 0;
    return mix(this.#state) / 2 ** 32;
  }

  /** Both ends included. */
  integer(min: number, max: number): number {
    return min + Math.floor(this.fraction() * (max - min + 1));
  }

  /** With two decimals. */
  amount(min: number, max: number): number {
    return this.integer(min * 100, max * 100) / 100;
  }

  /** Digits, the first of which is not 0. */
  digits(count: number): string {
    let text = String(this.integer(1, 9));
    while (text.length < count) text += String(this.integer(0, 9));
    return text;
  }

  /** One of a list that holds at least one value. */
  pick<const List extends readonly [unknown, ...unknown[]]>(values: List): List[number] {
    return values[this.integer(0, values.length - 1)];
  }
}

export function toCents(amount: number): number {
  return Math.round(amount * 100) / 100;
}
