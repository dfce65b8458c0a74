/** How long a body may be: whoever is let in without a token must not fill the memory either. */
import type { MiddlewareHandler } from 'hono';
import { bodyLimit } from 'hono/body-limit';
import type { BackendEnv } from './access.js';
import { CODEC_PATH } from './codec.js';
import { tooLarge } from './problem.js';

const MIB = 1024 * 1024;
const MAX_BODY_BYTES = MIB / 4;

/** Of what is to be written: files come in it, a third longer than they are. */
export const MAX_WRITE_MIB = 25;

/** Of paths that take more, or less, than all others. */
const LIMITS: readonly (readonly [RegExp, number])[] = [
  [/^\/connections\/[^/]+\/write(?:s|-batches)$/, MAX_WRITE_MIB * MIB],
  // Temporal takes messages of at most 4 MiB, which is 5.4 MiB in base64.
  [new RegExp(`^${CODEC_PATH}/`), 8 * MIB],
  [/^\/webhooks\//, MIB],
  [/^\/callback\//, MIB / 16],
];

export function limitBody(): MiddlewareHandler<BackendEnv> {
  const usual = limitTo(MAX_BODY_BYTES);
  const others = LIMITS.map(([path, bytes]) => ({ path, limit: limitTo(bytes) }));
  return (c, next) => (others.find(({ path }) => path.test(c.req.path))?.limit ?? usual)(c, next);
}

function limitTo(maxSize: number): MiddlewareHandler<BackendEnv> {
  return bodyLimit({ maxSize, onError: (c) => tooLarge(c, maxSize) });
}
