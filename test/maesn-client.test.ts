import { createServer } from 'node:http';
import type { RequestListener, Server } from 'node:http';
import { afterEach, describe, expect, it } from 'vitest';
import { createMaesnClient } from '../src/maesn/client.js';
import type { MaesnClientOptions } from '../src/maesn/client.js';
import { MaesnError } from '../src/maesn/failure.js';
import type { MaesnFailure } from '../src/maesn/failure.js';
import { classifyStatus } from '../src/spec/error-guide.js';

const API_KEY = 'api_key_5c1f';
const ACCOUNT_KEY = 'account_key_9a2e';
let server: Server | undefined;

afterEach(() => {
  server?.closeAllConnections();
  server?.close();
});

/** A client of a server that answers every request the same way. */
async function clientOf(listener: RequestListener, options: Partial<MaesnClientOptions> = {}) {
  const listening = createServer(listener).listen(0, '127.0.0.1');
  server = listening;
  await new Promise((resolve) => listening.once('listening', resolve));
  const address = listening.address();
  if (address === null || typeof address === 'string') throw new Error('no port');
  return createMaesnClient({
    baseUrl: `http://127.0.0.1:${address.port}/`,
    apiKey: API_KEY,
    timeoutMs: 10_000,
    maxResponseBytes: 10_000,
    probePath: '/accounting/profile',
    ...options,
  });
}

const answer =
  (status: number, body: string, headers: Record<string, string> = {}): RequestListener =>
  (_request, response) => {
    response.writeHead(status, { 'content-type': 'application/json', ...headers }).end(body);
  };

const list = { path: '/accounting/invoices', query: { page: 3, limit: 100 }, accountKey: ACCOUNT_KEY };

async function failureOf(listing: Promise<unknown>): Promise<MaesnFailure> {
  const error: unknown = await listing.then(
    () => undefined,
    (thrown: unknown) => thrown,
  );
  if (!(error instanceof MaesnError)) throw new Error('expected a MaesnError', { cause: error });
  return error.failure;
}

describe('a request', () => {
  it('carries both keys as headers, and no undefined parameter', async () => {
    let seen: { url: string | undefined; headers: NodeJS.Dict<string | string[]> } | undefined;
    const client = await clientOf((request, response) => {
      seen = { url: request.url, headers: request.headers };
      answer(200, '{"data":[]}')(request, response);
    });
    await client.list({ ...list, query: { ...list.query, companyId: undefined } });
    expect(seen?.url).toBe('/accounting/invoices?page=3&limit=100');
    expect(seen?.headers).toMatchObject({ 'x-api-key': API_KEY, 'x-account-key': ACCOUNT_KEY });
  });

  it('is made once, whatever the answer', async () => {
    let requests = 0;
    const client = await clientOf((request, response) => {
      requests += 1;
      answer(503, '')(request, response);
    });
    await failureOf(client.list(list));
    expect(requests).toBe(1);
  });

  it('that is cancelled rejects with the caller’s own reason', async () => {
    const client = await clientOf(() => undefined);
    const controller = new AbortController();
    const reason = new Error('paused by the operator');
    const listing = client.list({ ...list, signal: controller.signal });
    controller.abort(reason);
    await expect(listing).rejects.toBe(reason);
  });
});

