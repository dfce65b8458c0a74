/**
 * What an application's backend imports: connect customers, start their syncs, ask how they are doing, and say that
 * a customer has signed in again.
 *
 * Every call checks its input and throws a `MaesnSyncError` whose `code` says what went wrong.
 */
import { createConnections } from './client/connections.js';
import type { ClientContext, LoginSettings } from './client/context.js';
import { createEvents } from './client/events.js';
import { guardCalls } from './client/guard-calls.js';
import { createLogins } from './client/logins.js';
import type { SyncStatus } from './client/status.js';
import { readStuck } from './client/stuck.js';
import { createRetries } from './client/retries.js';
import { createResources } from './client/resources.js';
import { createSyncs } from './client/syncs.js';
import { createWebhooks } from './client/webhooks.js';
import { createWrites } from './client/writes.js';
import type { WriteCalls } from './client/writes.js';
import { localUrl, publicUrl, readConfig, reauthorizationTimes, requireVariables } from './config.js';
import type { Config, Environment } from './config.js';
import { createConfiguredMaesnClient } from './maesn/configured.js';
import type { Resource } from './spec/resources.js';
import { createTargetSystems } from './spec/target-systems.js';
import type { TargetSystems } from './spec/target-systems.js';
import { openStore } from './store/index.js';
import type {
  CapabilityReason,
  Connection,
  Event,
  Incident,
  JournalEntry,
  StoredRecord,
  Warning,
} from './store/index.js';
import { connectClient } from './temporal.js';

export interface AddConnectionInput {
  readonly connectionId: string;
  /** Maesn's name of the accounting system: `xero`, `lexware-office`, ... */
  readonly targetSystem: string;
  /** From Maesn's login; stored sealed. Absent: `authorize` sends the end user to the login. */
  readonly accountKey?: string | undefined;
  readonly companyId?: string | undefined;
  readonly environmentName?: string | undefined;
  /** ISO date; `datev-rewe-export` needs it. */
  readonly fiscalYearStartDate?: string | undefined;
}

export interface StartSyncOptions {
  /**
   * Default: all collections that maesn-sync knows; what the system does not offer is reported as unsupported. Children
   * (`invoiceLineItems`) have to be named, and bring their parent (`invoices`) with them: each costs a request for every record
   * of its parent the first time, and for every one that has changed from then on.
   */
  readonly resources?: readonly Resource[] | undefined;
  /** From the start of one cycle to the start of the next: milliseconds, or `'15 minutes'`. Default: one cycle only. */
  readonly every?: number | string | undefined;
}

export interface StartedSync {
  readonly workflowId: string;
  readonly runId: string;
  /**
   * `true`: a sync of this connection was running already, and goes on. With `every`, it has these resources and this interval
   * from its next cycle on; without, it stays as it was.
   */
  readonly alreadyRunning: boolean;
}

export interface RetryTargetSystemOptions {
  readonly targetSystem: string;
  /** Milliseconds, or `'10 minutes'`, which is the default; at most a day. */
  readonly over?: number | string | undefined;
}

export interface Credentials {
  readonly apiKey?: string | undefined;
  readonly username?: string | undefined;
  readonly password?: string | undefined;
  readonly baseUrl?: string | undefined;
  readonly tenantId?: string | undefined;
}

/** What a callback brings. */
export interface LoginCallback {
  readonly state: string;
  readonly accountKey: string | undefined;
  readonly signature?: string | undefined;
  /** Maesn has posted it itself; the end user comes after. Default: the end user has brought it. */
  readonly posted?: boolean;
}

export interface LoginResult {
  readonly connectionId: string;
  /** `pending`: the end user is back, and Maesn has not posted the key yet. */
  readonly outcome: 'connected' | 'pending';
}

/** What Maesn posts to a callback URL of ours. */
export interface ReceivedWebhook {
  /** The last part of the callback URL. */
  readonly token: string;
  /** As it came, byte for byte: that is what was signed. */
  readonly body: Buffer | string;
  /** `X-MAESN-SIGNATURE` */
  readonly signature: string | undefined;
}

