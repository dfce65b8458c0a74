import { setTimeout as sleep } from 'node:timers/promises';

/** Asks until the answer is something; `undefined` when that took longer than the limit. An error is no answer. */
export async function until<Answer>(
  ask: () => Promise<Answer | undefined | false> | Answer | undefined | false,
  limitMs: number,
  everyMs = 200,
): Promise<Answer | undefined> {
  for (const end = Date.now() + limitMs; ;) {
    const answer = await Promise.resolve()
      .then(ask)
      .catch(() => undefined);
    if (answer !== undefined && answer !== false) return answer;
    if (Date.now() > end) return undefined;
    await sleep(everyMs);
  }
}
