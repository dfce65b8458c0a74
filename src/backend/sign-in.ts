/** How a person gets to the page where tokens are needed: the token, kept in a cookie that scripts do not see. */
import { Hono } from 'hono';
import { deleteCookie, setCookie } from 'hono/cookie';
import { html } from 'hono/html';
import { SESSION_COOKIE, findToken } from './access.js';
import type { BackendEnv, Token } from './access.js';
import { toNotePage } from './note-page.js';

export const SIGN_IN_PATH = '/sign-in';

export interface SignInOptions {
  readonly tokens: readonly Token[];
  /** Whether browsers reach us by https, so that the cookie never travels without. */
  readonly secure: boolean;
}

const WEEK_S = 7 * 24 * 60 * 60;

export function createSignIn({ tokens, secure }: SignInOptions): Hono<BackendEnv> {
  const app = new Hono<BackendEnv>();
  const form = html`
    <form method="post" action="${SIGN_IN_PATH}">
      <label>Token <input name="token" type="password" required autocomplete="current-password" autofocus /></label>
      <button>Sign in</button>
    </form>
  `;

  app.get(SIGN_IN_PATH, (c) =>
    toNotePage(c, { title: 'maesn-sync', text: 'Sign in with one of the tokens in MAESN_SYNC_TOKENS.', form }),
  );

  app.post(SIGN_IN_PATH, async (c) => {
    const { token } = await c.req.parseBody();
    const found = typeof token === 'string' ? findToken(tokens, token) : undefined;
    if (found === undefined) {
      return toNotePage(c, { title: 'maesn-sync', text: 'That is none of the tokens. Try again.', status: 401, form });
    }
    setCookie(c, SESSION_COOKIE, found.token, {
      httpOnly: true,
      // Lax: whoever comes back from a login page elsewhere is still signed in; what changes something checks its origin.
      sameSite: 'Lax',
      secure,
      path: '/',
      maxAge: WEEK_S,
    });
    return c.redirect('/ui', 303);
  });

  app.post('/sign-out', (c) => {
    deleteCookie(c, SESSION_COOKIE, { path: '/' });
    return c.redirect(SIGN_IN_PATH, 303);
  });

  return app;
}
