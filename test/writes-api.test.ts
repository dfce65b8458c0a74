/** Writes by HTTP: what is taken, what is refused, and what people decide. What Maesn does with them is tested elsewhere. */
import { once } from 'node:events';
import { request } from 'node:http';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { z } from 'zod';
import { journalPage, writePage, writeStatus } from '../src/backend/schemas.js';
import type { WriteOperation } from '../src/client.js';
import { WRITE_OPERATIONS, pathParameters, writeRow } from '../src/spec/writes.js';
import { TEST_TOKEN, startTestBackend } from './support/backend.js';
import type { TestBackend } from './support/backend.js';
import { startHarness } from './support/harness.js';
import type { Harness } from './support/harness.js';
import { waitFor } from './support/wait.js';

let harness: Harness;
let backend: TestBackend;
beforeAll(async () => {
  harness = await startHarness();
  // Nothing is sent: what becomes of a write, the tests say.
  await harness.stopWorker();
  backend = await startTestBackend(harness);
});
afterAll(async () => {
  await backend.close();
  await harness.close();
});

const problemOf = z.object({
  status: z.number(),
  code: z.string(),
  detail: z.string(),
  errors: z.array(z.object({ field: z.string() })).optional(),
});

const INVOICE = { operation: 'createInvoice', body: { invoiceNumber: 'A-1' } };

const ask = (connectionId: string, key: string | undefined, content: unknown = INVOICE) =>
  backend.ask(
    'POST',
    `/connections/${connectionId}/writes`,
    content,
    key === undefined ? {} : { 'idempotency-key': key },
  );

async function connect(): Promise<string> {
  const { connectionId } = await harness.connect({ records: {} });
  return connectionId;
}

/** A write that nobody carries out. */
async function put(connectionId: string, idempotencyKey: string, operation: WriteOperation = 'createInvoice') {
  const body = { invoiceNumber: idempotencyKey };
  const of = { connectionId, idempotencyKey };
  await harness.store.writes.add({ ...of, operation, parameters: {}, body }, 'test');
  return {
    of,
    path: `/connections/${connectionId}/writes/${idempotencyKey}`,
    undecided: () => harness.store.writes.move(of, { state: 'undecided', because: 'there is no way to look it up' }),
  };
}

it('a write that was not sent yet is cancelled, and one that has ended is not', async () => {
  const id = await connect();
  await ask(id, 'order-1');
  const path = `/connections/${id}/writes/order-1`;
  const cancel = () => backend.ask('POST', `${path}/cancel`);
  expect(await cancel()).toMatchObject({ status: 202 });
  // Nobody has run it yet.
  expect((await backend.ask('GET', path)).body).toMatchObject({ state: 'ended', outcome: 'cancelled' });
  expect(await cancel()).toMatchObject({ status: 202 });
  await harness.startWorker();
  await waitFor('the application is told', async () => {
    const events = await harness.sync.latestEvents(id, 10);
    return events.some(({ type, data }) => type === 'write.ended' && data['outcome'] === 'cancelled');
  });
  await harness.stopWorker();
  const journal = journalPage.parse((await backend.ask('GET', `/connections/${id}/journal`)).body);
  expect(journal.items.filter(({ action }) => action === 'write.cancelled')).toHaveLength(1);

  const { of, path: other, undecided } = await put(id, 'order-2');
  await undecided();
  expect(await backend.ask('POST', `${other}/cancel`)).toMatchObject({ status: 409, body: { code: 'Refused' } });
  await harness.store.writes.end({ ...of, outcome: 'applied' });
  expect(await backend.ask('POST', `${other}/cancel`)).toMatchObject({ status: 409, body: { code: 'Refused' } });
});

