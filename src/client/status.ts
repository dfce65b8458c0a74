/** How a sync is doing, put together from those who know: the Workflow, Temporal about its Activity, and the store. */
import {
  QueryNotRegisteredError,
  QueryRejectedError,
  ServiceError,
  WorkflowFailedError,
  WorkflowNotFoundError,
} from '@temporalio/client';
import type { Client, WorkflowExecutionDescription } from '@temporalio/client';
import { ApplicationFailure } from '@temporalio/common';
import { decodeOptionalFailureToOptionalError } from '@temporalio/common/lib/internal-non-workflow/index.js';
import { optionalTsToDate } from '@temporalio/common/lib/time.js';
import { z } from 'zod';
import { keysOf } from '../spec/table.js';
import type { Resource } from '../spec/resources.js';
import type { Connection, Cursor, Hold, HoldKind, NotOffered, Store } from '../store/index.js';
import { isFailureDetails, statusQuery, syncConnectionId } from '../workflows/messages.js';
import type { ResourceReport, SyncReport, SyncState } from '../workflows/messages.js';
import { summarize } from './summary.js';

/** A request to Maesn that failed and will be made again. */
export interface SyncRetry {
  /** A row of the error guide, such as `TooManyRequests`. */
  readonly type: string;
  readonly message: string;
  /** As Maesn answered; absent when it did not. */
  readonly status?: number | undefined;
  readonly resource?: string | undefined;
  readonly page?: number | undefined;
  /** How many failures of this type in a row. */
  readonly failures: number;
  readonly nextAttemptAt: Date;
  readonly errors?: readonly unknown[] | undefined;
  readonly downstreamErrors?: readonly unknown[] | undefined;
  /** Of the incident that explains it, and that concerns others too. */
  readonly incidentId?: number | undefined;
}

/** What keeps a connection from running. */
export interface ConnectionHold {
  readonly kind: HoldKind | 'reauthorization';
  readonly placedBy: string;
  readonly reason: string;
  readonly since: Date;
}

/** How up to date the store is about a resource. */
export interface Freshness {
  /** Everything that was modified before is in the store. */
  readonly asOf: Date;
}

export interface SyncStatus {
  readonly connection: Connection;
  readonly workflowId: string;
  readonly runId?: string | undefined;
  /**
   * `NotStarted`: there never was a sync, or Temporal has forgotten it. `Unknown`: it runs, and no Worker is there to say
   * what it does. The last four are how it ended.
   */
  readonly state: SyncState | 'NotStarted' | 'Unknown' | 'Completed' | 'Failed' | 'Cancelled' | 'Terminated';
  readonly since?: Date | undefined;
  readonly resource?: Resource | undefined;
  /** Of a repeating sync, from 1. */
  readonly cycle?: number | undefined;
  /** A set: the connection runs when it is empty. */
  readonly holds: readonly ConnectionHold[];
  readonly nextCycleAt?: Date | undefined;
  /** How many cycles in a row have brought nothing at all; with each, the next is later. */
  readonly failedCycles?: number | undefined;
  /** Set while a failed request waits for its next attempt. */
  readonly retry?: SyncRetry | undefined;
  /** Why it ended, when it did not end well. */
  readonly failure?: { readonly type: string; readonly message: string } | undefined;
  readonly resources: Partial<Record<Resource, ResourceReport>>;
  readonly lastReport?: SyncReport | undefined;
  /** Of every resource that was ever pulled to its end. */
  readonly freshness: Partial<Record<Resource, Freshness>>;
  /** What the target system does not offer, and is not asked for until `recheckAt`. */
  readonly notOffered: Partial<Record<Resource, Omit<NotOffered, 'resource'>>>;
  /** All of the above in a sentence: what runs or waits, why, until when, and who must act. */
  readonly summary: string;
}

/** How long a Worker may take to answer a Query before it is taken for absent. */
const QUERY_DEADLINE_MS = 5_000;

export async function readSyncStatus(temporal: Client, store: Store, connection: Connection): Promise<SyncStatus> {
  const { connectionId } = connection;
  const [sync, holds, cursors, unsupported] = await Promise.all([
    readSync(temporal, connectionId).then((read) => withIncident(store, connectionId, read)),
    store.holds.list(connectionId),
    store.walks.list(connectionId),
    store.capabilities.unsupported(connectionId),
  ]);
  const status = {
    connection,
    workflowId: syncConnectionId(connectionId),
    ...sync,
    // The store knows of a hold before the Workflow does.
    state: toState(sync.state, holds),
    holds: [...holds, ...awaitingHold(connection)],
    resources: withProgress(cursors, sync),
    freshness: Object.fromEntries(
      cursors.flatMap(({ resource, watermark }) => (watermark === null ? [] : [[resource, { asOf: watermark }]])),
    ),
    notOffered: Object.fromEntries(unsupported.map(({ resource, ...about }) => [resource, about])),
  };
  return { ...status, summary: summarize(status) };
}

async function withIncident(store: Store, connectionId: string, sync: Sync): Promise<Sync> {
  const { retry } = sync;
  if (retry === undefined) return sync;
  const incident = await store.incidents.explaining(connectionId, [retry.type]);
  return incident === undefined ? sync : { ...sync, retry: { ...retry, incidentId: incident.id } };
}

/** States in which nothing but the Workflow's own doing is told. */
const BUSY = new Set<SyncStatus['state']>(['Idle', 'Syncing', 'Retrying', 'Waiting']);

