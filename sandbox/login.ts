/** How an end user signs in: the three ways to a login that Maesn offers, and the page in the middle. */
import { randomBytes } from 'node:crypto';
import { Hono } from 'hono';
import { z } from 'zod';
import { DEFAULT_RESOURCES } from '../src/spec/resources.js';
import type { OpenAccount } from './account.js';
import { toResponse } from './answer-call.js';
import type { SandboxEnv } from './answer-call.js';
import { toBadRequest, toError } from './envelope.js';
import { credentials, loginRequest, postedLoginRequest } from './login-request.js';
import type { LoginRequest } from './login-request.js';
import { showEndedLogin, showLogin, showOutcome } from './login-page.js';
import { isTargetSystem } from './registry.js';
import type { Registry } from './registry.js';

export interface LoginOptions {
  readonly registry: Registry;
  /** Where this server is reached; known only once it listens. */
  readonly url: () => string;
  readonly now: () => Date;
  readonly loginTtlMs: number;
  /** Ends the webhooks that are under way. */
  readonly signal: AbortSignal;
}

/** A login page that has been handed out. */
export interface Login {
  readonly targetSystem: string;
  readonly callbackUrl: string | undefined;
  readonly cancelCallbackUrl: string | undefined;
  readonly webhookCallbackUrl: string | undefined;
  readonly companyId: string | undefined;
  readonly expiresAtMs: number;
  used: boolean;
}

const WEBHOOK_TIMEOUT_MS = 5_000;
const NEW_ACCOUNT_RECORDS = Object.fromEntries(DEFAULT_RESOURCES.map((resource) => [resource, 25]));

export function createLogin({ registry, url, now, loginTtlMs, signal }: LoginOptions): Hono<SandboxEnv> {
  const login = new Hono<SandboxEnv>();
  const logins = new Map<string, Login>();

  function open(targetSystem: string, parsed: z.ZodSafeParseResult<LoginRequest>, status: 200 | 201): Response {
    if (!isTargetSystem(targetSystem)) return toResponse(toError(405));
    if (!parsed.success) return toResponse(toBadRequest(z.prettifyError(parsed.error)));
    const { callbackUrl, cancelCallbackUrl, webhookCallbackUrl, companyId } = parsed.data;
    const id = randomBytes(16).toString('base64url');
    const expiresAtMs = now().getTime() + loginTtlMs;
    const urls = { callbackUrl, cancelCallbackUrl, webhookCallbackUrl };
    logins.set(id, { ...urls, targetSystem, companyId, expiresAtMs, used: false });
    return new Response(`${url()}/sandbox/login/${id}`, {
      status,
      headers: { 'content-type': 'text/html; charset=utf-8' },
    });
  }

  const openLogin = (id: string): Login | undefined => {
    const found = logins.get(id);
    return found === undefined || found.used || found.expiresAtMs <= now().getTime() ? undefined : found;
  };

  function createFor(targetSystem: string, companyId?: string): OpenAccount {
    const company = companyId === undefined ? {} : { companyId };
    return registry.add({ targetSystem, records: NEW_ACCOUNT_RECORDS, ...company });
  }

  login.get('/auth/:targetSystem', (context) =>
    open(context.req.param('targetSystem'), loginRequest.safeParse(context.req.query()), 200),
  );

  login.post('/auth/:targetSystem', async (context) => {
    const parsed = postedLoginRequest.safeParse(await readJson(context.req.raw));
    return open(context.req.param('targetSystem'), parsed, 201);
  });

  login.post('/auth/accounts/:targetSystem', async (context) => {
    const targetSystem = context.req.param('targetSystem');
    if (!isTargetSystem(targetSystem)) return toResponse(toError(405));
    const given = credentials.safeParse(await readJson(context.req.raw));
    if (!given.success) return toResponse(toBadRequest(z.prettifyError(given.error)));
    return toResponse({ status: 201, body: { accountKey: createFor(targetSystem).accountKey } });
  });

  login.get('/sandbox/login/:id', (context) => {
    const found = openLogin(context.req.param('id'));
    return found === undefined ? showEndedLogin() : showLogin(found, registry.accounts);
  });

  login.post('/sandbox/login/:id', async (context) => {
    const found = openLogin(context.req.param('id'));
    if (found === undefined) return showEndedLogin();
    const { action, account: chosen } = await context.req.parseBody();
    if (action === 'cancel') {
      found.used = true;
      const { cancelCallbackUrl } = found;
      return cancelCallbackUrl === undefined ? showOutcome('cancelled') : context.redirect(cancelCallbackUrl, 303);
    }
    const existing = registry.accounts.find(
      ({ name, targetSystem }) => name === chosen && targetSystem === found.targetSystem,
    );
    // An empty choice is the page's "a new account".
    if (existing === undefined && chosen !== '') return showLogin(found, registry.accounts, 400);
    found.used = true;
    const accountKey = existing?.reconnect() ?? createFor(found.targetSystem, found.companyId).accountKey;
    if (found.webhookCallbackUrl !== undefined) await postAccountKey(found.webhookCallbackUrl, accountKey, signal);
    if (found.callbackUrl === undefined) return showOutcome('signed in');
    const callback = new URL(found.callbackUrl);
    callback.searchParams.set('accountKey', accountKey);
    return context.redirect(callback.href, 303);
  });

  return login;
}

async function readJson(request: Request): Promise<unknown> {
  try {
    return await request.json();
  } catch {
    return undefined;
  }
}

/** Whether it arrives changes nothing for the end user, who is on the way back already. */
async function postAccountKey(webhookUrl: string, accountKey: string, signal: AbortSignal): Promise<void> {
  await fetch(webhookUrl, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ accountKey }),
    signal: AbortSignal.any([signal, AbortSignal.timeout(WEBHOOK_TIMEOUT_MS)]),
  }).catch(() => undefined);
}
