/**
 * What an application's backend imports: connect customers, start their syncs, ask how they are doing, and say that
 * a customer has signed in again.
 *
 * Every call checks its input and throws a `MaesnSyncError` whose `code` says what went wrong.
 */
import type { Client } from '@temporalio/client';
import { WorkflowExecutionAlreadyStartedError } from '@temporalio/client';
import { msToNumber } from '@temporalio/common/lib/time.js';
import type { Duration } from '@temporalio/common';
import { z } from 'zod';
import { MaesnSyncError, callTemporal, notRunning, parseInput } from './client-errors.js';
import { readConfig, reauthorizationTimes, requireVariables } from './config.js';
import type { Environment } from './config.js';
import { RESOURCE_NAMES } from './spec/resources.js';
import type { Resource } from './spec/resources.js';
import { openStore } from './store/index.js';
import type { Connection, Notice, Store } from './store/index.js';
import { readSyncStatus } from './sync-status.js';
import type { SyncStatus } from './sync-status.js';
import { connectClient } from './temporal.js';
import {
  pauseUpdate,
  reauthorizeConnectionId,
  reauthorizeConnectionStart,
  reauthorizedSignal,
  resumeUpdate,
  syncConnectionId,
  syncNowSignal,
} from './workflows/messages.js';
import type { ReauthorizationTimes, SyncConnectionInput } from './workflows/messages.js';

/** Your own id of a customer's system: it becomes part of Workflow ids, so it holds nothing that is secret. */
const connectionId = z
  .string()
  .regex(
    /^[A-Za-z0-9][A-Za-z0-9._:-]{0,99}$/,
    'must be 1 to 100 letters, digits and ._:- and begin with a letter or digit',
  );
const accountKey = z.string().min(1, 'must be the account key that Maesn gave').max(4_096);
const name = z.string().min(1).max(500);

const addConnectionInput = z.strictObject({
  connectionId,
  targetSystem: z
    .string()
    .regex(/^[a-z0-9][a-z0-9-]{0,99}$/, 'must be a target system such as "xero" or "lexware-office"'),
  accountKey,
  companyId: name.optional(),
  environmentName: name.optional(),
  fiscalYearStartDate: z.iso.date().optional(),
});

const every = z
  .union([z.number(), z.string()])
  .transform((value, context): number => {
    try {
      // The compiler knows the words of a duration; at run time msToNumber is what checks them.
      // oxlint-disable-next-line typescript/no-unsafe-type-assertion
      return msToNumber(value as Duration);
    } catch {
      context.addIssue('must be milliseconds, or a duration such as "15 minutes"');
      return z.NEVER;
    }
  })
  .pipe(
    z
      .number()
      .min(1_000, 'must be at least one second')
      .max(365 * 86_400_000, 'must be at most a year'),
  );

const startSyncOptions = z.strictObject({
  resources: z.array(z.enum(RESOURCE_NAMES)).min(1).optional(),
  every: every.optional(),
});

const pauseOptions = z.strictObject({ reason: z.string().min(1).max(500) });
const noticesOptions = z.strictObject({
  afterId: z.number().int().min(0).default(0),
  limit: z.number().int().min(1).max(1_000).default(100),
});

export interface AddConnectionInput {
  readonly connectionId: string;
  /** Maesn's name of the accounting system: `xero`, `lexware-office`, ... */
  readonly targetSystem: string;
  /** From Maesn's login; stored sealed. */
  readonly accountKey: string;
  readonly companyId?: string | undefined;
  readonly environmentName?: string | undefined;
  /** ISO date; `datev-rewe-export` needs it. */
  readonly fiscalYearStartDate?: string | undefined;
}

export interface StartSyncOptions {
  /** Default: all that maesn-sync knows; what the system does not offer is reported as unsupported. */
  readonly resources?: readonly Resource[] | undefined;
  /** From the start of one cycle to the start of the next: milliseconds, or `'15 minutes'`. Default: one cycle only. */
  readonly every?: number | string | undefined;
}

