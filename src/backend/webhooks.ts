/**
 * Where Maesn calls when something has changed in a target system. What protects this path is the token in it, 256
 * random bits for one subscription of one connection, and the signature over the body.
 */
import { Hono } from 'hono';
import type { MaesnSync } from '../client.js';
import { errorToProblem, toProblem } from './problem.js';

const SIGNATURE_HEADER = 'X-MAESN-SIGNATURE';

/** `onFailure`: told of what is not the caller's fault; they are asked to come back. */
export function createWebhookRoutes(
  sync: Pick<MaesnSync, 'receiveWebhook'>,
  onFailure: (error: unknown) => void = () => undefined,
): Hono {
  const app = new Hono();

  app.post('/webhooks/:token', async (c) => {
    // The bytes as they came: they are what was signed.
    const body = Buffer.from(await c.req.arrayBuffer());
    const received = await sync.receiveWebhook({
      token: c.req.param('token'),
      body,
      signature: c.req.header(SIGNATURE_HEADER),
    });
    return c.json(received, 202);
  });

  app.onError((error, c) => {
    const problem = errorToProblem(c, error);
    if (problem !== undefined && problem.status < 500) return problem;
    onFailure(error);
    return toProblem(c, {
      status: 503,
      title: 'Unavailable',
      detail: 'Temporal or the store does not answer; nothing is lost, send it again.',
      code: 'Unavailable',
      headers: { 'Retry-After': '30' },
    });
  });
  return app;
}