describe('a list', () => {
  it('is read with its pagination and warnings', async () => {
    const pagination = { total: 201, perPage: 100, currentPage: 3, totalPages: 3 };
    const client = await clientOf(
      answer(
        200,
        JSON.stringify({ data: [{ id: '1' }], meta: { pagination, warnings: ['slow today'] }, errors: null }),
      ),
    );
    await expect(client.list(list)).resolves.toEqual({
      kind: 'page',
      records: [{ id: '1' }],
      texts: [Buffer.from('{"id":"1"}')],
      pagination,
      warnings: ['slow today'],
    });
  });

  it.each([
    ['no meta', {}],
    ['null meta', { meta: null }],
    ['null pagination', { meta: { pagination: null, warnings: null } }],
    ['strange meta', { meta: 'none' }],
    ['strange counts', { meta: { pagination: { total: 'many', totalPages: -1 } } }],
    ['counts that Postgres cannot hold', { meta: { pagination: { total: 2 ** 31, totalPages: 2 ** 40 } } }],
  ])('is read with %s', async (_name, rest) => {
    const client = await clientOf(answer(200, JSON.stringify({ data: [1], ...rest })));
    await expect(client.list(list)).resolves.toMatchObject({ kind: 'page', records: [1] });
  });

  it('can be a task', async () => {
    const client = await clientOf(answer(200, '{"data":{"taskId":"t-1"},"meta":{}}'));
    await expect(client.list(list)).resolves.toEqual({ kind: 'task', taskId: 't-1' });
  });
});

describe('a task', () => {
  const task = async (data: unknown) => {
    const client = await clientOf(answer(200, JSON.stringify({ data })));
    return client.task('t/1', { accountKey: ACCOUNT_KEY });
  };

  it.each(['OPEN', 'IN_PROGRESS', 'CANCEL_FAILED', 'SOMETHING_NEW', null])('%s is running', async (status) => {
    await expect(task({ status, responseData: null })).resolves.toEqual({ kind: 'running' });
  });

  it.each(['FINISHED', 'SUCCESS', 'PARTIAL_SUCCESS'])('%s holds the page', async (status) => {
    await expect(task({ status, responseData: [1] })).resolves.toMatchObject({ kind: 'page', records: [1] });
  });

  it.each(['FAILED', 'DELETED', 'CANCELLED_SUCCESSFULLY'])('%s will never hold one', async (status) => {
    await expect(task({ status, responseData: null })).resolves.toEqual({ kind: 'failed', status });
  });

  it('that finished without a list is no answer', async () => {
    await expect(failureOf(task({ status: 'FINISHED', responseData: null }))).resolves.toMatchObject({
      type: 'InvalidResponse',
    });
  });
});