export interface ListConnectionsOptions {
  /** From behind this id: the last one of the page before. */
  readonly afterId?: string | undefined;
  /** 1 to 200. Default: 50. */
  readonly limit?: number | undefined;
}

export interface ListRecordsOptions {
  /** From behind this key: the last one of the page before. */
  readonly afterKey?: string | undefined;
  /** 1 to 1,000. Default: 100. */
  readonly limit?: number | undefined;
  readonly modifiedSince?: Date | undefined;
  /** Default: false. */
  readonly includeDeleted?: boolean | undefined;
}

/** What is known of a resource of a connection. */
export interface ResourceStatus {
  readonly resource: Resource;
  /** Whether the target system offers it, as it last answered; `null`: it has not answered yet. */
  readonly offered: boolean | null;
  /** Why it is taken for not offered. */
  readonly reason: CapabilityReason | null;
  readonly checkedAt: Date | null;
  /** Until then it is not asked for; `null`: it is, in every cycle. */
  readonly recheckAt: Date | null;
  /** Everything that was modified before is in the store; `null`: it was never pulled to its end. */
  readonly asOf: Date | null;
  /** What Maesn warned of, newest first, at most 20. May quote a record. */
  readonly warnings: readonly Omit<Warning, 'resource'>[];
}

export interface ListIncidentsOptions {
  /** Those that are not over alone, all of them. Default: false. */
  readonly open?: boolean | undefined;
  /** From before this incident: the last one of the page before. */
  readonly beforeId?: number | undefined;
  /** 1 to 1,000. Default: 100. */
  readonly limit?: number | undefined;
}

export interface MaesnSync extends WriteCalls {
  /** The same client, whose doings are in the journal under this name. */
  as(actor: string): MaesnSync;

  /** Throws `ConnectionExists` when the id is taken. */
  addConnection(input: AddConnectionInput): Promise<Connection>;
  /** Throws `ConnectionNotFound`. */
  connection(connectionId: string): Promise<Connection>;
  /** In order of id, at most 50 unless `limit` says otherwise (up to 200). */
  connections(options?: ListConnectionsOptions): Promise<Connection[]>;
  /** The same connections, each with how its sync is doing. */
  overview(options?: ListConnectionsOptions): Promise<SyncStatus[]>;
  /** Every sync that has failed three times in a row or waits for minutes, waits for its end user, or is held; those that wait longest first. */
  stuck(): Promise<SyncStatus[]>;
  /** Ends its Workflows and deletes the connection, its key and all of its records. Throws `ConnectionNotFound`. */
  removeConnection(connectionId: string): Promise<void>;
  /** Who did what, newest first. It outlives the connection. */
  journal(
    connectionId: string,
    options?: { readonly beforeId?: number | undefined; readonly limit?: number },
  ): Promise<JournalEntry[]>;

  /** Starts the sync of a connection, or finds it running: there is at most one. Throws `ConnectionNotFound`. */
  startSync(connectionId: string, options?: StartSyncOptions): Promise<StartedSync>;
  /** What runs, what waits, since when and why. Throws `ConnectionNotFound`. */
  syncStatus(connectionId: string): Promise<SyncStatus>;
  /**
   * Places a hold on the connection: a sync that runs stops after the page in flight, one that is started waits. Throws
   * `Refused` when it is paused already.
   */
  pauseSync(connectionId: string, options: { readonly reason: string }): Promise<void>;
  /** Lifts that hold and no other; the sync goes on at the page where it stopped. Throws `Refused` when it is not paused. */
  resumeSync(connectionId: string): Promise<void>;
  /**
   * After a full walk that would delete suspiciously many records: deletes what is not listed any more, or keeps it until the
   * next full walk asks again. Lifts the hold. Throws `Refused` when nothing waits for it.
   */
  decideDeletes(connectionId: string, options: { readonly decision: 'delete' | 'keep' }): Promise<void>;
  /** Starts the next cycle of a repeating sync now; while a cycle is under way, of any sync, one more right after it. Throws `SyncNotRunning`. */
  syncNow(connectionId: string): Promise<void>;
  /**
   * Makes what waits for its next attempt now: the sync's request, and whatever else of the connection is `Retrying`, such as a
   * write, or an event that is not taken. Keeps the page and the count of failures. Throws `Refused` when nothing waits.
   */
  retryNow(connectionId: string): Promise<void>;
  /**
   * The same of everything that is `Retrying` of one target system, one after the other and spread over a time. Returns at once;
   * `waiting`: how many there are. Throws `Refused` when there are none, or when it is under way already.
   */
  retryTargetSystem(
    options: RetryTargetSystemOptions,
  ): Promise<{ readonly workflowId: string; readonly waiting: number }>;
  /** Ends the sync after the page in flight; the next one goes on from there. Throws `SyncNotRunning`. */
  cancelSync(connectionId: string): Promise<void>;

