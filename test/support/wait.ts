/** Waits for a fact: asks until it is there. The limit is only for what will never be. */
import { setTimeout as sleep } from 'node:timers/promises';

export async function waitFor<Fact>(
  what: string,
  ask: () => Promise<Fact | undefined | false> | Fact | undefined | false,
  limitMs = 90_000,
): Promise<Fact> {
  const until = Date.now() + limitMs;
  for (;;) {
    const fact = await ask();
    if (fact !== undefined && fact !== false) return fact;
    if (Date.now() > until) throw new Error(`waited ${limitMs / 1000} s in vain: ${what}`);
    await sleep(20);
  }
}
