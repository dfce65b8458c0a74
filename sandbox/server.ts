import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { createServer } from 'node:http';
import { getRequestListener } from '@hono/node-server';
import { RESPONSE_ALREADY_SENT } from '@hono/node-server/utils/response';
import { Hono } from 'hono';
import type { MiddlewareHandler } from 'hono';
import type { AccountOptions, SandboxAccount } from './account.js';
import { toResponse } from './answer-call.js';
import { createApi } from './api.js';
import type { SandboxEnv } from './answer-call.js';
import { toError } from './envelope.js';
import { createLogin } from './login.js';
import { createRegistry } from './registry.js';
import { toEntry } from './request-log.js';
import type { LoggedRequest, OpenEntry } from './request-log.js';
import { createStatusPage } from './status-page.js';

export interface SandboxOptions {
  /** Default: 127.0.0.1, so that nobody else can reach it. */
  readonly host?: string;
  /** Default: 0, any that is free. */
  readonly port?: number;
  /** `X-API-KEY`. Default: a random one. */
  readonly apiKey?: string;
  /** The same seed gives accounts of the same name the same records. */
  readonly seed?: string;
  /** Added to every list. Default: 0. */
  readonly latencyMs?: number;
  /** How long a login page can be used. Default: 15 minutes. */
  readonly loginTtlMs?: number;
  /** The clock of what is changed, logged and expires. Default: the real one. */
  readonly now?: () => Date;
  /** Told of every request to the API when it is over. */
  readonly onRequest?: (request: LoggedRequest) => void;
}

export interface Sandbox {
  /** Without a slash at the end. */
  readonly url: string;
  readonly apiKey: string;
  readonly accounts: readonly SandboxAccount[];
  /** Opens an account: one end user's books in one target system. */
  addAccount(options: AccountOptions): SandboxAccount;
  /** Every request to the API, in the order of arrival. The sandbox's own pages are not among them. */
  readonly requests: readonly LoggedRequest[];
  /** Also cuts the requests that are under way. */
  close(): Promise<void>;
}

const LOGIN_TTL_MS = 15 * 60_000;

/** A local server that speaks Maesn, with invented books and scripted faults. */
export async function startSandbox(options: SandboxOptions = {}): Promise<Sandbox> {
  const {
    host = '127.0.0.1',
    port = 0,
    apiKey = `sandbox_api_key_${randomBytes(16).toString('hex')}`,
    seed = 'maesn-sync',
    latencyMs = 0,
    loginTtlMs = LOGIN_TTL_MS,
    now = () => new Date(),
    onRequest = () => undefined,
  } = options;
  const registry = createRegistry({ seed, now });
  const requests: OpenEntry[] = [];
  const closing = new AbortController();
  let url = '';

  const app = new Hono<SandboxEnv>();
  app.use(logRequests({ requests, now, onRequest }));
  app.route('/', createApi({ registry, apiKey, latencyMs, now }));
  app.route('/', createLogin({ registry, url: () => url, now, loginTtlMs, signal: closing.signal }));
  app.route('/', createStatusPage(registry, requests));
  app.notFound(() => toResponse(toError(404)));

  const listener = getRequestListener(app.fetch, { overrideGlobalObjects: false });
  const server = createServer((incoming, outgoing) => void listener(incoming, outgoing));
  server.listen(port, host);
  await once(server, 'listening');
  const closed = once(server, 'close');
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('the sandbox listens on no port');
  url = `http://${address.family === 'IPv6' ? `[${address.address}]` : address.address}:${address.port}`;

  return {
    url,
    apiKey,
    requests,
    get accounts() {
      return registry.accounts;
    },
    addAccount: (account) => registry.add(account),
    async close() {
      if (!closing.signal.aborted) {
        closing.abort();
        server.close();
        server.closeAllConnections();
      }
      await closed;
    },
  };
}

interface LogRequestsOptions {
  readonly requests: OpenEntry[];
  readonly now: () => Date;
  readonly onRequest: (request: LoggedRequest) => void;
}

function logRequests({ requests, now, onRequest }: LogRequestsOptions): MiddlewareHandler<SandboxEnv> {
  return async (context, next) => {
    const url = new URL(context.req.url);
    if (url.pathname === '/sandbox' || url.pathname.startsWith('/sandbox/')) return next();
    const entry = toEntry(context.req.method, url, now());
    requests.push(entry);
    context.set('entry', entry);
    await next();
    // What a fault has sent by itself, it has logged by itself.
    if (context.res !== RESPONSE_ALREADY_SENT) entry.status = context.res.status;
    return onRequest(entry);
  };
}
