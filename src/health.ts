/** What an orchestrator asks a Worker: is it alive, and can it take work. */
import { serve } from '@hono/node-server';
import type { Worker } from '@temporalio/worker';
import { Hono } from 'hono';
import type { Store } from './store/index.js';

export interface HealthServer {
  readonly url: string;
  close(): Promise<void>;
}

/** `address`: `host:port`; `undefined`: nothing is served. */
export async function serveHealth(
  address: string | undefined,
  { worker, store }: { readonly worker: Worker; readonly store: Store },
): Promise<HealthServer | undefined> {
  if (address === undefined) return undefined;
  const app = new Hono();
  app.get('/healthz', (c) => {
    const state = worker.getState();
    return c.json({ state }, state === 'FAILED' ? 503 : 200);
  });
  app.get('/readyz', async (c) => {
    const state = worker.getState();
    const storeAnswers = await store.ping().then(
      () => true,
      () => false,
    );
    return c.json({ state, storeAnswers }, state === 'RUNNING' && storeAnswers ? 200 : 503);
  });

  const separator = address.lastIndexOf(':');
  const hostname = address.slice(0, separator) || '0.0.0.0';
  return new Promise((resolve, reject) => {
    const server = serve({ fetch: app.fetch, hostname, port: Number(address.slice(separator + 1)) }, ({ port }) =>
      resolve({
        url: `http://${hostname}:${port}`,
        close: () => new Promise((closed) => server.close(() => closed())),
      }),
    );
    server.once('error', reject);
  });
}
