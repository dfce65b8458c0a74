/** Connections to Temporal, from Temporal's own standard environment variables and configuration file. */
import { Client, Connection } from '@temporalio/client';
import type { WorkflowClientInterceptor } from '@temporalio/client';
import { loadClientConnectConfig } from '@temporalio/envconfig';
import { NativeConnection } from '@temporalio/worker';
import type { Config, Environment } from './config.js';
import { createDataConverter } from './payloads/data-converter.js';

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

type Settings = Pick<Config, 'env' | 'MAESN_SYNC_PAYLOAD_KEYS'>;

/** For an application: starts, signals and asks. */
export async function connectClient(
  { env, MAESN_SYNC_PAYLOAD_KEYS: keys }: Settings,
  interceptors: readonly WorkflowClientInterceptor[] = [],
): Promise<Client> {
  const { connectionOptions, namespace } = connectOptions(env);
  const connecting = Connection.connect({ ...connectionOptions, connectTimeout: '10 seconds' });
  const connection = await connecting.catch(unreachable(connectionOptions.address));
  return newClient({ connection, namespace, keys, interceptors });
}

/** The first task of what is started comes with the answer, where the Worker that shares the connection has room for it. */
const REQUEST_EAGER_START: WorkflowClientInterceptor = {
  startWithDetails: (input, next) => next({ ...input, options: { ...input.options, requestEagerStart: true } }),
};

interface WorkerSettings extends Settings {
  readonly TEMPORAL_WORKER_BUILD_ID?: Config['TEMPORAL_WORKER_BUILD_ID'];
}

/** For a Worker: polls, and its Activities start and signal over the same connection; so does a backend in its process. */
export async function connectWorker(
  { env, MAESN_SYNC_PAYLOAD_KEYS: keys, TEMPORAL_WORKER_BUILD_ID: buildId }: WorkerSettings,
  interceptors: readonly WorkflowClientInterceptor[] = [],
): Promise<{ readonly connection: NativeConnection; readonly client: Client; readonly namespace: string }> {
  const { connectionOptions, namespace } = connectOptions(env);
  const connection = await NativeConnection.connect(connectionOptions).catch(unreachable(connectionOptions.address));
  // It would come to this Worker also where its version is not the current one.
  const eager = buildId === undefined ? [REQUEST_EAGER_START] : [];
  const client = newClient({ connection, namespace, keys, interceptors: [...eager, ...interceptors] });
  return { connection, client, namespace };
}

interface NewClientOptions {
  readonly connection: Connection | NativeConnection;
  readonly namespace: string;
  readonly keys: Config['MAESN_SYNC_PAYLOAD_KEYS'];
  readonly interceptors: readonly WorkflowClientInterceptor[];
}

function newClient({ connection, namespace, keys, interceptors }: NewClientOptions): Client {
  const dataConverter = createDataConverter(keys);
  return new Client({ connection, namespace, dataConverter, interceptors: { workflow: [...interceptors] } });
}

function unreachable(address: string) {
  return (error: unknown): never => {
    const reason = error instanceof Error ? error.message : String(error);
    throw new Error(`Temporal at ${address} does not answer; check TEMPORAL_ADDRESS: ${reason}`, { cause: error });
  };
}
