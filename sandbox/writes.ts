/** What writes do to an account's books, and what they are answered with. */
import { randomUUID } from 'node:crypto';
import { z } from 'zod';
import { isChild, parentOf, resourceRow } from '../src/spec/resources.js';
import type { Collection } from '../src/spec/resources.js';
import { pathParameters, recordOf, writeRow } from '../src/spec/writes.js';
import type { WriteOperation } from '../src/spec/writes.js';
import type { OpenAccount } from './account.js';
import { toBadRequest, toError, toSuccess } from './envelope.js';
import type { Answer } from './envelope.js';
import type { MaesnFields } from './records/context.js';
import type { CarriedOut } from './write-tasks.js';

/** One that was carried out. */
export interface SandboxWrite {
  readonly operation: WriteOperation;
  /** Of the record; `null`: it is in no list. */
  readonly key: string | null;
  /** As it is now; of a deletion, nothing. */
  readonly record: MaesnFields;
  /** ISO 8601 */
  readonly at: string;
}

export interface WriteCall {
  readonly account: OpenAccount;
  readonly operation: WriteOperation;
  readonly parameters: Readonly<Record<string, string>>;
  /** `undefined`: there is none, or none that can be read. */
  readonly body: MaesnFields | undefined;
  readonly now: Date;
}

export function answerWrite(call: WriteCall): Answer {
  const { account, operation, body } = call;
  const { method, body: kind, part } = writeRow(operation);
  if (kind !== 'none' && body === undefined) return toBadRequest('The body must be an object.');
  if (part !== undefined && body?.[part] === undefined) {
    return toError(400, { validationErrors: [{ field: part, message: 'is required' }] });
  }
  if (!isThere(call)) return toError(404);
  if (account.options.asyncWrites?.includes(operation) === true) {
    const taskId = account.startWriteTask((how) => carryOutTask(call, how));
    return { status: 201, body: { data: { taskId }, meta: {} } };
  }
  return { ...toSuccess(carryOut(call)), status: method === 'POST' ? 201 : 200 };
}

/** One record by its path; `undefined`: there is none. */
export function find({ account, operation, parameters }: Omit<WriteCall, 'body' | 'now'>): MaesnFields | undefined {
  const { resource } = writeRow(operation);
  if (resource === null) return undefined;
  const [key = '', childKey] = pathParameters(operation).map((name) => parameters[name] ?? '');
  if (!isChild(resource)) return account.books.find(resource, key);
  const field = resourceRow(resource).key ?? 'id';
  return linesOf(account.books.find(parentOf(resource), key)).find((line) => String(line[field]) === childKey);
}

function isThere(call: WriteCall): boolean {
  const { account, operation, parameters } = call;
  const { resource, method } = writeRow(operation);
  const [parameter] = pathParameters(operation);
  if (parameter === undefined || resource === null) return true;
  if (!isChild(resource)) return find(call) !== undefined;
  const parent = account.books.find(parentOf(resource), parameters[parameter] ?? '');
  return parent !== undefined && (method === 'POST' || find(call) !== undefined);
}

function carryOutTask(call: WriteCall, { partly }: { readonly partly: boolean }): CarriedOut {
  const all = entriesOf(call.body);
  if (!partly || all === undefined) return { data: carryOut(call), information: [] };
  const half = Math.ceil(all.length / 2);
  const data = carryOut({ ...call, body: { ...call.body, entries: all.slice(0, half) } });
  return { data, information: all.slice(half).map((_, index) => `entry ${half + index + 1} was refused`) };
}

/** Of a body that holds several records. */
function entriesOf(body: MaesnFields | undefined): MaesnFields[] | undefined {
  return z.array(z.record(z.string(), z.unknown())).safeParse(body?.['entries']).data;
}

function carryOut(call: WriteCall): unknown {
  const { account, operation, body = {}, now } = call;
  const { resource, method, part } = writeRow(operation);
  const at = now.toISOString();
  const note = (key: string | null, record: MaesnFields) => account.wrote({ operation, key, record, at });
  if (resource === null) {
    const record = { id: randomUUID(), ...recordOf(operation, body) };
    note(null, record);
    return record;
  }
  if (isChild(resource)) return writeLine(call, note);
  const keyField = resourceRow(resource).key ?? 'id';
  const entries = entriesOf(body);
  if (method === 'POST' && part === undefined && entries !== undefined) {
    return { ...body, id: randomUUID(), entries: entries.map((entry) => create(account, resource, entry, at, note)) };
  }
  if (method === 'POST') return create(account, resource, recordOf(operation, body), at, note);
  const key = call.parameters[pathParameters(operation)[0] ?? ''] ?? '';
  if (method === 'DELETE') {
    account.books.remove(resource, key);
    note(key, {});
    return `${key} was deleted`;
  }
  const record = account.books.put(resource, { ...body, [keyField]: key });
  note(key, record);
  return record;
}

type Note = (key: string | null, record: MaesnFields) => void;

function create(account: OpenAccount, resource: Collection, given: MaesnFields, at: string, note: Note): MaesnFields {
  const { key: keyField, modified } = resourceRow(resource);
  const key = randomUUID();
  const dates = { createdDate: at, ...(modified === null ? {} : { [modified]: at }) };
  const fields = { ...given, ...dates, [keyField ?? 'id']: key };
  const put = () => account.books.put(resource, fields, { whole: true });
  const { showsWritesAfterMs = 0 } = account.options;
  if (showsWritesAfterMs > 0) setTimeout(put, showsWritesAfterMs).unref();
  const record = showsWritesAfterMs > 0 ? fields : put();
  note(key, record);
  return record;
}

function writeLine({ account, operation, parameters, body = {} }: WriteCall, note: Note): MaesnFields {
  const { resource, method } = writeRow(operation);
  if (resource === null || !isChild(resource)) throw new TypeError(`${operation} writes no line`);
  const parent = parentOf(resource);
  const parentField = resourceRow(parent).key ?? 'id';
  const field = resourceRow(resource).key ?? 'id';
  const [parentKey = '', lineKey] = pathParameters(operation).map((name) => parameters[name] ?? '');
  const lines = linesOf(account.books.find(parent, parentKey));
  const key = lineKey ?? randomUUID();
  const line = { ...lines.find((one) => String(one[field]) === key), ...body, [field]: key };
  const lineItems =
    method === 'POST' ? [...lines, line] : lines.map((one) => (String(one[field]) === key ? line : one));
  account.books.put(parent, { [parentField]: parentKey, lineItems });
  note(key, line);
  return line;
}

function linesOf(record: MaesnFields | undefined): MaesnFields[] {
  return z.array(z.record(z.string(), z.unknown())).safeParse(record?.['lineItems']).data ?? [];
}
