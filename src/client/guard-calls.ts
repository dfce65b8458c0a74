/**
 * Each call of these answers with a promise, also where one throws. Whoever makes several at once, as for `Promise.all`, would
 * else leave those behind that were made before it, and one of them that rejects ends the process.
 */
export function guardCalls<Calls extends object>(calls: Calls): Calls {
  return new Proxy(calls, {
    get(target, name) {
      const call: unknown = Reflect.get(target, name);
      if (typeof call !== 'function') return call;
      return async (...given: unknown[]): Promise<unknown> => {
        const answer: unknown = await Reflect.apply(call, target, given);
        return answer;
      };
    },
  });
}
