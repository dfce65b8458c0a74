/** A harness whose webhooks arrive: a real HTTP server on the port that Maesn is told to call. */
import { createHmac } from 'node:crypto';
import { once } from 'node:events';
import { createServer, request } from 'node:http';
import type { IncomingMessage } from 'node:http';
import { text as readText } from 'node:stream/consumers';
import { getRequestListener } from '@hono/node-server';
import { Hono } from 'hono';
import type { SandboxAccount, SandboxWebhook } from '../../sandbox/index.js';
import type { BackendEnv } from '../../src/backend/access.js';
import { limitBody } from '../../src/backend/body-limits.js';
import { createWebhookRoutes } from '../../src/backend/webhooks.js';
import { createTargetSystems } from '../../src/spec/target-systems.js';
import { webhookKinds } from '../../src/spec/webhook-resources.js';
import { startHarness } from './harness.js';
import type { Harness, HarnessOptions } from './harness.js';
import { waitFor } from './wait.js';

export interface WebhookHarness extends Harness {
  readonly publicUrl: string;
}

export async function startWebhookHarness(options: HarnessOptions = {}): Promise<WebhookHarness> {
  let listener: ReturnType<typeof getRequestListener> | undefined;
  const server = createServer((incoming, outgoing) => {
    if (listener === undefined) outgoing.writeHead(503).end();
    else void listener(incoming, outgoing);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('it listens on no port');
  const publicUrl = `http://127.0.0.1:${address.port}`;
  const harness = await startHarness({
    ...options,
    overrides: { ...options.overrides, MAESN_SYNC_PUBLIC_URL: `${publicUrl}/` },
  });
  const app = new Hono<BackendEnv>().use(limitBody()).route('/', createWebhookRoutes(harness.sync));
  listener = getRequestListener(app.fetch, { overrideGlobalObjects: false });
  return {
    ...harness,
    publicUrl,
    async close() {
      await harness.close();
      server.close();
      server.closeAllConnections();
    },
  };
}

export async function subscribed(
  { store }: Harness,
  connectionId: string,
  { targetSystem, webhooks }: SandboxAccount,
  count = webhookKinds(createTargetSystems().get(targetSystem)).length,
): Promise<void> {
  await waitFor(`all ${count} of ${webhooks.length} subscriptions are made`, async () => {
    const rows = await store.webhooks.list(connectionId);
    return rows.length === count && rows.every(({ maesnId }) => maesnId !== null);
  });
}

export function webhookOf({ webhooks }: SandboxAccount, eventType: string, resource: string): SandboxWebhook {
  const found = webhooks.findLast((webhook) => webhook.eventType === eventType && webhook.resource === resource);
  if (found === undefined) throw new Error(`nobody has subscribed to ${eventType} ${resource}`);
  return found;
}

export function sign(secret: string, body: string | Buffer, encoding: 'hex' | 'base64' = 'hex'): string {
  return createHmac('sha256', secret).update(body).digest(encoding);
}

export interface Posted {
  readonly status: number;
  readonly answer: unknown;
}

export async function post(
  url: string,
  body: string,
  signature: string | undefined,
  /** The request does not say how long it is. */
  chunked = false,
): Promise<Posted> {
  const asking = request(url, {
    method: 'POST',
    headers: {
      'content-type': 'application/json',
      ...(chunked ? { 'transfer-encoding': 'chunked' } : { 'content-length': Buffer.byteLength(body) }),
      ...(signature === undefined ? {} : { 'X-MAESN-SIGNATURE': signature }),
    },
  });
  // The answer may come before all is sent, and then the rest is cut off.
  const answered = new Promise<IncomingMessage>((resolve, reject) => {
    asking.once('response', resolve);
    asking.once('error', reject);
  });
  asking.end(body);
  const response = await answered;
  asking.on('error', () => undefined);
  const text = await readText(response);
  const answer: unknown = text.startsWith('{') ? JSON.parse(text) : text;
  return { status: response.statusCode ?? 0, answer };
}
