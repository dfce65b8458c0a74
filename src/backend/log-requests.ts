/** One line a request. Of its path the pattern: callbacks and webhooks carry secrets in theirs. */
import type { MiddlewareHandler } from 'hono';
import { routePath } from 'hono/route';
import type { Logger } from 'pino';
import type { BackendEnv } from './access.js';

export function logRequests(logger: Logger): MiddlewareHandler<BackendEnv> {
  return async (c, next) => {
    const begun = performance.now();
    await next();
    const { status } = c.res;
    const line = {
      requestId: c.get('requestId'),
      actor: c.get('actor'),
      method: c.req.method,
      // After the handler, the last matched route: the handler's own.
      route: routePath(c, -1),
      connectionId: c.req.param('id'),
      status,
      ms: Math.round(performance.now() - begun),
    };
    if (status >= 500) logger.error(line, 'request');
    else logger.info(line, 'request');
  };
}