export interface StartedSync {
  readonly workflowId: string;
  readonly runId: string;
  /** `true`: a sync of this connection was running already, and goes on as it was. */
  readonly alreadyRunning: boolean;
}

export interface MaesnSync {
  /** Throws `ConnectionExists` when the id is taken. */
  addConnection(input: AddConnectionInput): Promise<Connection>;
  /** Throws `ConnectionNotFound`. */
  connection(connectionId: string): Promise<Connection>;
  connections(): Promise<Connection[]>;
  /** Ends its Workflows and deletes the connection, its key and all of its records. Throws `ConnectionNotFound`. */
  removeConnection(connectionId: string): Promise<void>;

  /** Starts the sync of a connection, or finds it running: there is at most one. Throws `ConnectionNotFound`. */
  startSync(connectionId: string, options?: StartSyncOptions): Promise<StartedSync>;
  /** What runs, what waits, since when and why. Throws `ConnectionNotFound`. */
  syncStatus(connectionId: string): Promise<SyncStatus>;
  /** Stops after the page in flight. Throws `SyncNotRunning`, or `Refused` when it is paused already. */
  pauseSync(connectionId: string, options: { readonly reason: string }): Promise<void>;
  /** Goes on at the page where it stopped. Throws `SyncNotRunning`, or `Refused` when it is not paused. */
  resumeSync(connectionId: string): Promise<void>;
  /** Starts the next cycle of a repeating sync now. Throws `SyncNotRunning`. */
  syncNow(connectionId: string): Promise<void>;
  /** Ends the sync after the page in flight; the next one goes on from there. Throws `SyncNotRunning`. */
  cancelSync(connectionId: string): Promise<void>;

  /**
   * The end user has signed in again: stores the account key (the same one, or a new one) and wakes whatever waits for it,
   * once Maesn has accepted it. Harmless when nothing waits. Throws `ConnectionNotFound`.
   */
  reauthorized(connectionId: string, accountKey: string): Promise<Connection>;
  /** What the application must be told, oldest first, after the notice `afterId` that it has seen. */
  notices(options?: { readonly afterId?: number; readonly limit?: number }): Promise<Notice[]>;

  close(): Promise<void>;
}

export interface MaesnSyncOptions {
  readonly temporal: Client;
  readonly store: Store;
  readonly taskQueue: string;
  readonly reauthorization: ReauthorizationTimes;
  /** Called by `close()`, after which nothing of the client may be used. */
  readonly onClose?: () => Promise<void>;
}

/** Connects to Temporal and the store that the environment names. */
export async function connectMaesnSync(env?: Environment): Promise<MaesnSync> {
  const given = readConfig(env === undefined ? {} : { env });
  const config = requireVariables(given, 'DATABASE_URL', 'MAESN_SYNC_SEALING_KEY');
  const store = await openStore({ databaseUrl: config.DATABASE_URL, sealingKey: config.MAESN_SYNC_SEALING_KEY });
  try {
    const temporal = await connectClient(config.env);
    return createMaesnSync({
      temporal,
      store,
      taskQueue: config.MAESN_SYNC_TASK_QUEUE,
      reauthorization: reauthorizationTimes(config),
      onClose: async () => {
        await temporal.connection.close();
        await store.close();
      },
    });
  } catch (error) {
    await store.close();
    throw error;
  }
}

