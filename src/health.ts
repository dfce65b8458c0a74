/** What an orchestrator asks a Worker: is it alive, and can it take work. */
import { serve } from '@hono/node-server';
import type { Worker } from '@temporalio/worker';
import { Hono } from 'hono';
import { hostAndPort, originOf } from './config.js';
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

  const { host, port: wanted } = hostAndPort(address);
  return new Promise((resolve, reject) => {
    const server = serve({ fetch: app.fetch, hostname: host, port: wanted }, ({ port }) =>
      resolve({
        url: originOf({ host, port }),
        close: () => new Promise((closed) => server.close(() => closed())),
      }),
    );
    server.once('error', reject);
  });
}
