/** How often one caller may ask. Callers without a token are known by their address. */
import type { MiddlewareHandler } from 'hono';
import { RateLimiterMemory, RateLimiterRes } from 'rate-limiter-flexible';
import type { BackendEnv } from './access.js';
import { toProblem } from './problem.js';

const PER_S = 60;
/** As many answers of 4xx a minute may an address get on a public path before it has to wait. */
const PUBLIC_FAILURES = 60;

export interface RateLimitOptions {
  readonly perMinute: number;
  /** Paths whose callers have no token: there, only what was refused counts. */
  readonly isPublic: (path: string) => boolean;
}

export function limitRate({ perMinute, isPublic }: RateLimitOptions): MiddlewareHandler<BackendEnv> {
  const calls = new RateLimiterMemory({ points: perMinute, duration: PER_S });
  const failures = new RateLimiterMemory({ points: PUBLIC_FAILURES, duration: PER_S });

  return async (c, next) => {
    const address = c.env.incoming?.socket.remoteAddress ?? 'unknown';
    try {
      if (!isPublic(c.req.path)) {
        await calls.consume(c.get('actor') ?? address);
        return await next();
      }
      const known = await failures.get(address);
      if (known !== null && known.consumedPoints >= PUBLIC_FAILURES) throw known;
    } catch (limit) {
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
    await next();
    if (c.res.status >= 400 && c.res.status < 500) await failures.penalty(address);
    return undefined;
  };
}
