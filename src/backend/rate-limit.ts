/** How often one caller may ask. */
import type { Context, MiddlewareHandler } from 'hono';
import { RateLimiterMemory, RateLimiterRes } from 'rate-limiter-flexible';
import type { BackendEnv } from './access.js';
import { toProblem } from './problem.js';

const PER_S = 60;
/** As many wrong guesses a minute may come from one address before it has to wait. */
const GUESSES = 60;

type Paths = (path: string) => boolean;

/** Callers are known by their token. Paths without token are for those who must come through, such as Maesn. */
export function limitRate(perMinute: number, isPublic: Paths): MiddlewareHandler<BackendEnv> {
  const calls = new RateLimiterMemory({ points: perMinute, duration: PER_S });
  return async (c, next) => {
    if (isPublic(c.req.path)) return next();
    try {
      await calls.consume(c.get('actor') ?? addressOf(c));
    } catch (limit) {
      return tooMany(c, limit);
    }
    return next();
  };
}

/**
 * Where a secret could be guessed, only what is refused counts. Not where end users and Maesn come: behind a proxy all of them are
 * one address, and what they cannot guess is 256 bits long.
 */
export function limitGuesses(isGuessable: Paths): MiddlewareHandler<BackendEnv> {
  const refusals = new RateLimiterMemory({ points: GUESSES, duration: PER_S });
  return async (c, next) => {
    if (!isGuessable(c.req.path)) return next();
    const address = addressOf(c);
    const known = await refusals.get(address);
    if (known !== null && known.consumedPoints >= GUESSES) return tooMany(c, known);
    await next();
    if (c.res.status >= 400 && c.res.status < 500) await refusals.penalty(address);
    return undefined;
  };
}

function addressOf(c: Context<BackendEnv>): string {
  return c.env.incoming?.socket.remoteAddress ?? 'unknown';
}

function tooMany(c: Context, limit: unknown): Response {
  if (!(limit instanceof RateLimiterRes)) throw limit;
  const seconds = Math.max(1, Math.ceil(limit.msBeforeNext / 1_000));
  return toProblem(c, {
    status: 429,
    title: 'Too many requests',
    detail: `Ask again in ${seconds} s.`,
    code: 'TooManyRequests',
    headers: { 'Retry-After': String(seconds) },
  });
}
