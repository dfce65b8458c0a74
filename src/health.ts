/** What an orchestrator asks a Worker: is it alive, and can it take work. */
import { serve } from '@hono/node-server';
import type { State } from '@temporalio/worker';
import { Hono } from 'hono';
import { hostAndPort, originOf } from './config.js';
import type { Store } from './store/index.js';

export interface HealthServer {
  readonly url: string;
  close(): Promise<void>;
}

export interface Served {
  /** The Worker's. */
  readonly state: () => State;
  readonly store: Store;
}

/** `address`: `host:port`; `undefined`: nothing is served. */
export async function serveHealth(
  address: string | undefined,
  { state: readState, store }: Served,
): Promise<HealthServer | undefined> {
  if (address === undefined) return undefined;
  const app = new Hono();
  app.get('/healthz', (c) => {
    const state = readState();
    return c.json({ state }, state === 'FAILED' ? 503 : 200);
  });
  app.get('/readyz', async (c) => {
    const state = readState();
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
    server.once('error', (error) =>
      reject(
        new Error(`MAESN_SYNC_HEALTH_ADDRESS: nothing can listen at ${address}: ${error.message}`, { cause: error }),
      ),
    );
  });
}
