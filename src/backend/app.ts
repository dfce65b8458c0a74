/** The backend: the HTTP API, the page, and the paths that end users and Maesn come back to. */
import { Hono } from 'hono';
import { bodyLimit } from 'hono/body-limit';
import { requestId } from 'hono/request-id';
import { secureHeaders } from 'hono/secure-headers';
import type { Logger } from 'pino';
import type { MaesnSync } from '../client.js';
import { requireAccess, requireOwnHost, requireSameOrigin } from './access.js';
import type { BackendEnv, Token } from './access.js';
import { createCallbacks } from './callbacks.js';
import type { CallbackOptions } from './callbacks.js';
import { logRequests } from './log-requests.js';
import { NOTE_STYLE } from './note-page.js';
import { errorToProblem, toProblem } from './problem.js';
import { limitRate } from './rate-limit.js';
import { createReference, openApiDocument } from './reference.js';
import { createConnectionRoutes } from './routes/connections.js';
import { createDataRoutes } from './routes/data.js';
import { createApi } from './routes/define.js';
import { createLoginRoutes } from './routes/logins.js';
import { createSyncRoutes } from './routes/syncs.js';
import { SIGN_IN_PATH, createSignIn } from './sign-in.js';
import { createWebhookRoutes } from './webhooks.js';

export interface BackendOptions extends Pick<CallbackOptions, 'returnUrl' | 'parameters'> {
  readonly sync: MaesnSync;
  readonly logger: Logger;
  readonly tokens: readonly Token[];
  readonly requestsPerMinute: number;
  readonly publicUrl: string;
  readonly temporalUi: { readonly url: string; readonly namespace: string } | undefined;
  readonly version: string;
  /** Whether what requests need is there: the store and Temporal. */
  readonly ready: () => Promise<Readonly<Record<string, boolean>>>;
}

const MAX_BODY_BYTES = 256 * 1024;

/** Paths without a token: what they do is protected by what is in them, or is for everybody. */
const PUBLIC = /^\/(?:callback|webhooks|reference)\/|^\/(?:healthz|readyz|openapi\.json|reference|sign-in|note\.css)$/;
const isPublic = (path: string) => PUBLIC.test(path);

export function createBackend(options: BackendOptions): Hono<BackendEnv> {
  const { sync, logger, tokens, publicUrl, temporalUi } = options;
  const app = new Hono<BackendEnv>();

  app.use(requestId({ headerName: 'X-Request-Id' }));
  app.use(logRequests(logger));
  app.use(
    secureHeaders({
      // Routes that serve pages set their own; everything else shows nothing.
      contentSecurityPolicy: { defaultSrc: ["'none'"], frameAncestors: ["'none'"] },
      crossOriginResourcePolicy: 'same-origin',
      referrerPolicy: 'no-referrer',
      strictTransportSecurity: publicUrl.startsWith('https:') ? 'max-age=31536000' : false,
    }),
  );
  app.use(requireOwnHost(tokens));
  app.use(requireAccess({ tokens, isPublic, signInPath: SIGN_IN_PATH }));
  app.use(requireSameOrigin((path) => isPublic(path) && path !== SIGN_IN_PATH));
  app.use(limitRate({ perMinute: options.requestsPerMinute, isPublic }));

  const toTemporalUi = (workflowId: string) =>
    temporalUi === undefined
      ? undefined
      : `${temporalUi.url}/namespaces/${temporalUi.namespace}/workflows/${encodeURIComponent(workflowId)}`;
  const routes = { sync, toTemporalUi };
  const api = createApi()
    .route('/', createConnectionRoutes(routes))
    .route('/', createSyncRoutes(routes))
    .route('/', createLoginRoutes(routes))
    .route('/', createDataRoutes(routes));

  for (const path of ['/connections', '/connections/*', '/syncs', '/syncs/*', '/events', '/events/*']) {
    app.use(path, limitBody());
  }
  const document = openApiDocument(api, { version: options.version, publicUrl, secured: tokens.length > 0 });
  app.route('/', api);
  app.route('/', createCallbacks(options));
  app.route(
    '/',
    createWebhookRoutes(sync, (error) => logger.error({ error }, 'A webhook could not be taken')),
  );
  app.route('/', createReference(document));
  app.route('/', createSignIn({ tokens, secure: publicUrl.startsWith('https:') }));
  app.get('/', (c) => c.redirect('/ui', 303));
  app.get('/note.css', (c) => c.body(NOTE_STYLE, 200, { 'Content-Type': 'text/css; charset=utf-8' }));
  app.get('/healthz', (c) => c.json({ status: 'ok' }));
  app.get('/readyz', async (c) => {
    const parts = await options.ready();
    return c.json(parts, Object.values(parts).every(Boolean) ? 200 : 503);
  });

  const methods = methodsByPath(document.paths ?? {});
  app.notFound((c) => {
    const allowed = methods.find(({ pattern }) => pattern.test(c.req.path))?.allowed;
    if (allowed === undefined) {
      return toProblem(c, { status: 404, title: 'Not found', detail: 'There is nothing here.', code: 'NotFound' });
    }
    return toProblem(c, {
      status: 405,
      title: 'Method not allowed',
      detail: `Here only ${allowed}.`,
      code: 'MethodNotAllowed',
      headers: { Allow: allowed },
    });
  });

  app.onError((error, c) => {
    const problem = errorToProblem(c, error);
    if (problem !== undefined) return problem;
    // Its text may hold what it failed with: it is logged, not told.
    logger.error({ error, requestId: c.get('requestId') }, 'A request failed');
    return toProblem(c, {
      status: 500,
      title: 'Internal server error',
      detail: 'This is a fault of ours; the log has it under this request id.',
      code: 'InternalServerError',
    });
  });
  return app;
}

function limitBody() {
  return bodyLimit({
    maxSize: MAX_BODY_BYTES,
    onError: (c) =>
      toProblem(c, { status: 413, title: 'Too large', detail: `At most ${MAX_BODY_BYTES} bytes.`, code: 'TooLarge' }),
  });
}

/** What may be done where, for those who try something else. */
function methodsByPath(paths: Readonly<Record<string, object>>) {
  return Object.entries(paths).map(([path, operations]) => ({
    pattern: new RegExp(`^${path.replaceAll(/\{\w+\}/g, '[^/]+')}$`),
    allowed: Object.keys(operations)
      .flatMap((method) => (method === 'get' ? ['GET', 'HEAD'] : [method.toUpperCase()]))
      .join(', '),
  }));
}