export function createMaesnSync({ temporal, store, taskQueue, reauthorization, onClose }: MaesnSyncOptions): MaesnSync {
  const syncOf = (id: string) => temporal.workflow.getHandle(syncConnectionId(id));

  async function find(id: string): Promise<Connection> {
    const connection = await store.connections.find(parseInput(connectionId, id));
    if (connection === undefined) throw notFound(id);
    return connection;
  }

  return {
    async addConnection(input) {
      const connection = parseInput(addConnectionInput, input);
      if (!(await store.connections.add(connection))) {
        const message = `Connection ${connection.connectionId} exists already; reauthorized() gives it a new account key.`;
        throw new MaesnSyncError('ConnectionExists', message);
      }
      return find(connection.connectionId);
    },

    connection: find,
    connections: () => store.connections.list(),

    async removeConnection(id) {
      // First the row: from then on nothing can be written for this connection, whoever is still running.
      if (!(await store.connections.remove(parseInput(connectionId, id)))) throw notFound(id);
      for (const workflowId of [syncConnectionId(id), reauthorizeConnectionId(id)]) {
        await callTemporal(id, () => temporal.workflow.getHandle(workflowId).terminate('connection removed')).catch(
          (error: unknown) => {
            if (!(error instanceof MaesnSyncError && error.code === 'SyncNotRunning')) throw error;
          },
        );
      }
    },

    async startSync(id, options = {}) {
      const { resources = RESOURCE_NAMES, every: everyMs } = parseInput(startSyncOptions, options);
      const connection = await find(id);
      const workflowId = syncConnectionId(id);
      const input: SyncConnectionInput = { connectionId: id, resources: [...new Set(resources)], everyMs };
      try {
        const handle = await callTemporal(id, () =>
          temporal.workflow.start('syncConnection', {
            workflowId,
            taskQueue,
            args: [input],
            staticSummary: `${id} (${connection.targetSystem})`,
          }),
        );
        return { workflowId, runId: handle.firstExecutionRunId, alreadyRunning: false };
      } catch (error) {
        if (!(error instanceof WorkflowExecutionAlreadyStartedError)) throw error;
        const { runId } = await callTemporal(id, () => syncOf(id).describe());
        return { workflowId, runId, alreadyRunning: true };
      }
    },

    async syncStatus(id) {
      const connection = await find(id);
      return callTemporal(id, () => readSyncStatus(temporal, store, connection));
    },

    async pauseSync(id, options) {
      const because = parseInput(pauseOptions, options);
      await find(id);
      await callTemporal(id, () => syncOf(id).executeUpdate(pauseUpdate, { args: [because] }));
    },

    async resumeSync(id) {
      await find(id);
      await callTemporal(id, () => syncOf(id).executeUpdate(resumeUpdate));
    },

    async syncNow(id) {
      await find(id);
      await callTemporal(id, () => syncOf(id).signal(syncNowSignal));
    },

    async cancelSync(id) {
      await find(id);
      await callTemporal(id, async () => {
        const { status } = await syncOf(id).describe();
        // Temporal takes a cancellation of what has ended for done.
        if (status.name !== 'RUNNING') throw notRunning(id);
        await syncOf(id).cancel();
      });
    },

    async reauthorized(id, key) {
      const stored = await store.connections.storeKey(parseInput(connectionId, id), parseInput(accountKey, key));
      if (stored === undefined) throw notFound(id);
      if (stored.status === 'awaiting_reauthorization') {
        // With start: whoever waits is released even if somebody has terminated the Workflow that should do it.
        await callTemporal(id, () =>
          temporal.workflow.signalWithStart('reauthorizeConnection', {
            taskQueue,
            ...reauthorizeConnectionStart(id, reauthorization),
            signal: reauthorizedSignal,
          }),
        );
      }
      return find(id);
    },

    notices: async (options = {}) => store.notices.list(parseInput(noticesOptions, options)),
    close: async () => onClose?.(),
  };
}

function notFound(id: string): MaesnSyncError {
  return new MaesnSyncError('ConnectionNotFound', `There is no connection ${id}.`);
}

export { MaesnSyncError } from './client-errors.js';
export type { ErrorCode, InputIssue } from './client-errors.js';
export { RESOURCE_NAMES } from './spec/resources.js';
export type { Resource } from './spec/resources.js';
export type { Connection, ConnectionStatus, Notice, NoticeType } from './store/index.js';
export type { SyncRetry, SyncStatus } from './sync-status.js';
export type { ResourceReport, SyncReport } from './workflows/messages.js';
