/**
 * A stand-in for your application: it hears the events, has the end user sign in again at Maesn, receives the callback
 * with the account key and hands it over. Everything it does with maesn-sync goes through `src/client.ts`.
 */
import { randomBytes } from 'node:crypto';
import { serve } from '@hono/node-server';
import { Hono } from 'hono';
import type { Event, MaesnSync } from '../src/client.js';

export interface ApplicationOptions {
  readonly sync: MaesnSync;
  readonly maesnUrl: string;
  readonly apiKey: string;
  /** Called for every event, with a link when the end user must sign in again. */
  readonly onEvent: (event: Event, reconnectUrl: string | undefined) => void | Promise<void>;
}

export interface Application {
  /** Where the end user of a connection signs in again: a link of ours that is good for as often as it is needed. */
  reconnectUrl(connectionId: string): string;
  close(): Promise<void>;
}

const ASKS_TO_SIGN_IN = new Set(['connection.reauthorization_required', 'connection.reauthorization_reminder']);

export async function startApplication({ sync, maesnUrl, apiKey, onEvent }: ApplicationOptions): Promise<Application> {
  /** A callback counts once, and only for the connection that it was made for. */
  const expected = new Map<string, string>();
  const app = new Hono();
  app.get('/reconnect/:connectionId', async (c) => c.redirect(await loginUrl(c.req.param('connectionId'))));
  app.get('/callback/:state', async (c) => {
    const state = c.req.param('state');
    const connectionId = expected.get(state);
    const accountKey = c.req.query('accountKey');
    if (connectionId === undefined) return c.text('This link has been used, or was never given out.', 410);
    if (accountKey === undefined || accountKey === '') return c.text('The account key is missing.', 400);
    expected.delete(state);
    await sync.reauthorized(connectionId, accountKey);
    return c.text(`Thank you. ${connectionId} is connected again; the sync goes on where it stopped.`);
  });
  app.get('/cancelled', (c) => c.text('Nothing was connected. The sync goes on waiting.'));

  const { port, close } = await new Promise<{ port: number; close: () => Promise<void> }>((resolve, reject) => {
    const server = serve({ fetch: app.fetch, hostname: '127.0.0.1', port: 0 }, (address) =>
      resolve({ port: address.port, close: () => new Promise((closed) => server.close(() => closed())) }),
    );
    server.once('error', reject);
  });

  const reconnectUrl = (connectionId: string) => `http://127.0.0.1:${port}/reconnect/${connectionId}`;

  async function loginUrl(connectionId: string): Promise<string> {
    const { targetSystem } = await sync.connection(connectionId);
    const state = randomBytes(16).toString('hex');
    expected.set(state, connectionId);
    const url = new URL(`/auth/${targetSystem}`, maesnUrl);
    url.searchParams.set('callbackUrl', `http://127.0.0.1:${port}/callback/${state}`);
    url.searchParams.set('cancelCallbackUrl', `http://127.0.0.1:${port}/cancelled`);
    const response = await fetch(url, { headers: { 'X-API-KEY': apiKey } });
    if (!response.ok) throw new Error(`Maesn gave no login page: it answered ${response.status}`);
    return response.text();
  }

  let afterId = 0;
  let telling = Promise.resolve();
  const tell = async () => {
    for (const event of await sync.events({ afterId })) {
      afterId = event.id;
      await onEvent(event, ASKS_TO_SIGN_IN.has(event.type) ? reconnectUrl(event.connectionId) : undefined);
    }
  };
  const listening = setInterval(() => {
    telling = telling.then(tell).catch(() => undefined);
  }, 500);

  return {
    reconnectUrl,
    async close() {
      clearInterval(listening);
      await telling;
      await close();
    },
  };
}
