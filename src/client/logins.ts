/** How an end user comes to be connected: sent to a login page, and understood when they come back. */
import { MaesnError } from '../maesn/failure.js';
import type { Connection, Login } from '../store/index.js';
import { reauthorizeConnectionStart, reauthorizedSignal } from '../workflows/messages.js';
import type { MaesnSync } from '../client.js';
import { connectionNotFound, findConnection } from './context.js';
import type { ClientContext, LoginSettings } from './context.js';
import { MaesnSyncError, callTemporal, parseInput } from './errors.js';
import { accountKey, connectionId, credentials } from './inputs.js';
import { isSignedWith } from './signatures.js';

type Logins = Pick<
  MaesnSync,
  'authorize' | 'completeLogin' | 'cancelLogin' | 'failLogin' | 'connectWithCredentials' | 'reauthorized'
>;

const END_USER = 'end user';

export function createLogins(context: ClientContext): Logins {
  const { temporal, store, taskQueue, reauthorization, actor } = context;

  async function storeKey(id: string, key: string) {
    const stored = await store.connections.storeKey(id, key, actor);
    if (stored === undefined) throw connectionNotFound(id);
    return tellReauthorized(id);
  }

  /** With start: whoever waits is released even if somebody has terminated the Workflow that should do it. */
  async function tellReauthorized(id: string): Promise<Connection> {
    const connection = await findConnection(context, id);
    if (connection.status !== 'awaiting_reauthorization') return connection;
    await callTemporal(context, id, () =>
      temporal.workflow.signalWithStart('reauthorizeConnection', {
        taskQueue,
        ...reauthorizeConnectionStart(connection, reauthorization),
        signal: reauthorizedSignal,
      }),
    );
    return connection;
  }

  return {
    async authorize(id) {
      const { targetSystem, companyId } = await findConnection(context, id);
      const { maesn, publicUrl, method, signingSecret, expiresAfterMs } = requireLogin(context);
      const expiresAt = new Date(Date.now() + expiresAfterMs);
      const state = await store.logins.begin({ connectionId: id, askedForBy: actor, expiresAt });
      const loginUrl = await askMaesn(() =>
        maesn.loginUrl({
          targetSystem,
          method,
          callbackUrl: `${publicUrl}/callback/${state}`,
          cancelCallbackUrl: `${publicUrl}/callback/${state}/cancelled`,
          webhookCallbackUrl: method === 'POST' ? `${publicUrl}/callback/${state}/webhook` : undefined,
          companyId: companyId ?? undefined,
          includeSignature: signingSecret !== undefined,
        }),
      );
      const detail = { expiresAt: expiresAt.toISOString() };
      await store.journal.add({ connectionId: id, actor, action: 'login.asked_for', detail });
      return { loginUrl, expiresAt };
    },

    async completeLogin({ state, accountKey: given, signature, posted = false }) {
      if (!posted) {
        const welcome = await store.logins.welcome(state);
        if (welcome !== undefined) {
          // When Maesn posted the key, Temporal may not have answered.
          await tellReauthorized(welcome.connectionId);
          return { connectionId: welcome.connectionId, outcome: 'connected' };
        }
      }
      const login = await findLogin(context, state);
      // Whoever comes back a second time may have met a Temporal that did not answer, the first time.
      if (login.usedAt !== null) await tellReauthorized(login.connectionId);
      const { connectionId: id } = requireOpen(login);
      if (!posted && given === undefined && context.login?.method === 'POST') {
        return { connectionId: id, outcome: 'pending' };
      }
      const key = accountKey.safeParse(given);
      if (!key.success) {
        const missing = given === undefined || given === '';
        throw incomplete(missing ? 'The account key is missing' : 'What came as account key is none');
      }
      const secret = context.login?.signingSecret;
      if (secret !== undefined && !isSignedWith(secret, key.data, signature)) {
        throw incomplete('The signature does not fit the account key');
      }
      const outcome = posted ? 'posted' : 'connected';
      // Of two callbacks that come at once, one stores its key.
      if ((await store.logins.use(state, { outcome, actor: END_USER, accountKey: key.data })) === undefined)
        throw used();
      await tellReauthorized(id);
      return { connectionId: id, outcome: 'connected' };
    },

    async cancelLogin(state) {
      const { connectionId: id } = requireOpen(await findLogin(context, state));
      if ((await store.logins.use(state, { outcome: 'cancelled', actor: END_USER })) === undefined) throw used();
      return findConnection(context, id);
    },

    async failLogin(state, given) {
      const { connectionId: id } = requireOpen(await findLogin(context, state));
      // It comes with a URL: what Postgres takes for no text is left out.
      const reason = given.replaceAll('\0', '').slice(0, 500).toWellFormed();
      if ((await store.logins.use(state, { outcome: 'failed', actor: END_USER, reason })) === undefined) throw used();
      return findConnection(context, id);
    },

    async connectWithCredentials(id, given) {
      const { targetSystem } = await findConnection(context, id);
      const parsed = parseInput(credentials, given);
      const { maesn } = requireLogin(context);
      const key = await askMaesn(() => maesn.createAccount({ targetSystem, credentials: parsed }));
      return storeKey(id, key);
    },

    reauthorized: async (id, key) => storeKey(parseInput(connectionId, id), parseInput(accountKey, key)),
  };
}

function requireLogin({ login }: ClientContext): LoginSettings {
  if (login !== undefined) return login;
  throw new MaesnSyncError('NotConfigured', 'Maesn cannot be asked for a login here: set MAESN_API_KEY.');
}

async function findLogin({ store }: ClientContext, state: string): Promise<Login> {
  const login = await store.logins.find(state);
  if (login === undefined) throw new MaesnSyncError('LoginUnknown', 'This login was never begun here.');
  return login;
}

/** One that is good for something yet. */
function requireOpen(login: Login): Login {
  if (login.usedAt !== null) throw used();
  if (login.expiresAt > new Date()) return login;
  throw new MaesnSyncError('LoginExpired', 'This login took too long; begin it again.');
}

function used(): MaesnSyncError {
  return new MaesnSyncError('LoginUsed', 'This login is over already; nothing was changed.');
}

function incomplete(reason: string): MaesnSyncError {
  return new MaesnSyncError('LoginIncomplete', `${reason}; nothing was changed, and the login can be tried again.`);
}

/** A person waits for the answer: no retry, Maesn's refusal is told as it is. */
async function askMaesn<Answer>(ask: () => Promise<Answer>): Promise<Answer> {
  try {
    return await ask();
  } catch (error) {
    if (!(error instanceof MaesnError)) throw error;
    const { errors, downstreamErrors, validationErrors } = error.failure;
    const said = [errors, downstreamErrors, validationErrors].flatMap((entries) => entries ?? []);
    const words = said.length === 0 ? '' : ` It said: ${JSON.stringify(said).slice(0, 1_000)}`;
    throw new MaesnSyncError('MaesnRefused', `${error.message}.${words}`, { cause: error });
  }
}
