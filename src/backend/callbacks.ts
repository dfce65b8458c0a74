/**
 * Where end users come back from Maesn's login page, and where Maesn posts their account key. What protects these paths
 * is the state in them: 256 random bits, good once, for one connection, for a while.
 */
import { Hono } from 'hono';
import type { Context } from 'hono';
import { MaesnSyncError } from '../client.js';
import type { ErrorCode, MaesnSync } from '../client.js';
import { parseAccountKey } from '../maesn/integration.js';
import type { BackendEnv } from './access.js';
import { toNotePage } from './note-page.js';
import { PROBLEM_STATUSES, errorToProblem } from './problem.js';

export interface CallbackOptions {
  readonly sync: MaesnSync;
  /** Where the end user goes then; absent: a page of ours. */
  readonly returnUrl: string | undefined;
  /** Names of what the callback brings. */
  readonly parameters: { readonly accountKey: string; readonly signature: string };
}

/** What the end user reads; the codes that a callback can fail with. */
const REFUSALS: Partial<Record<ErrorCode, { readonly title: string; readonly text: string }>> = {
  LoginUnknown: {
    title: 'This link is not valid',
    text: 'It was never given out here. Go back to where you came from and connect again.',
  },
  LoginUsed: {
    title: 'This link has been used',
    text: 'Nothing was changed. If you are not connected, go back to where you came from and connect again.',
  },
  LoginExpired: {
    title: 'This took too long',
    text: 'Nothing was changed. Go back to where you came from and connect again.',
  },
  LoginIncomplete: {
    title: 'You could not be connected',
    text: 'The accounting system did not send what is needed. Nothing was changed; try again.',
  },
};

export function createCallbacks({ sync, returnUrl, parameters }: CallbackOptions): Hono<BackendEnv> {
  const app = new Hono<BackendEnv>();

  const welcome = (c: Context, connectionId: string, outcome: 'connected' | 'pending' | 'cancelled' | 'failed') => {
    if (returnUrl !== undefined) {
      const url = new URL(returnUrl);
      url.searchParams.set('connectionId', connectionId);
      url.searchParams.set('outcome', outcome);
      return c.redirect(url.href, 303);
    }
    const { title, text } = {
      connected: { title: 'You are connected', text: 'Everything goes on where it stopped. You can close this page.' },
      pending: {
        title: 'Almost done',
        text: 'Your accounting system is about to confirm the connection. You can close this page.',
      },
      cancelled: { title: 'You did not sign in', text: 'Nothing was connected. You can close this page.' },
      failed: {
        title: 'You could not be connected',
        text: 'The accounting system reported an error. Go back to where you came from and try again.',
      },
    }[outcome];
    return toNotePage(c, { title, text });
  };

  // Whoever only looks, or fetches ahead of a click, does not use a login up.
  app.use('/callback/*', async (c, next) => {
    const looksOnly = c.req.method === 'HEAD' || (c.req.header('sec-purpose') ?? '').includes('prefetch');
    return looksOnly ? c.body(null, 204) : next();
  });

  app.get('/callback/:state', async (c) => {
    const state = c.req.param('state');
    try {
      const failure = c.req.query('error');
      if (failure !== undefined) {
        const { connectionId } = await sync.failLogin(state, failure);
        return await welcome(c, connectionId, 'failed');
      }
      const { connectionId, outcome } = await sync.completeLogin({
        state,
        accountKey: c.req.query(parameters.accountKey),
        signature: c.req.query(parameters.signature),
      });
      return await welcome(c, connectionId, outcome);
    } catch (error) {
      return refused(c, error);
    }
  });

  app.get('/callback/:state/cancelled', async (c) => {
    try {
      const { connectionId } = await sync.cancelLogin(c.req.param('state'));
      return await welcome(c, connectionId, 'cancelled');
    } catch (error) {
      return refused(c, error);
    }
  });

  // Of the body only the account key is looked for: its shape is not documented.
  app.post('/callback/:state/webhook', async (c) => {
    try {
      const posted: unknown = await c.req.json().catch(() => undefined);
      await sync.completeLogin({
        state: c.req.param('state'),
        accountKey: parseAccountKey(posted),
        signature: c.req.header('x-maesn-signature'),
        posted: true,
      });
      return c.body(null, 204);
    } catch (error) {
      const problem = errorToProblem(c, error);
      if (problem === undefined) throw error;
      return problem;
    }
  });

  return app;
}

/** In words for the end user; what is not their affair is thrown on. */
async function refused(c: Context, error: unknown): Promise<Response> {
  const known = error instanceof MaesnSyncError ? REFUSALS[error.code] : undefined;
  if (known === undefined || !(error instanceof MaesnSyncError)) throw error;
  return toNotePage(c, { ...known, status: PROBLEM_STATUSES[error.code] });
}
