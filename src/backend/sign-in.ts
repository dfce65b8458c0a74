/** How a person gets to the page where tokens are needed: the token, kept in a cookie that scripts do not see. */
import { Hono } from 'hono';
import { deleteCookie, setCookie } from 'hono/cookie';
import { html } from 'hono/html';
import { SESSION_COOKIE, findToken } from './access.js';
import type { BackendEnv, Token } from './access.js';
import { toNotePage } from './note-page.js';

export const SIGN_IN_PATH = '/sign-in';
const PAGE = '/ui';

/** `path`: where to go then. */
export function toSignIn(path: string): string {
  return `${SIGN_IN_PATH}?to=${encodeURIComponent(path)}`;
}

/** A path of the page, as browsers read it; whatever leads elsewhere, or is none, is the page's start. */
function toPagePath(given: unknown): string {
  const isOfPage = typeof given === 'string' && /^\/ui(?:\/|$)/.test(given);
  return isOfPage && new URL(given, 'http://here.invalid').pathname === given ? given : PAGE;
}

export interface SignInOptions {
  readonly tokens: readonly Token[];
  /** Whether browsers reach us by https, so that the cookie never travels without. */
  readonly secure: boolean;
}

const WEEK_S = 7 * 24 * 60 * 60;

export function createSignIn({ tokens, secure }: SignInOptions): Hono<BackendEnv> {
  const app = new Hono<BackendEnv>();
  const formTo = (path: string) => html`
    <form method="post" action="${SIGN_IN_PATH}">
      <input type="hidden" name="to" value="${path}" />
      <label>Token <input name="token" type="password" required autocomplete="current-password" autofocus /></label>
      <button>Sign in</button>
    </form>
  `;

  app.get(SIGN_IN_PATH, (c) => {
    const text = 'Sign in with one of the tokens in MAESN_SYNC_TOKENS.';
    return toNotePage(c, { title: 'maesn-sync', text, form: formTo(toPagePath(c.req.query('to'))) });
  });

  app.post(SIGN_IN_PATH, async (c) => {
    const { token, to } = await c.req.parseBody();
    const path = toPagePath(to);
    const found = typeof token === 'string' ? findToken(tokens, token) : undefined;
    if (found === undefined) {
      const text = 'That is none of the tokens. Try again.';
      return toNotePage(c, { title: 'maesn-sync', text, status: 401, form: formTo(path) });
    }
    setCookie(c, SESSION_COOKIE, found.token, {
      httpOnly: true,
      // Lax: whoever comes back from a login page elsewhere is still signed in; what changes something checks its origin.
      sameSite: 'Lax',
      secure,
      path: '/',
      maxAge: WEEK_S,
    });
    return c.redirect(path, 303);
  });

  app.post('/sign-out', (c) => {
    deleteCookie(c, SESSION_COOKIE, { path: '/' });
    return c.redirect(SIGN_IN_PATH, 303);
  });

  return app;
}
