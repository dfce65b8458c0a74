import type { Query } from '../maesn/client.js';
import { MaesnError } from '../maesn/failure.js';
import type { Connection, Store } from '../store/index.js';
import { connectionNotFound } from './failure.js';

export type OpenConnection = Connection & { readonly accountKey: string | undefined };
export type AuthorizedConnection = Connection & { readonly accountKey: string };

export async function openConnection(store: Store, connectionId: string): Promise<OpenConnection> {
  const connection = await store.connections.open(connectionId);
  if (connection === undefined) throw connectionNotFound(connectionId);
  return connection;
}

/**
 * While a connection awaits (re)authorisation no request is made for it: it is as if Maesn had answered 401, at no
 * cost to a target system that counts errors.
 */
export function requireAuthorization(connection: OpenConnection): AuthorizedConnection {
  const { status, accountKey } = connection;
  if (status === 'active' && accountKey !== undefined) return { ...connection, accountKey };
  throw new MaesnError({
    type: 'Unauthorized',
    request: 'No request',
    reason:
      status === 'not_connected'
        ? 'was made: the end user has not signed in yet'
        : 'was made: the connection awaits reauthorisation',
  });
}

/** What every request of a connection carries besides its key, where the system has several companies or environments. */
export function companyQuery({ companyId, environmentName }: Connection): Query {
  return { companyId: companyId ?? undefined, environmentName: environmentName ?? undefined };
}
