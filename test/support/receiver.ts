/** The application's end of events: a real server, which can be down, slow, wrong, or lose its answer. */
import { createServer } from 'node:http';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { once } from 'node:events';
import { Webhook } from 'standardwebhooks';
import { z } from 'zod';

const received = z.object({
  type: z.string(),
  timestamp: z.iso.datetime(),
  data: z.looseObject({ connectionId: z.string() }),
});

export interface Received extends z.infer<typeof received> {
  readonly id: string;
}

/** How the next requests are answered. `lostAnswer`: the event is taken, and the connection cut. */
export type ReceiverMode = number | 'cut' | 'lostAnswer' | 'redirect';

export interface Receiver {
  readonly secret: string;
  readonly overrides: Readonly<
    Record<'MAESN_SYNC_EVENTS_URL' | 'MAESN_SYNC_EVENTS_SECRET' | 'MAESN_SYNC_EVENTS_ALLOW_PRIVATE', string>
  >;
  /** Every event that was taken, in order, as often as it came. */
  readonly taken: readonly Received[];
  /** Of one connection. */
  takenOf(connectionId: string): Received[];
  /** Requests, taken or not. */
  readonly attempts: number;
  answer(mode: ReceiverMode): void;
  close(): Promise<void>;
}

const SECRET = `whsec_${Buffer.alloc(32, 7).toString('base64')}`;

export async function startReceiver(): Promise<Receiver> {
  const webhook = new Webhook(SECRET);
  const taken: Received[] = [];
  let mode: ReceiverMode = 204;
  let attempts = 0;

  async function answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    attempts += 1;
    const chunks: Buffer[] = [];
    for await (const chunk of request) if (Buffer.isBuffer(chunk)) chunks.push(chunk);
    if (mode === 'cut') return void request.socket.destroy();
    if (mode === 'redirect') return void response.writeHead(302, { location: '/elsewhere' }).end();
    if (typeof mode === 'number' && mode >= 300) return void response.writeHead(mode).end('a reason that nobody reads');
    const headers = z.record(z.string(), z.string()).parse(request.headers);
    const event = received.parse(webhook.verify(Buffer.concat(chunks).toString('utf8'), headers));
    taken.push({ ...event, id: headers['webhook-id'] ?? '' });
    if (mode === 'lostAnswer') {
      mode = 204;
      return void request.socket.destroy();
    }
    response.writeHead(mode).end();
  }

  const server = createServer((request, response) => {
    answer(request, response).catch((error: unknown) => {
      response.writeHead(400).end(String(error));
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  const port = typeof address === 'object' && address !== null ? address.port : 0;
  return {
    secret: SECRET,
    overrides: {
      MAESN_SYNC_EVENTS_URL: `http://127.0.0.1:${port}/events`,
      MAESN_SYNC_EVENTS_SECRET: SECRET,
      MAESN_SYNC_EVENTS_ALLOW_PRIVATE: 'true',
    },
    taken,
    takenOf: (connectionId) => taken.filter(({ data }) => data.connectionId === connectionId),
    get attempts() {
      return attempts;
    },
    answer(next) {
      mode = next;
    },
    async close() {
      server.close();
      server.closeAllConnections();
      await once(server, 'close');
    },
  };
}