describe('a failure', () => {
  it.each([400, 401, 403, 404, 405, 409, 418, 422, 429, 451, 500, 502, 503, 504])(
    '%d is of the guide’s type',
    async (status) => {
      const client = await clientOf(answer(status, '{"errors":[],"data":null}'));
      await expect(failureOf(client.list(list))).resolves.toEqual({
        type: classifyStatus(status),
        request: 'GET /accounting/invoices',
        reason: `answered ${status}`,
        status,
        retryAfterMs: undefined,
        errors: undefined,
        downstreamErrors: undefined,
        validationErrors: undefined,
      });
    },
  );

  it('keeps what Maesn and the target system said, whatever its shape', async () => {
    const said = { errors: ['a', { b: 1 }], downstreamErrors: [[1]], validationErrors: [{ field: 'x' }] };
    const client = await clientOf(answer(400, JSON.stringify(said)));
    await expect(failureOf(client.list(list))).resolves.toMatchObject(said);
  });

  it.each(['{"errors":"text"}', '{"errors":{"0":1}}', '<html>', '', '{"err', 'null', '[]', '7'])(
    'is told without the body %j',
    async (body) => {
      const client = await clientOf(answer(500, body));
      const failure = await failureOf(client.list(list));
      expect([failure.type, failure.errors]).toEqual(['InternalServerError', undefined]);
    },
  );

  it('quotes no key', async () => {
    const client = await clientOf(
      answer(401, JSON.stringify({ errors: [`key ${ACCOUNT_KEY} of ${API_KEY} is unknown`] })),
    );
    await expect(failureOf(client.list(list))).resolves.toMatchObject({
      errors: ['key [account key] of [API key] is unknown'],
    });
  });

  it('honours Retry-After', async () => {
    const client = await clientOf(answer(429, '{}', { 'retry-after': '7' }));
    await expect(failureOf(client.list(list))).resolves.toMatchObject({ retryAfterMs: 7_000 });
  });

  it.each([
    ['a web page', '<!doctype html><p>maintenance', 'answered 200 with a web page instead of JSON'],
    ['an empty body', ' ', 'answered 200 with an empty body'],
    ['cut JSON', '{"data":[{"id":"1"', 'answered 200 with text that is not JSON'],
    ['no data', '{"meta":{}}', 'answered JSON that is not the envelope expected here'],
    ['null data', '{"data":null}', 'answered JSON that is not the envelope expected here'],
    ['a bare list', '[1]', 'answered JSON that is not the envelope expected here'],
    ['null', 'null', 'answered JSON that is not the envelope expected here'],
  ])('is what 200 with %s is', async (_name, body, reason) => {
    const client = await clientOf(answer(200, body));
    await expect(failureOf(client.list(list))).resolves.toMatchObject({ type: 'InvalidResponse', reason });
  });

  it.each([
    [200, 'InvalidResponse', 'answered more than 10000 bytes (MAESN_MAX_RESPONSE_BYTES)'],
    [500, 'InternalServerError', 'answered 500'],
  ])('is what a body above the limit is (%d)', async (status, type, reason) => {
    const client = await clientOf(answer(status, JSON.stringify({ data: ['x'.repeat(20_000)] })));
    await expect(failureOf(client.list(list))).resolves.toMatchObject({ type, reason });
  });

  it('is what a redirect is: it is not followed, so that no key goes elsewhere', async () => {
    let requests = 0;
    const client = await clientOf((request, response) => {
      requests += 1;
      answer(302, '', { location: '/elsewhere' })(request, response);
    });
    await expect(failureOf(client.list(list))).resolves.toMatchObject({ type: 'InvalidResponse', status: 302 });
    expect(requests).toBe(1);
  });

  it('is what silence is', async () => {
    const client = await clientOf(() => undefined, { timeoutMs: 50 });
    await expect(failureOf(client.list(list))).resolves.toMatchObject({
      type: 'NoResponse',
      reason: 'did not answer within 0.05 s',
    });
  });

  it('is what a body is that never ends', async () => {
    const client = await clientOf((_request, response) => void response.writeHead(200).write('{"data":['), {
      timeoutMs: 200,
    });
    await expect(failureOf(client.list(list))).resolves.toMatchObject({ type: 'NoResponse' });
  });

  it('is what a cut connection is, before and within the body', async () => {
    const before = await clientOf((request) => void request.socket.destroy());
    await expect(failureOf(before.list(list))).resolves.toMatchObject({ type: 'NoResponse' });
    server?.close();
    const within = await clientOf((request, response) => {
      response.writeHead(200, { 'content-length': '1000' }).write('{"data":[', () => request.socket.destroy());
    });
    await expect(failureOf(within.list(list))).resolves.toMatchObject({ type: 'NoResponse' });
  });

  it('is what a refused connection is, with the network’s own word', async () => {
    const client = await clientOf(() => undefined);
    await new Promise((resolve) => server?.close(resolve));
    await expect(failureOf(client.list(list))).resolves.toMatchObject({
      type: 'NoResponse',
      reason: 'got no answer: ECONNREFUSED',
    });
  });
});

describe('a probe', () => {
  it('resolves when Maesn takes the key and rejects when not', async () => {
    const taken = await clientOf(answer(200, '{"data":{}}'));
    await expect(taken.probe({ accountKey: ACCOUNT_KEY })).resolves.toBeUndefined();
    server?.close();
    const refused = await clientOf(answer(401, '{}'));
    await expect(failureOf(refused.probe({ accountKey: ACCOUNT_KEY }))).resolves.toMatchObject({
      type: 'Unauthorized',
      request: 'GET /accounting/profile',
    });
  });
});
