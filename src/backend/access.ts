/** Who may ask: bearer tokens, the page's cookie, and on a machine without tokens, the machine itself. */
import { createHash, timingSafeEqual } from 'node:crypto';
import type { HttpBindings } from '@hono/node-server';
import type { Context, MiddlewareHandler } from 'hono';
import { getCookie } from 'hono/cookie';
import { toProblem } from './problem.js';

export interface Token {
  /** Who the journal says it was. */
  readonly name: string;
  readonly token: string;
}

export interface BackendEnv {
  readonly Bindings: HttpBindings;
  readonly Variables: { readonly actor: string; readonly requestId: string };
}

export const SESSION_COOKIE = 'maesn_sync_session';

/** Who it is where nobody has to say so. */
const LOCAL = 'local';

/** The token's name. Compares digests, all of them, so that the time taken tells nothing of any token. */
export function findToken(tokens: readonly Token[], given: string): Token | undefined {
  const wanted = digest(given);
  let found: Token | undefined;
  for (const token of tokens) if (timingSafeEqual(digest(token.token), wanted)) found = token;
  return found;
}

function digest(text: string): Buffer {
  return createHash('sha256').update(text).digest();
}

/** `undefined`: nobody. */
export function identify(c: Context, tokens: readonly Token[]): string | undefined {
  if (tokens.length === 0) return LOCAL;
  const [, bearer] = /^Bearer +([!-~]+)$/i.exec(c.req.header('authorization') ?? '') ?? [];
  const given = bearer ?? getCookie(c, SESSION_COOKIE);
  return given === undefined ? undefined : findToken(tokens, given)?.name;
}

export interface AccessOptions {
  readonly tokens: readonly Token[];
  /** Paths that everybody may ask. */
  readonly isPublic: (path: string) => boolean;
  /** Where a browser is sent that has to sign in, and wanted to go there. */
  readonly toSignIn: (path: string) => string;
}

export function requireAccess({ tokens, isPublic, toSignIn }: AccessOptions): MiddlewareHandler<BackendEnv> {
  return async (c, next) => {
    if (isPublic(c.req.path)) return next();
    const actor = identify(c, tokens);
    if (actor === undefined) {
      const isPage = c.req.path === '/' || c.req.path.startsWith('/ui');
      if (isPage && c.req.method === 'GET') return c.redirect(toSignIn(c.req.path), 303);
      return toProblem(c, {
        status: 401,
        title: 'Unauthorized',
        detail: 'Send a bearer token of MAESN_SYNC_TOKENS.',
        code: 'Unauthorized',
        headers: { 'WWW-Authenticate': 'Bearer' },
      });
    }
    c.set('actor', actor);
    return next();
  };
}

const LOOPBACK = /^(?:localhost|127(?:\.\d{1,3}){3}|\[::1\])(?::\d+)?$/i;

/**
 * Without tokens, being on this machine is what gives access: a web page of somebody else that is open in a browser here
 * must not have it, whether it names us by another host (DNS rebinding) or sends a form.
 */
export function requireOwnHost(tokens: readonly Token[]): MiddlewareHandler<BackendEnv> {
  return async (c, next) => {
    if (tokens.length > 0 || LOOPBACK.test(c.req.header('host') ?? '')) return next();
    return toProblem(c, {
      status: 403,
      title: 'Forbidden',
      detail: 'Without MAESN_SYNC_TOKENS, only this machine is served, under its own name.',
      code: 'Forbidden',
    });
  };
}

/** Whatever changes something and comes from a browser comes from our own page. */
export function requireSameOrigin(isPublic: (path: string) => boolean): MiddlewareHandler<BackendEnv> {
  return async (c, next) => {
    const { method, path } = c.req;
    if (method === 'GET' || method === 'HEAD' || isPublic(path)) return next();
    const site = c.req.header('sec-fetch-site');
    const origin = c.req.header('origin');
    const foreign =
      site === undefined
        ? origin !== undefined && !isOwn(origin, c.req.header('host'))
        : site !== 'same-origin' && site !== 'none';
    if (!foreign) return next();
    return toProblem(c, {
      status: 403,
      title: 'Forbidden',
      detail: 'A browser sent this from another site.',
      code: 'Forbidden',
    });
  };
}

function isOwn(origin: string, host: string | undefined): boolean {
  return URL.canParse(origin) && new URL(origin).host === host;
}
