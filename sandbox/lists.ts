/** What a list and a task are answered with, faults aside. */
import type { Resource } from '../src/spec/resources.js';
import { isChild, resourceRow } from '../src/spec/resources.js';
import { WRITE_OPERATIONS, writeRow } from '../src/spec/writes.js';
import { isAsync, unsupportedStatus } from './account.js';
import type { OpenAccount } from './account.js';
import type { ListRange, Page } from './books.js';
import { toBadRequest, toError, toSuccess } from './envelope.js';
import type { Answer } from './envelope.js';
import { parseListQuery } from './list-query.js';
import type { ListQuery } from './list-query.js';

/** AbaConnect runs one request of a client at a time and refuses any other. */
const ONE_AT_A_TIME = 'abaconnect';

export interface ListCall {
  readonly account: OpenAccount;
  readonly resource: Resource;
  /** Of children: whose they are. */
  readonly parentKey: string | undefined;
  readonly params: URLSearchParams;
  readonly taskFails: boolean;
}

export function answerList({ account, resource, parentKey, params, taskFails }: ListCall): Answer {
  const unsupported = unsupportedStatus(account, resource);
  if (unsupported !== undefined) return toError(unsupported);
  account.options.beforeList?.(resource);
  const refused = refuseBooks(account, params);
  if (refused !== undefined) return refused;
  const parsed = parseListQuery(resource, account.targetSystem, params);
  if (typeof parsed === 'string') return toBadRequest(parsed);
  const query = { ...parsed, parentKey, only: filterOf(resource, params) };
  if (!isAsync(account, resource)) return toPage(account, query, (records) => records);
  const { taskId } = account.tasks.start(query, taskFails);
  return { status: 200, body: { data: { taskId }, meta: {} } };
}

export interface TaskCall {
  readonly account: OpenAccount;
  readonly taskId: string;
  readonly params: URLSearchParams;
  readonly now: Date;
}

export function answerTask({ account, taskId, params, now }: TaskCall): Answer {
  const otherBooks = refuseOtherBooks(account, params);
  if (otherBooks !== undefined) return otherBooks;
  const toInformation = (type: string, message: string) => [
    { filename: null, message, timestamp: now.toISOString(), type },
  ];
  const written = account.writeTasks.poll(taskId);
  if (written !== undefined) {
    const { status, data, information } = written;
    const refused = information.flatMap((message) => toInformation('ERROR', message));
    return toSuccess({ status, information: refused, responseData: data });
  }
  const polled = account.tasks.poll(taskId);
  if (polled === undefined) return toError(404);
  const { task, ended } = polled;
  if (!ended) return toSuccess({ status: 'IN_PROGRESS', information: [], responseData: null });
  if (task.fails) {
    const information = toInformation('ERROR', 'The export was aborted.');
    return toSuccess({ status: 'FAILED', information, responseData: null });
  }
  // A task keeps the filter of its list, and can be asked for another page of it.
  const paging = parseListQuery(task.query.resource, account.targetSystem, pagingOf(params, task.query));
  if (typeof paging === 'string') return toBadRequest(paging);
  return toPage(account, { ...task.query, page: paging.page, limit: paging.limit }, (records) => ({
    status: 'FINISHED',
    information: toInformation('INFO', 'The export is complete.'),
    responseData: records,
  }));
}

function pagingOf(params: URLSearchParams, { page, limit }: ListQuery): URLSearchParams {
  return new URLSearchParams({
    page: params.get('page') ?? String(page),
    limit: params.get('limit') ?? String(limit),
    // Checked when the task was started.
    fiscalYearStartDate: '',
  });
}

function toPage(account: OpenAccount, query: ListQuery, toData: (records: readonly unknown[]) => unknown): Answer {
  const { resource, page, limit } = query;
  const { paged } = resourceRow(resource);
  const range = paged ? { offset: (page - 1) * limit, count: limit } : { offset: 0, count: Infinity };
  const found = list(account, query, range);
  if (found === undefined) return toError(404);
  const { total, records } = found;
  const counted = paged && account.options.pagination !== false;
  const pagination = counted
    ? { total, perPage: limit, currentPage: page, totalPages: Math.ceil(total / limit) }
    : null;
  const warnings = account.options.warnings?.[resource];
  return toSuccess(toData(records), { pagination, ...(warnings === undefined ? {} : { warnings }) });
}

/** `undefined`: there is no such parent. */
function list({ books }: OpenAccount, query: ListQuery, range: ListRange): Page | undefined {
  const { resource, parentKey, sinceMs } = query;
  if (!isChild(resource) && query.only !== undefined) {
    const { field, value } = query.only;
    const { records: all } = books.list(resource, { offset: 0, count: Infinity, sinceMs });
    const records = all.filter((record) => isFields(record) && String(record[field]) === value);
    return { total: records.length, records: records.slice(range.offset, range.offset + range.count) };
  }
  if (!isChild(resource)) return books.list(resource, { ...range, sinceMs });
  const children = books.children(resource, parentKey ?? '');
  return children && { total: children.length, records: children.slice(range.offset, range.offset + range.count) };
}

/** Where an account holds one company of several, every request has to name it. */
function refuseOtherBooks({ options }: OpenAccount, params: URLSearchParams): Answer | undefined {
  for (const name of ['companyId', 'environmentName'] as const) {
    const wanted = options[name];
    if (wanted !== undefined && params.get(name) !== wanted) return toBadRequest(`${name}: does not match the account`);
  }
  return undefined;
}

/** Where an account holds other books than those that are asked for, and where another request of it is running. */
export function refuseBooks(account: OpenAccount, params: URLSearchParams): Answer | undefined {
  const otherBooks = refuseOtherBooks(account, params);
  if (otherBooks !== undefined) return otherBooks;
  if (account.targetSystem !== ONE_AT_A_TIME) return undefined;
  if (account.busy <= 1 && !account.tasks.pollRunning() && !account.writeTasks.pollRunning()) return undefined;
  return toError(400, { downstreamErrors: [{ message: 'Another request of this client is running.' }] });
}

/** The filter of the list that finds a record by what only it has. */
function filterOf(resource: Resource, params: URLSearchParams): ListQuery['only'] {
  for (const operation of WRITE_OPERATIONS) {
    const { lookUp } = writeRow(operation);
    if (lookUp?.by !== 'list' || lookUp.resource !== resource || lookUp.naturalKey?.filter === undefined) continue;
    const value = params.get(lookUp.naturalKey.filter);
    if (value !== null) return { field: lookUp.naturalKey.field, value };
  }
  return undefined;
}

function isFields(record: unknown): record is Readonly<Record<string, unknown>> {
  return typeof record === 'object' && record !== null;
}