describe('a batch', () => {
  const BATCH = {
    batchId: 'import-1',
    writes: ['a', 'b', 'c'].map((idempotencyKey) => Object.assign({ idempotencyKey }, INVOICE)),
  };
  const send = (id: string, batch: object = BATCH) => backend.ask('POST', `/connections/${id}/write-batches`, batch);

  it('is taken as a whole, counted, and listed', async () => {
    const id = await connect();
    const taken = await send(id);
    expect(taken).toMatchObject({ status: 202, body: { total: 3, unstarted: 3, running: 0, applied: 0 } });
    expect(await send(id)).toMatchObject({ status: 202, body: taken.body });
    await ask(id, 'of-no-batch');
    const location = taken.headers.get('location') ?? '';
    await harness.store.writes.move({ connectionId: id, idempotencyKey: 'b' }, { state: 'undecided' });
    expect(await backend.ask('GET', location)).toMatchObject({ status: 200, body: { total: 3, undecided: 1 } });
    const listed = async (query: string) =>
      writePage.parse((await backend.ask('GET', `/connections/${id}/writes?${query}`)).body).items;
    expect((await listed('batch=import-1')).map(({ idempotencyKey }) => idempotencyKey)).toEqual(['c', 'b', 'a']);
    expect(await listed('batch=import-1&state=undecided')).toMatchObject([
      { idempotencyKey: 'b', batchId: 'import-1' },
    ]);
    const decide = { decision: 'abandon' };
    expect(await backend.ask('POST', `/connections/${id}/writes/b/resolve`, decide)).toMatchObject({ status: 200 });
    expect(await backend.ask('GET', location)).toMatchObject({ body: { total: 3, undecided: 0, abandoned: 1 } });
  });

  it('never grows, and takes nothing in that was asked for by itself or with another', async () => {
    const id = await connect();
    const [a, b, c] = BATCH.writes;
    expect(await send(id, { batchId: 'first', writes: [a, b] })).toMatchObject({ status: 202, body: { total: 2 } });
    const refused = { status: 422, body: { code: 'KeyReused', detail: expect.stringContaining(': c. None') } };
    expect(await send(id, { batchId: 'first', writes: [a, b, c] })).toMatchObject(refused);
    expect(await send(id, { batchId: 'first', writes: [b] })).toMatchObject({ status: 202, body: { total: 2 } });
    expect(await send(id, { batchId: 'second', writes: [b] })).toMatchObject({ status: 422 });
    await ask(id, 'c');
    expect(await send(id, { batchId: 'second', writes: [c] })).toMatchObject(refused);
    expect(await backend.ask('GET', `/connections/${id}/write-batches/second`)).toMatchObject({ status: 404 });
  });

  it('is refused as a whole, and what is wrong is named', async () => {
    const id = await connect();
    await ask(id, 'b', { operation: 'createInvoice', body: { invoiceNumber: 'another' } });
    expect(await send(id)).toMatchObject({ status: 422, body: { code: 'KeyReused' } });
    expect(await backend.ask('GET', `/connections/${id}/writes/a`)).toMatchObject({ status: 404 });
    expect(await backend.ask('GET', `/connections/${id}/write-batches/import-1`)).toMatchObject({ status: 404 });
    const twice = { batchId: 'import-2', writes: [BATCH.writes[0], BATCH.writes[0]] };
    expect(await send(id, twice)).toMatchObject({ status: 422, body: { code: 'KeyReused' } });
    const wrong = await send(id, { batchId: 'import-2', writes: [{ idempotencyKey: 'a', operation: 'createMoney' }] });
    expect(wrong.status).toBe(400);
    expect(problemOf.parse(wrong.body).errors).toMatchObject([{ field: 'writes.0.operation' }]);
  });
});

