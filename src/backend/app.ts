/** The backend: the HTTP API, the page, and the paths that end users and Maesn come back to. */
import { Hono } from 'hono';
import type { MiddlewareHandler } from 'hono';
import { requestId } from 'hono/request-id';
import { secureHeaders } from 'hono/secure-headers';
import type { PayloadCodec } from '@temporalio/common';
import type { Logger } from 'pino';
import type { MaesnSync } from '../client.js';
import { requireAccess, requireOwnHost, requireSameOrigin } from './access.js';
import type { BackendEnv, Token } from './access.js';
import { limitBody } from './body-limits.js';
import { createCallbacks } from './callbacks.js';
import type { CallbackOptions } from './callbacks.js';
import { allowTemporalUi, createCodecRoutes, isCodec, originsOf } from './codec.js';
import { logRequests } from './log-requests.js';
import { NOTE_STYLE } from './note-page.js';
import { createPage } from './page/index.js';
import { errorToProblem, toProblem } from './problem.js';
import { limitGuesses, limitRate } from './rate-limit.js';
import { createReference, openApiDocument } from './reference.js';
import { createRoutes } from './routes/index.js';
import { SIGN_IN_PATH, createSignIn, toSignIn } from './sign-in.js';
import { createWebhookRoutes } from './webhooks.js';

export interface BackendOptions extends Pick<CallbackOptions, 'returnUrl' | 'parameters'> {
  readonly sync: MaesnSync;
  readonly logger: Logger;
  readonly tokens: readonly Token[];
  readonly requestsPerMinute: number;
  readonly publicUrl: string;
  readonly temporalUi: { readonly url: string; readonly namespace: string } | undefined;
  /** For Temporal’s UI and CLI; `undefined`: nothing is encrypted. */
  readonly codec: PayloadCodec | undefined;
  readonly version: string;
  /** Whether what requests need is there: the store and Temporal. */
  readonly ready: () => Promise<Readonly<Record<string, boolean>>>;
}

const POLICY = 'Content-Security-Policy';

/** Paths without a token: what they do is protected by what is in them, or is for everybody. */
const PUBLIC =
  /^\/(?:callback|webhooks|reference)\/|^\/(?:healthz|readyz|openapi\.json|reference|sign-in|note\.css|favicon\.ico)$/;
const isPublic = (path: string) => PUBLIC.test(path);

export interface BackendApp {
  readonly app: Hono<BackendEnv>;
  /** Ends what would never end by itself. */
  close(): void;
}

export function createBackend(options: BackendOptions): BackendApp {
  const { sync, logger, tokens, publicUrl, temporalUi } = options;
  const app = new Hono<BackendEnv>();

  app.use(requestId({ headerName: 'X-Request-Id' }));
  app.use(logRequests(logger));
  app.use(
    secureHeaders({
      crossOriginResourcePolicy: 'same-origin',
      referrerPolicy: 'no-referrer',
      strictTransportSecurity: publicUrl.startsWith('https:') ? 'max-age=31536000' : false,
    }),
  );
  app.use(showNothing);
  app.use(allowTemporalUi(originsOf(temporalUi?.url)));
  app.use(requireOwnHost(tokens));
  app.use(requireAccess({ tokens, isPublic, toSignIn }));
  app.use(requireSameOrigin((path) => isCodec(path) || (isPublic(path) && path !== SIGN_IN_PATH)));
  app.use(limitRate(options.requestsPerMinute, isPublic));
  app.use(limitGuesses((path) => path === SIGN_IN_PATH));
  app.use(limitBody());

  const toTemporalUi = (workflowId: string) =>
    temporalUi === undefined
      ? undefined
      : `${temporalUi.url}/namespaces/${temporalUi.namespace}/workflows/${encodeURIComponent(workflowId)}`;
  const api = createRoutes({ sync, toTemporalUi });
  const document = openApiDocument(api, { version: options.version, publicUrl, secured: tokens.length > 0 });
  for (const path of Object.keys(document.paths ?? {})) {
    app.use(path.replaceAll(/\{(\w+)\}/g, ':$1'), requireJson);
  }
  app.route('/', api);
  app.route('/', createCallbacks(options));
  app.route(
    '/',
    createWebhookRoutes(sync, (error) => logger.error({ error }, 'A webhook could not be taken')),
  );
  app.route('/', createReference(document));
  app.route('/', createCodecRoutes(options.codec));
  app.route('/', createSignIn({ tokens, secure: publicUrl.startsWith('https:') }));
  const page = createPage({ sync, toTemporalUi, secured: tokens.length > 0 });
  app.route('/', page.app);
  app.get('/', (c) => c.redirect('/ui', 303));
  app.get('/favicon.ico', (c) => c.body(null, 204));
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
  return { app, close: () => page.close() };
}

/** Routes that serve pages say what these may do; all other answers may do nothing in a browser. */
const showNothing: MiddlewareHandler<BackendEnv> = async (c, next) => {
  await next();
  if (!c.res.headers.has(POLICY)) c.res.headers.set(POLICY, "default-src 'none'; frame-ancestors 'none'");
};

/** A body that is not JSON is not taken for none. */
const requireJson: MiddlewareHandler<BackendEnv> = async (c, next) => {
  const isEmpty = (c.req.header('content-length') ?? '0') === '0' && c.req.header('transfer-encoding') === undefined;
  if (isEmpty || /^application\/json\b/i.test(c.req.header('content-type') ?? '')) return next();
  return toProblem(c, {
    status: 415,
    title: 'Unsupported media type',
    detail: 'Send application/json.',
    code: 'UnsupportedMediaType',
  });
};

/** What may be done where, for those who try something else. */
function methodsByPath(paths: Readonly<Record<string, object>>) {
  return Object.entries(paths).map(([path, operations]) => ({
    pattern: new RegExp(`^${path.replaceAll(/\{\w+\}/g, '[^/]+')}$`),
    allowed: Object.keys(operations)
      .flatMap((method) => (method === 'get' ? ['GET', 'HEAD'] : [method.toUpperCase()]))
      .join(', '),
  }));
}
