/** Listens for the backend, and stops without cutting off who is being answered. */
import { createServer } from 'node:http';
import type { Server } from 'node:http';
import { once } from 'node:events';
import { getRequestListener } from '@hono/node-server';
import { hostAndPort, originOf } from '../config.js';
import type { BackendApp } from './app.js';

export interface BackendServer {
  /** Where it is reached from this machine. */
  readonly url: string;
  /** Until then, whoever asks is told to come back. */
  serve(backend: BackendApp): void;
  close(): Promise<void>;
}

export interface ListenOptions {
  /** `host:port`; port 0 is any that is free. */
  readonly address: string;
  /** Take another port when that one is taken. */
  readonly orAnyPort?: boolean;
}

/** How long requests that are being answered may take when the server stops. */
const CLOSE_WITHIN_MS = 10_000;

export async function listen({ address, orAnyPort = false }: ListenOptions): Promise<BackendServer> {
  const { host, port: wanted } = hostAndPort(address);
  let listener: ReturnType<typeof getRequestListener> | undefined;
  let served: BackendApp | undefined;
  const server = createServer((incoming, outgoing) => {
    if (listener === undefined) outgoing.writeHead(503, { 'Retry-After': '1' }).end();
    else void listener(incoming, outgoing);
  });
  // Whoever sends a request byte by byte does not hold a connection for ever.
  server.headersTimeout = 30_000;
  // 25 MiB in two minutes: 1.7 Mbit/s.
  server.requestTimeout = 120_000;
  await bind(server, host, wanted).catch((error: unknown) => {
    const taken = error instanceof Error && 'code' in error && error.code === 'EADDRINUSE';
    if (taken && orAnyPort) return bind(server, host, 0);
    const reason = error instanceof Error ? error.message : String(error);
    throw new Error(`The backend cannot listen; check MAESN_SYNC_ADDRESS (${address}): ${reason}`, { cause: error });
  });
  const bound = server.address();
  const port = typeof bound === 'object' && bound !== null ? bound.port : wanted;
  const isAny = host === '0.0.0.0' || host === '::';

  return {
    url: originOf({ host: isAny ? '127.0.0.1' : host, port }),
    serve(backend) {
      // With the library's own Request as the global one: its body limit makes new ones of the requests it gets.
      listener = getRequestListener(backend.app.fetch);
      served = backend;
    },
    async close() {
      served?.close();
      const closed = once(server, 'close');
      server.close();
      // Also those that become idle from now on.
      const sweeping = setInterval(() => server.closeIdleConnections(), 50);
      const forced = setTimeout(() => server.closeAllConnections(), CLOSE_WITHIN_MS);
      await closed;
      clearInterval(sweeping);
      clearTimeout(forced);
    },
  };
}

async function bind(server: Server, host: string, port: number): Promise<void> {
  server.listen(port, host);
  await once(server, 'listening');
}