function toState(state: SyncStatus['state'], holds: readonly Hold[]): SyncStatus['state'] {
  if (holds.length === 0 || !BUSY.has(state)) return state;
  return holds.some(({ kind }) => kind === 'paused') ? 'Paused' : 'Held';
}

/** The wait for the end user is a hold like the others, kept in the connection's own row. */
function awaitingHold({ status, awaitingSince, createdAt }: Connection): ConnectionHold[] {
  if (status === 'active') return [];
  const reason = {
    not_connected: 'The end user has not signed in yet',
    awaiting_reauthorization: 'The end user must sign in again',
    reauthorization_expired: 'The end user did not sign in again in time',
  }[status];
  return [{ kind: 'reauthorization', placedBy: 'Maesn', reason, since: awaitingSince ?? createdAt }];
}

type Sync = Omit<SyncStatus, 'connection' | 'workflowId' | 'holds' | 'freshness' | 'notOffered' | 'summary'>;

async function readSync(temporal: Client, connectionId: string): Promise<Sync> {
  const handle = temporal.workflow.getHandle(syncConnectionId(connectionId));
  const described = await handle.describe().catch((error: unknown) => {
    if (error instanceof WorkflowNotFoundError) return undefined;
    throw error;
  });
  if (described === undefined) return { state: 'NotStarted', resources: {} };
  const { runId } = described;
  if (described.status.name !== 'RUNNING') return { runId, ...(await readEnd(temporal, described)) };

  const [asked, retry] = await Promise.all([
    temporal.connection
      .withDeadline(Date.now() + QUERY_DEADLINE_MS, () => handle.query(statusQuery))
      .catch((error: unknown) => {
        if (
          error instanceof QueryNotRegisteredError ||
          error instanceof QueryRejectedError ||
          error instanceof ServiceError
        )
          return undefined;
        throw error;
      }),
    readRetry(temporal, described),
  ]);
  if (asked === undefined) return { runId, state: 'Unknown', retry, resources: {} };
  const { since, nextCycleAt, holds: _holds, retrying: _retrying, ...about } = asked;
  return {
    runId,
    ...about,
    since: new Date(since),
    nextCycleAt: nextCycleAt === undefined ? undefined : new Date(nextCycleAt),
    retry: retry === undefined ? undefined : { ...retry, resource: asked.resource },
  };
}

/** The Workflow hears of pages when an Activity ends; the store knows them as they come. */
function withProgress(cursors: readonly Cursor[], { resource: current, resources }: Sync): SyncStatus['resources'] {
  const report = current === undefined ? undefined : resources[current];
  if (current === undefined || report?.status !== 'syncing') return resources;
  const cursor = cursors.find(({ resource }) => resource === current);
  if (cursor === undefined) return resources;
  const { pages, records, flagged, totalPages } = cursor;
  return { ...resources, [current]: { ...report, pages, records, flagged, totalPages: totalPages ?? undefined } };
}

async function readRetry(temporal: Client, described: WorkflowExecutionDescription): Promise<SyncRetry | undefined> {
  const pending = described.raw.pendingActivities?.find(({ lastFailure }) => lastFailure);
  if (pending?.lastFailure === undefined || pending.lastFailure === null) return undefined;
  const nextAttemptAt = optionalTsToDate(pending.nextAttemptScheduleTime);
  // An attempt that is under way has the failure of the one before it, and no next one.
  if (nextAttemptAt === undefined) return undefined;
  const error = await decodeOptionalFailureToOptionalError(temporal.options.loadedDataConverter, pending.lastFailure);
  const type = error instanceof ApplicationFailure ? (error.type ?? 'Unexpected') : 'Unexpected';
  const details: unknown = error instanceof ApplicationFailure ? error.details?.[0] : undefined;
  const told = isFailureDetails(details) ? details : undefined;
  return {
    type,
    message: error?.message ?? '',
    status: told?.status,
    page: told?.page,
    failures: told?.failureCount ?? pending.attempt ?? 1,
    nextAttemptAt,
    errors: told?.errors,
    downstreamErrors: told?.downstreamErrors,
  };
}

const ENDS = {
  COMPLETED: 'Completed',
  FAILED: 'Failed',
  CANCELLED: 'Cancelled',
  TERMINATED: 'Terminated',
  TIMED_OUT: 'Failed',
} as const;

type End = Pick<SyncStatus, 'state' | 'since' | 'failure' | 'resources' | 'lastReport'>;

const report = z.custom<SyncReport>((value) => typeof value === 'object' && value !== null && 'resources' in value);

async function readEnd(
  temporal: Client,
  { workflowId, runId, status, closeTime }: WorkflowExecutionDescription,
): Promise<End> {
  const state = ENDS[keysOf(ENDS).find((name) => name === status.name) ?? 'FAILED'];
  const end = { state, since: closeTime };
  try {
    const result: unknown = await temporal.workflow.getHandle(workflowId, runId, { followRuns: false }).result();
    const lastReport = report.safeParse(result).data;
    return { ...end, resources: lastReport?.resources ?? {}, lastReport };
  } catch (error) {
    if (!(error instanceof WorkflowFailedError)) throw error;
    const { cause } = error;
    if (!(cause instanceof ApplicationFailure)) return { ...end, resources: {} };
    const lastReport = report.safeParse(cause.details?.[0]).data;
    const failure = { type: cause.type ?? 'Unexpected', message: cause.message };
    return { ...end, failure, resources: lastReport?.resources ?? {}, lastReport };
  }
}