describe('a write', () => {
  it('is taken once for each key, in quotes or without', async () => {
    const id = await connect();
    const taken = await ask(id, '"order-1"');
    expect(taken).toMatchObject({
      status: 202,
      body: { connectionId: id, idempotencyKey: 'order-1', operation: 'createInvoice', state: 'waiting', sends: 0 },
    });
    const location = taken.headers.get('location') ?? '';
    expect(location).toBe(`/connections/${id}/writes/order-1`);
    expect((await backend.ask('GET', location)).body).toEqual(taken.body);
    const again = await ask(id, 'order-1', {
      body: { invoiceNumber: 'A-1' },
      operation: 'createInvoice',
      parameters: {},
    });
    expect(again).toMatchObject({ status: 202, body: taken.body });
    const { items } = writePage.parse((await backend.ask('GET', `/connections/${id}/writes`)).body);
    expect(items).toHaveLength(1);
    const journal = journalPage.parse((await backend.ask('GET', `/connections/${id}/journal`)).body);
    expect(journal.items).toMatchObject([{ actor: 'test', action: 'write.asked_for' }, {}]);
  });

  it('is refused under the key of another one', async () => {
    const id = await connect();
    await ask(id, 'order-1');
    const other = await ask(id, 'order-1', { operation: 'createInvoice', body: { invoiceNumber: 'A-2' } });
    expect(other).toMatchObject({ status: 422, body: { code: 'KeyReused' } });
    expect(await ask(await connect(), 'order-1')).toMatchObject({ status: 202 });
  });

  it('that has ended is answered with 200 and all that Maesn said', async () => {
    const id = await connect();
    await ask(id, 'order-1');
    const answer = { errors: [{ code: 'X' }], validationErrors: [{ field: 'contactId' }] };
    const of = { connectionId: id, idempotencyKey: 'order-1' };
    await harness.store.writes.end({ ...of, outcome: 'refused', answer, because: 'BadRequest: Maesn answered 400' });
    const ended = { state: 'ended', outcome: 'refused', because: 'BadRequest: Maesn answered 400', answer };
    expect(await ask(id, 'order-1')).toMatchObject({ status: 200, body: ended });
    expect(await backend.ask('GET', `/connections/${id}/writes/order-1`)).toMatchObject({ status: 200, body: ended });
  });

  it('of any operation is taken with what its row says, and with nothing else', async () => {
    const id = await connect();
    const file = { filename: 'a.txt', contentType: 'text/plain', base64: 'YQ==' };
    for (const operation of WRITE_OPERATIONS) {
      const { body: kind, files } = writeRow(operation);
      const parameters = Object.fromEntries(pathParameters(operation).map((name) => [name, 'p-1']));
      const fields = files === undefined ? { name: 'n' } : { [files.field]: files.several ? [file] : file };
      const body = kind === 'none' ? undefined : fields;
      expect(await ask(id, operation, { operation, parameters, body }), operation).toMatchObject({ status: 202 });
      const wrong = { operation, parameters: { ...parameters, other: 'p-1' }, body };
      expect(await ask(id, `${operation}-2`, wrong), operation).toMatchObject({ status: 400 });
    }
  });

  it('may hold anything in its natural key', async () => {
    const id = await connect();
    for (const [key, invoiceNumber] of [
      ['long', 'x'.repeat(10_000)],
      ['nul', 'a\u0000b'],
    ]) {
      expect(await ask(id, key, { operation: 'createInvoice', body: { invoiceNumber } })).toMatchObject({
        status: 202,
      });
    }
  });

  it('may be larger than other bodies, up to 25 MiB', async () => {
    const id = await connect();
    const base64 = Buffer.alloc(18 * 1024 * 1024, 7).toString('base64');
    const content = { operation: 'createFile', body: { file: { filename: 'a.pdf', base64 } } };
    expect(await ask(id, 'large', content)).toMatchObject({ status: 202 });
    expect(await harness.store.writes.body({ connectionId: id, idempotencyKey: 'large' })).toEqual(content.body);
    expect(await declare(`/connections/${id}/writes`, 25 * 1024 * 1024 + 1)).toBe(413);
    expect(await declare(`/connections/${id}/writes/large/resolve`, 256 * 1024 + 1)).toBe(413);
  });

  it('is in no line of the log', () => {
    expect(backend.log.join('')).toContain('/writes');
    expect(backend.log.join('')).not.toContain('A-1');
  });
});

/** The status with which a body of that length is answered, before any of it has come. */
async function declare(path: string, length: number): Promise<unknown> {
  const headers = {
    authorization: `Bearer ${TEST_TOKEN}`,
    'content-type': 'application/json',
    'content-length': String(length),
    'idempotency-key': 'declared',
  };
  const sent = request(backend.url + path, { method: 'POST', headers });
  sent.on('error', () => undefined);
  sent.flushHeaders();
  const [response] = z.tuple([z.object({ statusCode: z.number() })]).parse(await once(sent, 'response'));
  sent.destroy();
  return response.statusCode;
}

