import type { Query } from '../maesn/client.js';
import { MaesnError } from '../maesn/failure.js';
import type { Connection, OpenConnection, OpenedForWalk, Store } from '../store/index.js';
import { connectionNotFound, tooEarly } from './failure.js';

export type AuthorizedConnection = Connection & { readonly accountKey: string };

export async function openConnection(store: Store, connectionId: string): Promise<OpenConnection> {
  const connection = await store.connections.open(connectionId);
  if (connection === undefined) throw connectionNotFound(connectionId);
  return connection;
}

export async function openForWalk(store: Store, connectionId: string): Promise<OpenedForWalk> {
  const found = await store.connections.openForWalk(connectionId);
  if (found === undefined) throw connectionNotFound(connectionId);
  return found;
}

/** How soon a write notices that its connection was resumed. */
const PAUSE_LOOK_MS = 60_000;

/** For writes: a sync waits in its Workflow instead. While a connection is paused, nothing is asked of Maesn for it. */
export async function waitWhilePaused(store: Store, connectionId: string, timeScale: number): Promise<void> {
  const holds = await store.holds.list(connectionId);
  if (!holds.some(({ kind }) => kind === 'paused')) return;
  throw tooEarly('ConnectionPaused', 'The connection is paused.', PAUSE_LOOK_MS / timeScale);
}

/**
 * While a connection awaits (re)authorisation no request is made for it: it is as if Maesn had answered 401, at no
 * cost to a target system that counts errors.
 */
export function requireAuthorization(connection: OpenConnection): AuthorizedConnection {
  const { status, accountKey } = connection;
  if (status === 'active' && accountKey !== undefined) return { ...connection, accountKey };
  throw unauthorized(connection);
}

/** The same, without its key. */
export async function requireActive(store: Store, connectionId: string): Promise<void> {
  const connection = await store.connections.find(connectionId);
  if (connection === undefined) throw connectionNotFound(connectionId);
  if (connection.status !== 'active') throw unauthorized(connection);
}

function unauthorized({ status }: Connection): MaesnError {
  return new MaesnError({
    type: 'Unauthorized',
    request: 'No request',
    reason:
      status === 'not_connected'
        ? 'was made: the end user has not signed in yet'
        : 'was made: the connection awaits reauthorisation',
  });
}

/**
 * Of a 401: the version of the key that was refused. Where no request was made, that is the one that was refused before; a key
 * that has come since has yet to be tried, and must not be taken for refused.
 */
export function triedVersion({ status, keyVersion, refusedVersion }: Connection): number {
  return status === 'active' ? keyVersion : refusedVersion;
}

/** What every request of a connection carries besides its key, where the system has several companies or environments. */
export function companyQuery({ companyId, environmentName }: Connection): Query {
  return { companyId: companyId ?? undefined, environmentName: environmentName ?? undefined };
}
