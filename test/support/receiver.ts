/**
 * An application that receives events, as its backend would: a real HTTP server that verifies every signature with the
 * library of Standard Webhooks. What it answers, the test says.
 */
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import { text } from 'node:stream/consumers';
import { Webhook, WebhookVerificationError } from 'standardwebhooks';
import { z } from 'zod';
import { EVENT_TYPES } from '../../src/store/index.js';

const bodySchema = z.strictObject({
  type: z.enum(EVENT_TYPES),
  timestamp: z.iso.datetime(),
  data: z.looseObject({ connectionId: z.string().optional() }),
});

export interface Delivery extends z.infer<typeof bodySchema> {
  /** `webhook-id` */
  readonly id: string;
  /** As it came. */
  readonly body: string;
}

/**
 * A status; `slow`: no answer, ever; `closes`: the connection, without having read the event; `takes and closes`: it has
 * taken the event, but its answer is lost.
 */
export type Answer = number | 'slow' | 'closes' | 'takes and closes';

export interface Receiver {
  readonly url: string;
  readonly secret: string;
  /** What the configuration must say to have events sent here. */
  readonly overrides: Readonly<
    Record<'MAESN_SYNC_EVENTS_URL' | 'MAESN_SYNC_EVENTS_SECRET' | 'MAESN_SYNC_EVENTS_ALLOW_PRIVATE', string>
  >;
  /** Every delivery whose signature is right, whatever was answered. */
  readonly sent: readonly Delivery[];
  /** Those that it has taken, in that order. */
  readonly taken: readonly Delivery[];
  /** Requests whose signature is wrong; answered with 401. */
  readonly forged: readonly string[];
  /** Where it sends with a 3xx, and how many requests have arrived there. */
  readonly elsewhere: string;
  readonly redirected: number;
  /** From now on. */
  answer(answer: Answer | ((delivery: Delivery) => Answer)): void;
  /** Nobody listens any more. */
  down(): Promise<void>;
  /** Changes nothing where somebody listens. */
  up(): Promise<void>;
  close(): Promise<void>;
}

export function newSecret(): string {
  return `whsec_${randomBytes(32).toString('base64')}`;
}

export async function startReceiver({ secret = newSecret() } = {}): Promise<Receiver> {
  const webhook = new Webhook(secret);
  const sent: Delivery[] = [];
  const taken: Delivery[] = [];
  const forged: string[] = [];
  let redirected = 0;
  let answerTo: (delivery: Delivery) => Answer = () => 204;

  async function receive(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const body = await text(request);
    const delivery = verified(request, body);
    if (delivery === undefined) {
      forged.push(body);
      response.writeHead(401).end();
      return;
    }
    sent.push(delivery);
    const answer = answerTo(delivery);
    if (answer === 'slow') return;
    if (answer === 'closes') return void request.socket.destroy();
    if (answer === 'takes and closes' || (answer >= 200 && answer < 300)) taken.push(delivery);
    if (answer === 'takes and closes') return void request.socket.destroy();
    response.writeHead(answer, answer >= 300 && answer < 400 ? { location: '/elsewhere' } : {}).end();
  }

  function verified(request: IncomingMessage, body: string): Delivery | undefined {
    try {
      const headers = z.record(z.string(), z.string()).parse(request.headers);
      const payload = bodySchema.parse(webhook.verify(body, headers));
      return { id: headers['webhook-id'] ?? '', body, ...payload };
    } catch (error) {
      if (error instanceof WebhookVerificationError) return undefined;
      throw error;
    }
  }

  let server: Server | undefined;
  let port = 0;
  async function up(): Promise<void> {
    if (server?.listening === true) return;
    server = createServer((request, response) => {
      if (request.url === '/elsewhere') {
        redirected += 1;
        response.end();
        return;
      }
      receive(request, response).catch((error: unknown) => response.writeHead(400).end(String(error)));
    });
    server.listen(port, '127.0.0.1');
    await once(server, 'listening');
    const address = server.address();
    port = typeof address === 'object' && address !== null ? address.port : port;
  }

  async function down(): Promise<void> {
    if (server?.listening !== true) return;
    const closed = once(server, 'close');
    server.close();
    server.closeAllConnections();
    await closed;
  }

  await up();
  const url = `http://127.0.0.1:${port}/hooks`;
  return {
    url,
    secret,
    overrides: {
      MAESN_SYNC_EVENTS_URL: url,
      MAESN_SYNC_EVENTS_SECRET: secret,
      MAESN_SYNC_EVENTS_ALLOW_PRIVATE: 'true',
    },
    sent,
    taken,
    forged,
    elsewhere: `http://127.0.0.1:${port}/elsewhere`,
    get redirected() {
      return redirected;
    },
    answer(answer) {
      answerTo = typeof answer === 'function' ? answer : () => answer;
    },
    down,
    up,
    close: down,
  };
}
