/** One page of a collection, also where Maesn answers with a task that has to be asked until it holds the page. */
import { sleep } from '@temporalio/activity';
import type { MaesnClient, MaesnRequest, Query } from '../maesn/client.js';
import { MaesnError } from '../maesn/failure.js';
import type { MaesnRecord } from '../maesn/records.js';
import type { ListAnswer } from '../maesn/envelope.js';
import type { Listed } from '../maesn/listed-texts.js';
import { resourceRow } from '../spec/resources.js';
import type { Resource } from '../spec/resources.js';
import type { TargetSystems } from '../spec/target-systems.js';
import type { PullTask } from '../workflows/messages.js';
import { companyQuery } from './open-connection.js';
import type { AuthorizedConnection } from './open-connection.js';
import type { Sender } from './send.js';

export interface FetchedPage extends Listed {
  readonly totalPages: number | null;
  readonly totalRecords: number | null;
  /** Whether the walk ends with this page. */
  readonly last: boolean;
  /** What Maesn warned of. May quote records. */
  readonly warnings: readonly string[];
  /** Of children, whose pages are their parents. */
  readonly parentKey?: string | undefined;
  /** `records`, where they can be parsed before it is known what comes before them. */
  readonly parsed?: readonly MaesnRecord[];
}

export interface WantedPage {
  readonly resource: Resource;
  readonly path: string;
  /** From 1. */
  readonly page: number;
  /** `lastModifiedAt` */
  readonly since: Date | null;
  /** Filters of the list, in its own words. */
  readonly filter?: Query | undefined;
}

/** How Maesn is asked in this attempt, on behalf of one connection. */
export interface Asking {
  readonly maesn: MaesnClient;
  readonly connection: AuthorizedConnection;
  readonly signal: AbortSignal;
  /** Asked between polls of a task; `false` leaves the task for later. */
  readonly hasTime: () => boolean;
  /** Records of a page. */
  readonly pageLimit: number;
  readonly sender: Sender;
  readonly targetSystems: TargetSystems;
}

export interface FetchPageInput extends Asking {
  readonly wanted: WantedPage;
  /** The task that holds this page, if it was started before. */
  readonly task?: PullTask | undefined;
  /** `undefined`: the task is of no more use, the next attempt starts another one. */
  readonly onTask?: (task: PullTask | undefined) => void;
}

const FIRST_POLL_MS = 1_000;
const SLOWEST_POLL_MS = 30_000;

/** `undefined`: time is up while a task is running; ask again with the task. */
export async function fetchPage(input: FetchPageInput): Promise<FetchedPage | undefined> {
  const { maesn, connection, sender, wanted, signal, onTask = () => undefined } = input;
  const { resource, path, page } = wanted;
  const request: MaesnRequest = {
    path,
    query: toQuery(input),
    accountKey: connection.accountKey,
    signal,
  };

  let task = input.task?.page === page ? input.task : undefined;
  if (task === undefined) {
    const answer = await sender.send({
      endpoint: `GET ${resourceRow(resource).path}`,
      ask: () => maesn.list(request),
      taskOf: (answered) => (answered.kind === 'task' ? answered.taskId : undefined),
    });
    if (answer.kind === 'page') return toPage(input, answer);
    task = { page, taskId: answer.taskId };
    onTask(task);
  }

  for (let intervalMs = FIRST_POLL_MS; input.hasTime(); intervalMs = Math.min(2 * intervalMs, SLOWEST_POLL_MS)) {
    const { taskId } = task;
    const answer = await sender
      .send({
        endpoint: 'GET /accounting/asyncTask/{taskId}',
        ask: () => maesn.task(taskId, request),
        taskId,
        taskOf: ({ kind }) => (kind === 'running' ? taskId : undefined),
      })
      .catch((error: unknown) => {
        // Not "no such collection": the collection has answered, only its task is not to be found.
        if (error instanceof MaesnError && error.failure.type === 'NotFound')
          return { kind: 'failed', status: 'unknown' } as const;
        throw error;
      });
    if (answer.kind === 'page') return toPage(input, answer);
    if (answer.kind === 'failed') {
      onTask(undefined);
      throw new MaesnError({
        type: 'InternalServerError',
        request: `GET ${path}`,
        reason: `started a task that ended as ${answer.status}`,
      });
    }
    await sleep(intervalMs);
  }
  return undefined;
}

function toQuery({
  targetSystems,
  connection,
  pageLimit,
  wanted: { resource, page, since, filter },
}: FetchPageInput): Query {
  const { paged } = resourceRow(resource);
  const { needsFiscalYearStartDate } = targetSystems.get(connection.targetSystem);
  return {
    ...filter,
    page: paged ? page : undefined,
    limit: paged ? pageLimit : undefined,
    lastModifiedAt: since === null ? undefined : targetSystems.formatLastModifiedAt(connection.targetSystem, since),
    ...companyQuery(connection),
    fiscalYearStartDate:
      needsFiscalYearStartDate?.includes(resource) === true ? (connection.fiscalYearStartDate ?? undefined) : undefined,
  };
}

/** Maesn's own count of pages is believed where there is one; without it, a page that is not full is the last. */
function toPage(
  { wanted: { resource, page }, pageLimit }: FetchPageInput,
  { records, texts, pagination, warnings }: Extract<ListAnswer, { kind: 'page' }>,
): FetchedPage {
  const totalPages = pagination?.totalPages ?? null;
  const endReached = totalPages === null ? records.length !== pageLimit : page >= totalPages;
  return {
    records,
    texts,
    totalPages,
    totalRecords: pagination?.total ?? null,
    warnings,
    last: !resourceRow(resource).paged || records.length === 0 || endReached,
  };
}