  /**
   * Asks Maesn for a page on which the end user signs in (again), with our callback. Good once, until `expiresAt`.
   * Throws `ConnectionNotFound`, `MaesnRefused`, `NotConfigured`.
   */
  authorize(connectionId: string): Promise<{ readonly loginUrl: string; readonly expiresAt: Date }>;
  /** The end user is back with a key. Throws `LoginUnknown`, `LoginUsed`, `LoginExpired`, `LoginIncomplete`. */
  completeLogin(callback: LoginCallback): Promise<LoginResult>;
  /** The end user is back without. Throws `LoginUnknown`, `LoginUsed`, `LoginExpired`. */
  cancelLogin(state: string): Promise<Connection>;
  /** Maesn sent the end user back with an error. Throws as `cancelLogin`. */
  failLogin(state: string, reason: string): Promise<Connection>;
  /** For systems without a login page. Throws `ConnectionNotFound`, `MaesnRefused`, `NotConfigured`. */
  connectWithCredentials(connectionId: string, credentials: Credentials): Promise<Connection>;
  /**
   * The end user has signed in again: stores the account key (the same one, or a new one) and wakes whatever waits for it,
   * once Maesn has accepted it. Harmless when nothing waits. Throws `ConnectionNotFound`.
   */
  reauthorized(connectionId: string, accountKey: string): Promise<Connection>;

  /**
   * Maesn says that something has changed: resources are pulled soon, deleted records are marked, a login that is said to
   * be revoked is probed. Harmless when it comes twice. `ignored`: what nothing can be done with. Throws `WebhookUnknown`,
   * `WebhookRefused`, `InvalidInput`.
   */
  receiveWebhook(webhook: ReceivedWebhook): Promise<{ readonly accepted: number; readonly ignored: number }>;

  /** What the store holds of a resource, in order of key. Throws `ConnectionNotFound`. */
  records(connectionId: string, resource: Resource, options?: ListRecordsOptions): Promise<StoredRecord[]>;
  /** Throws `ConnectionNotFound`, `RecordNotFound`. */
  record(connectionId: string, resource: Resource, key: string): Promise<StoredRecord>;

  /** What is known of every resource that was ever asked for. Throws `ConnectionNotFound`. */
  resources(connectionId: string): Promise<ResourceStatus[]>;
  /**
   * Asks again for a resource that is not offered: at once where a sync runs that has it, else when the next one does.
   * Throws `ConnectionNotFound`, and `Refused` when it is asked for anyway.
   */
  recheckResource(connectionId: string, resource: Resource): Promise<void>;
  /** What happened to many connections at once, newest first. */
  incidents(options?: ListIncidentsOptions): Promise<Incident[]>;

  /** What the application is told, oldest first, after the event `afterId` that it has seen. */
  events(options?: {
    readonly afterId?: number;
    readonly limit?: number;
    readonly connectionId?: string | undefined;
  }): Promise<Event[]>;
  /** The newest events of a connection, newest first. */
  latestEvents(connectionId: string, limit: number): Promise<Event[]>;
  /** Delivers events once more, under the same ids. Throws `EventNotFound`, `NotConfigured`. */
  replayEvents(ids: readonly number[]): Promise<Event[]>;

  close(): Promise<void>;
}

export interface MaesnSyncOptions extends Omit<
  ClientContext,
  'actor' | 'webhooks' | 'deliversEvents' | 'targetSystems' | 'temporalAnswersWithinMs'