describe('a wrong write', () => {
  it.each<[string, string | undefined, unknown, string[]]>([
    ['no key', undefined, INVOICE, ['Idempotency-Key']],
    ['a key that is none', '"a b"', INVOICE, ['Idempotency-Key']],
    ['half of a quoted key', '"order-1', INVOICE, ['Idempotency-Key']],
    ['a key that is too long', 'k'.repeat(201), INVOICE, ['Idempotency-Key']],
    ['no operation', 'k', { body: { a: 1 } }, ['operation']],
    ['an operation that is none', 'k', { operation: 'createCat', body: { a: 1 } }, ['operation']],
    ['a list', 'k', [INVOICE], ['json']],
    ['no body', 'k', { operation: 'createInvoice' }, ['body']],
    ['an empty body', 'k', { operation: 'createInvoice', body: {} }, ['body']],
    [
      'a body where there is none',
      'k',
      { operation: 'deleteBill', parameters: { billId: 'b' }, body: { a: 1 } },
      ['body'],
    ],
    ['no parameters', 'k', { operation: 'deleteBill' }, ['parameters']],
    ['a parameter that is missing', 'k', { operation: 'deleteBill', parameters: {} }, ['parameters.billId']],
    [
      'a parameter that leads to another path',
      'k',
      { operation: 'deleteBill', parameters: { billId: '..' } },
      ['parameters.billId'],
    ],
    [
      'a parameter that Postgres cannot hold',
      'k',
      { operation: 'deleteBill', parameters: { billId: 'a\u0000' } },
      ['parameters.billId'],
    ],
    ['a parameter that it does not have', 'k', { ...INVOICE, parameters: { billId: 'b' } }, ['parameters']],
    [
      'a file that is not base64',
      'k',
      { operation: 'createFile', body: { file: { filename: 'a', base64: '?' } } },
      ['body.file.base64'],
    ],
    ['several files where one is', 'k', { operation: 'createFile', body: { file: [] } }, ['body.file']],
    ['a field that does not exist', 'k', { ...INVOICE, idempotencyKey: 'k' }, ['json']],
  ])('(%s) is refused by name', async (_name, key, content, fields) => {
    const answer = await ask('nobody', key, content);
    expect(answer.status).toBe(400);
    expect(problemOf.parse(answer.body).errors?.map(({ field }) => field)).toEqual(fields);
  });

  it('says which header is missing', async () => {
    const { detail } = problemOf.parse((await ask('nobody', undefined)).body);
    expect(detail).toMatch(/^Idempotency-Key: is needed/);
  });

  it.each([
    ['a connection that is not there', 'GET', '/connections/nobody/writes', 404],
    ['a write that is not there', 'GET', '/connections/{id}/writes/none', 404],
    ['cancelling one that is not there', 'POST', '/connections/{id}/writes/none/cancel', 404],
    ['a state that is none', 'GET', '/writes?state=done', 400],
    ['a limit that is too large', 'GET', '/writes?limit=201', 400],
    ['a method that is not there', 'PUT', '/writes', 405],
  ])('(%s) is refused', async (_name, method, path, status) => {
    expect(await backend.ask(method, path.replace('{id}', await connect()))).toMatchObject({ status });
  });
});

it('writes are listed newest first, page by page, by connection and by state', async () => {
  const [one, other] = [await connect(), await connect()];
  for (const key of ['a', 'b', 'c']) await put(one, key);
  const undecided = await put(other, 'd');
  await undecided.undecided();
  const list = async (path: string) => writePage.parse((await backend.ask('GET', path)).body);
  const first = await list(`/connections/${one}/writes?limit=2`);
  expect(first.items.map(({ idempotencyKey }) => idempotencyKey)).toEqual(['c', 'b']);
  const second = await list(`/connections/${one}/writes?limit=2&before=${first.next}`);
  expect(second.items.map(({ idempotencyKey }) => idempotencyKey)).toEqual(['a']);
  expect(second.next).toBeUndefined();
  expect((await list('/writes?limit=1')).items).toMatchObject([{ idempotencyKey: 'd' }]);
  expect((await list('/writes?state=undecided')).items).toMatchObject([
    { connectionId: other, idempotencyKey: 'd', because: 'there is no way to look it up' },
  ]);
  expect((await list(`/connections/${one}/writes?state=undecided`)).items).toEqual([]);
});

describe('an undecided write', () => {
  it.each([
    ['applied', { state: 'ended', outcome: 'applied' }],
    ['abandon', { state: 'ended', outcome: 'abandoned' }],
    ['not_applied', { state: 'waiting', outcome: null, because: null }],
  ])('is decided once: %s', async (decision, then) => {
    const { path, undecided } = await put(await connect(), 'order-1');
    await undecided();
    expect(await backend.ask('POST', `${path}/resolve`, { decision })).toMatchObject({ status: 200, body: then });
    const again = await backend.ask('POST', `${path}/resolve`, { decision });
    expect(again).toMatchObject({ status: 409, body: { code: 'Refused' } });
  });

  it('is not decided by whoever looked at it before it was sent again', async () => {
    const { of, path, undecided } = await put(await connect(), 'order-1');
    const decide = (sends: number) => backend.ask('POST', `${path}/resolve`, { decision: 'applied', sends });
    await harness.store.writes.claim(of);
    await undecided();
    expect(await decide(0)).toMatchObject({ status: 409, body: { code: 'Refused' } });
    expect(await decide(1)).toMatchObject({ status: 200, body: { outcome: 'applied', because: null } });
  });

  it('is not decided by what is no decision', async () => {
    const { path, undecided } = await put(await connect(), 'order-1');
    await undecided();
    expect(await backend.ask('POST', `${path}/resolve`, { decision: 'maybe' })).toMatchObject({ status: 400 });
    expect(writeStatus.parse((await backend.ask('GET', path)).body).state).toBe('undecided');
  });
});
