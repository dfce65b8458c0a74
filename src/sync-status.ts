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
import { keysOf } from './spec/table.js';
import type { Resource } from './spec/resources.js';
import type { Connection, Store } from './store/index.js';
import { statusQuery, syncConnectionId } from './workflows/messages.js';
import type { ResourceReport, SyncConnectionStatus, SyncReport, SyncState } from './workflows/messages.js';

/** A request to Maesn that failed and will be made again. */
export interface SyncRetry {
  /** A row of the error guide, such as `TooManyRequests`. */
  readonly type: string;
  readonly message: string;
  readonly nextAttemptAt: Date | undefined;
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
  readonly pausedBecause?: string | undefined;
  readonly nextCycleAt?: Date | undefined;
  /** Set while a failed request waits for its next attempt. */
  readonly retry?: SyncRetry | undefined;
  /** Why it ended, when it did not end well. */
  readonly failure?: { readonly type: string; readonly message: string } | undefined;
  readonly resources: Partial<Record<Resource, ResourceReport>>;
  readonly lastReport?: SyncReport | undefined;
}

/** How long a Worker may take to answer a Query before it is taken for absent. */
const QUERY_DEADLINE_MS = 5_000;

export async function readSyncStatus(temporal: Client, store: Store, connection: Connection): Promise<SyncStatus> {
  const workflowId = syncConnectionId(connection.connectionId);
  const handle = temporal.workflow.getHandle(workflowId);
  const described = await handle.describe().catch((error: unknown) => {
    if (error instanceof WorkflowNotFoundError) return undefined;
    throw error;
  });
  if (described === undefined) return { connection, workflowId, state: 'NotStarted', resources: {} };
  const { runId } = described;
  if (described.status.name !== 'RUNNING')
    return { connection, workflowId, runId, ...(await readEnd(temporal, described)) };

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
  if (asked === undefined) return { connection, workflowId, runId, state: 'Unknown', retry, resources: {} };
  const { since, nextCycleAt, resources, ...about } = asked;
  return {
    connection,
    workflowId,
    runId,
    ...about,
    since: new Date(since),
    nextCycleAt: nextCycleAt === undefined ? undefined : new Date(nextCycleAt),
    retry,
    resources: await withProgress(store, connection, asked.resource, resources),
  };
}

/** The Workflow hears of pages when an Activity ends; the store knows them as they come. */
async function withProgress(
  store: Store,
  { connectionId }: Connection,
  current: Resource | undefined,
  resources: SyncConnectionStatus['resources'],
): Promise<SyncStatus['resources']> {
  const report = current === undefined ? undefined : resources[current];
  if (current === undefined || report?.status !== 'syncing') return resources;
  const cursor = (await store.walks.list(connectionId)).find(({ resource }) => resource === current);
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
  return { type, message: error?.message ?? '', nextAttemptAt };
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