> {
  /** Default: the table as it is. */
  readonly targetSystems?: TargetSystems;

  readonly webhooks?: boolean;
  readonly deliversEvents?: boolean;
  /** Default: 10 seconds. */
  readonly temporalAnswersWithinMs?: number;
  /** Default: `application`. */
  readonly actor?: string;
  /** Called by `close()`, after which nothing of the client may be used. */
  readonly onClose?: () => Promise<void>;
}

/** Connects to Temporal and the store that the environment names. */
export async function connectMaesnSync(env?: Environment): Promise<MaesnSync> {
  const given = readConfig(env === undefined ? {} : { env });
  const config = requireVariables(given, 'DATABASE_URL', 'MAESN_SYNC_SEALING_KEY');
  const store = await openStore({ databaseUrl: config.DATABASE_URL, sealingKey: config.MAESN_SYNC_SEALING_KEY });
  try {
    const temporal = await connectClient(config);
    return createMaesnSync({
      temporal,
      store,
      ...clientSettings(config),
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

/** The part of the configuration that a client takes. `backendUrl`: where the backend listens, if it is known. */
export function clientSettings(config: Config, backendUrl = localUrl(config)) {
  const login: LoginSettings | undefined =
    config.MAESN_API_KEY === undefined
      ? undefined
      : {
          maesn: createConfiguredMaesnClient(requireVariables(config, 'MAESN_API_KEY')),
          publicUrl: publicUrl(config, backendUrl),
          method: config.MAESN_LOGIN_METHOD,
          signingSecret: config.MAESN_SIGNING_SECRET,
          expiresAfterMs: config.MAESN_SYNC_LOGIN_EXPIRES,
        };
  return {
    targetSystems: createTargetSystems(config.MAESN_SYNC_TARGET_SYSTEMS),
    taskQueue: config.MAESN_SYNC_TASK_QUEUE,
    reauthorization: reauthorizationTimes(config),
    login,
    webhooks: config.MAESN_SYNC_PUBLIC_URL !== undefined,
    deliversEvents: config.MAESN_SYNC_EVENTS_URL !== undefined,
  };
}

export function createMaesnSync(options: MaesnSyncOptions): MaesnSync {
  const {
    actor = 'application',
    webhooks = false,
    deliversEvents = false,
    targetSystems = createTargetSystems(),
    temporalAnswersWithinMs = 10_000,
    onClose,
    ...rest
  } = options;
  const context: ClientContext = { actor, webhooks, deliversEvents, targetSystems, temporalAnswersWithinMs, ...rest };
  const calls = guardCalls({
    stuck: () => readStuck(context),
    close: async () => onClose?.(),
    ...createConnections(context),
    ...createSyncs(context),
    ...createRetries(context),
    ...createLogins(context),
    ...createEvents(context),
    ...createResources(context),
    ...createWebhooks(context),
    ...createWrites(context),
  });
  return { as: (name) => createMaesnSync({ ...options, actor: name }), ...calls };
}

export { createDataConverter } from './payloads/data-converter.js';
export type { PayloadKey } from './payloads/codec.js';
export { MaesnSyncError } from './client/errors.js';
export type { ErrorCode, InputIssue } from './client/errors.js';
export { DEFAULT_RESOURCES, RESOURCE_NAMES } from './spec/resources.js';
export { WRITE_OPERATIONS } from './spec/writes.js';
export type { WriteOperation } from './spec/writes.js';
export type { ListWritesOptions, WriteInput, WriteStatus } from './client/writes.js';
export type { Resource } from './spec/resources.js';
export type {
  Connection,
  ConnectionStatus,
  Event,
  EventType,
  Hold,
  Incident,
  JournalAction,
  JournalEntry,
  StoredRecord,
  Resolution,
  Warning,
  Write,
} from './store/index.js';
export type { IncidentKind } from './spec/incidents.js';
export type { ConnectionHold, Freshness, SyncRetry, SyncStatus } from './client/status.js';
export type { ResourceReport, SyncReport } from './workflows/messages.js';
