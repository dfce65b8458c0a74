/**
 * A stand-in for your application: it receives the events that maesn-sync delivers, as you would, verifies them, and takes
 * each one once.
 */
import { randomBytes } from 'node:crypto';
import { serve } from '@hono/node-server';
import { Hono } from 'hono';
import { Webhook, WebhookVerificationError } from 'standardwebhooks';
import { z } from 'zod';

const receivedEvent = z.object({
  type: z.string(),
  timestamp: z.iso.datetime(),
  // An incident is of no single connection.
  data: z.looseObject({ connectionId: z.string().optional() }),
});

export type ReceivedEvent = z.infer<typeof receivedEvent>;

export interface ApplicationOptions {
  /** Called once for every event, in the order in which they come. One that it throws at is not taken, and comes again. */
  readonly onEvent: (event: ReceivedEvent, id: string) => void | Promise<void>;
  /** Asked for each event that comes: `false` answers it with 503. Default: all are taken. */
  readonly isTaking?: () => boolean;
}

export interface Application {
  /** What the configuration must say to have events delivered here. */
  readonly overrides: {
    readonly MAESN_SYNC_EVENTS_URL: string;
    readonly MAESN_SYNC_EVENTS_SECRET: string;
    readonly MAESN_SYNC_EVENTS_ALLOW_PRIVATE: string;
  };
  close(): Promise<void>;
}

export async function startApplication({ onEvent, isTaking = () => true }: ApplicationOptions): Promise<Application> {
  const secret = `whsec_${randomBytes(32).toString('base64')}`;
  const webhook = new Webhook(secret);
  const taken = new Set<string>();
  const app = new Hono();

  app.post('/events', async (c) => {
    if (!isTaking()) return c.text('Not now.', 503);
    const headers = c.req.header();
    let event: ReceivedEvent;
    try {
      event = receivedEvent.parse(webhook.verify(await c.req.text(), headers));
    } catch (error) {
      if (error instanceof WebhookVerificationError) return c.text('That is not signed by maesn-sync.', 401);
      throw error;
    }
    // An answer can be lost on its way: then the same event comes again, under the same id.
    const id = headers['webhook-id'] ?? '';
    if (!taken.has(id)) {
      await onEvent(event, id);
      taken.add(id);
    }
    return c.body(null, 204);
  });

  const { port, close } = await new Promise<{ port: number; close: () => Promise<void> }>((resolve, reject) => {
    const server = serve({ fetch: app.fetch, hostname: '127.0.0.1', port: 0 }, (address) =>
      resolve({ port: address.port, close: () => new Promise((closed) => server.close(() => closed())) }),
    );
    server.once('error', reject);
  });
  return {
    overrides: {
      MAESN_SYNC_EVENTS_URL: `http://127.0.0.1:${port}/events`,
      MAESN_SYNC_EVENTS_SECRET: secret,
      MAESN_SYNC_EVENTS_ALLOW_PRIVATE: 'true',
    },
    close,
  };
}
