/** Connections to Temporal, from Temporal's own standard environment variables and configuration file. */
import { Client, Connection } from '@temporalio/client';
import type { ClientInterceptors } from '@temporalio/client';
import { loadClientConnectConfig } from '@temporalio/envconfig';
import { NativeConnection } from '@temporalio/worker';
import type { Environment } from './config.js';

export const DEFAULT_ADDRESS = '127.0.0.1:7233';

export interface TemporalAddress {
  readonly address: string;
  readonly namespace: string;
}

function connectOptions(env: Environment) {
  const set = Object.fromEntries(
    Object.entries(env).filter((entry): entry is [string, string] => entry[1] !== undefined && entry[1] !== ''),
  );
  const { connectionOptions, namespace = 'default' } = loadClientConnectConfig({ overrideEnvVars: set });
  return {
    connectionOptions: { ...connectionOptions, address: connectionOptions.address ?? DEFAULT_ADDRESS },
    namespace,
  };
}

/** Where this environment says that Temporal is. */
export function temporalAddress(env: Environment): TemporalAddress {
  const { connectionOptions, namespace } = connectOptions(env);
  return { address: connectionOptions.address, namespace };
}

/** For an application: starts, signals and asks. */
export async function connectClient(env: Environment, interceptors: ClientInterceptors = {}): Promise<Client> {
  const { connectionOptions, namespace } = connectOptions(env);
  const connecting = Connection.connect({ ...connectionOptions, connectTimeout: '10 seconds' });
  const connection = await connecting.catch(unreachable(connectionOptions.address));
  return new Client({ connection, namespace, interceptors });
}

/** For a Worker: polls, and its Activities start and signal over the same connection. */
export async function connectWorker(
  env: Environment,
  interceptors: ClientInterceptors = {},
): Promise<{ readonly connection: NativeConnection; readonly client: Client; readonly namespace: string }> {
  const { connectionOptions, namespace } = connectOptions(env);
  const connection = await NativeConnection.connect(connectionOptions).catch(unreachable(connectionOptions.address));
  return { connection, client: new Client({ connection, namespace, interceptors }), namespace };
}

function unreachable(address: string) {
  return (error: unknown): never => {
    const reason = error instanceof Error ? error.message : String(error);
    throw new Error(`Temporal at ${address} does not answer; check TEMPORAL_ADDRESS: ${reason}`, { cause: error });
  };
}
