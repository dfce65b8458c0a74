/** How long a body may be. */
import type { MiddlewareHandler } from 'hono';
import { bodyLimit } from 'hono/body-limit';
import type { BackendEnv } from './access.js';
import { tooLarge } from './problem.js';

const MAX_BODY_BYTES = 256 * 1024;

/** Of what is to be written: files come in it, a third longer than they are. */
export const MAX_WRITE_MIB = 25;

const NEW_WRITE = /^\/connections\/[^/]+\/write(?:s|-batches)$/;

export function limitBody(): MiddlewareHandler<BackendEnv> {
  const usual = limitTo(MAX_BODY_BYTES);
  const write = limitTo(MAX_WRITE_MIB * 1024 * 1024);
  return (c, next) => (c.req.method === 'POST' && NEW_WRITE.test(c.req.path) ? write : usual)(c, next);
}

export function limitTo(maxSize: number): MiddlewareHandler<BackendEnv> {
  return bodyLimit({ maxSize, onError: (c) => tooLarge(c, maxSize) });
}
