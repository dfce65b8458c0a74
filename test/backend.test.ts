/** The HTTP API: what it gives, what it refuses, and who it listens to. */
import { once } from 'node:events';
import { request } from 'node:http';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { z } from 'zod';
import { connection, connectionPage, eventPage, journalPage, recordPage, syncStatus } from '../src/backend/schemas.js';
import { TEST_TOKEN, startTestBackend } from './support/backend.js';
import type { TestBackend } from './support/backend.js';
import { startHarness } from './support/harness.js';
import type { Harness } from './support/harness.js';
import { waitFor } from './support/wait.js';

let harness: Harness;
let backend: TestBackend;
beforeAll(async () => {
  harness = await startHarness();
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

describe('a connection', () => {
  it('is created, listed page by page, read and removed', async () => {
    for (const id of ['page-a', 'page-b', 'page-c']) {
      const added = await backend.ask('POST', '/connections', { connectionId: id, targetSystem: 'xero' });
      expect(added).toMatchObject({ status: 201, body: { connectionId: id, status: 'not_connected', keyVersion: 0 } });
      expect(added.headers.get('location')).toBe(`/connections/${id}`);
    }
    const first = connectionPage.parse((await backend.ask('GET', '/connections?after=page&limit=2')).body);
    expect(first.items.map(({ connectionId }) => connectionId)).toEqual(['page-a', 'page-b']);
    const second = connectionPage.parse((await backend.ask('GET', `/connections?after=${first.next}&limit=2`)).body);
    expect(second.items.map(({ connectionId }) => connectionId)).toEqual(['page-c']);
    expect(second.next).toBeUndefined();
    const removed = await backend.ask('DELETE', '/connections/page-a');
    expect(removed.status, backend.log.at(-2)).toBe(204);
    expect((await backend.ask('GET', '/connections/page-a')).status).toBe(404);
    const { items } = journalPage.parse((await backend.ask('GET', '/connections/page-a/journal')).body);
    expect(items.map(({ actor, action }) => [actor, action])).toEqual([
      ['test', 'connection.removed'],
      ['test', 'connection.added'],
    ]);
  });

  it('is synced, and its records are read page by page, by date and one by one', async () => {
    const { connectionId, account } = await harness.connect({ records: { items: 25 } });
    const started = await backend.ask('POST', `/connections/${connectionId}/sync`, { resources: ['items'] });
    expect(started).toMatchObject({ status: 201, body: { alreadyRunning: false } });
    await waitFor('the sync has completed', async () => {
      const status = syncStatus.parse((await backend.ask('GET', `/connections/${connectionId}/sync`)).body);
      return status.state === 'Completed' && status.freshness['items'] !== undefined;
    });
    const records = `/connections/${connectionId}/resources/items/records`;
    const keys: string[] = [];
    let after: string | undefined;
    do {
      const query = after === undefined ? '?limit=10' : `?limit=10&after=${encodeURIComponent(after)}`;
      const page = recordPage.parse((await backend.ask('GET', records + query)).body);
      keys.push(...page.items.map(({ key }) => key));
      after = page.next;
    } while (after !== undefined);
    expect(new Set(keys).size).toBe(25);
    expect(keys).toHaveLength(25);

    const [key = ''] = keys;
    const one = await backend.ask('GET', `${records}/${encodeURIComponent(key)}`);
    expect(one).toMatchObject({ status: 200, body: { key, deletedAt: null } });
    expect(await backend.ask('GET', `${records}/none`)).toMatchObject({
      status: 404,
      body: { code: 'RecordNotFound' },
    });

    const changed = account.put('items', { id: key, name: 'renamed' });
    const since = new Date(String(changed['lastModifiedDate'])).toISOString();
    await harness.sync.startSync(connectionId, { resources: ['items'] });
    const fresh = await waitFor('the change is there', async () => {
      const page = recordPage.parse((await backend.ask('GET', `${records}?modifiedSince=${since}`)).body);
      return page.items.length > 0 && page.items;
    });
    expect(fresh).toMatchObject([{ key, record: { name: 'renamed' } }]);
    const { items } = eventPage.parse((await backend.ask('GET', `/events?connectionId=${connectionId}`)).body);
    expect(items.map(({ type }) => type).slice(0, 2)).toEqual(['sync.started', 'sync.completed']);
  });
});

describe('a wrong request', () => {
  it.each([
    ['a body that is none', 'POST', '/connections', '{', 400, ['InvalidInput']],
    ['a body of another kind', 'POST', '/connections', 'x=1', 415, ['UnsupportedMediaType'], 'text/plain'],
    ['fields that are missing', 'POST', '/connections', {}, 400, ['connectionId', 'targetSystem']],
    [
      'a field that does not exist',
      'POST',
      '/connections',
      { connectionId: 'a', targetSystem: 'x', b: 1 },
      400,
      ['json'],
    ],
    ['an id that is none', 'GET', '/connections/a%2Fb', undefined, 400, ['id']],
    ['a resource that is none', 'GET', '/connections/a/resources/cats/records', undefined, 400, ['resource']],
    ['a limit that is none', 'GET', '/connections?limit=many', undefined, 400, ['limit']],
    ['a limit that is too large', 'GET', '/connections?limit=201', undefined, 400, ['limit']],
    ['a parameter that does not exist', 'GET', '/connections?offset=1', undefined, 400, ['query']],
    [
      'a date that is none',
      'GET',
      '/connections/a/resources/items/records?modifiedSince=now',
      undefined,
      400,
      ['modifiedSince'],
    ],
    ...['0000-01-01T00:00:00Z', '0001-01-01T00:00:00+01:00', '9999-12-31T23:59:59-01:00'].map(
      (moment) =>
        [
          `a moment that is outside of the years 1 to 9999 in UTC, ${moment},`,
          'GET',
          `/connections/a/resources/items/records?modifiedSince=${encodeURIComponent(moment)}`,
          undefined,
          400,
          ['modifiedSince'],
        ] as const,
    ),
    [
      'a date of the year 0',
      'POST',
      '/connections',
      { connectionId: 'a', targetSystem: 'x', fiscalYearStartDate: '0000-01-01' },
      400,
      ['fiscalYearStartDate'],
    ],
    ['a pause without reason', 'POST', '/connections/a/sync/pause', {}, 400, ['reason']],
    ['an interval that is none', 'POST', '/connections/a/sync', { every: 'often' }, 400, ['every']],
    [
      'a key that could not be sent',
      'POST',
      '/connections/a/reauthorized',
      { accountKey: 'a\nb' },
      400,
      ['accountKey'],
    ],
    ['no credentials', 'POST', '/connections/a/credentials', {}, 400, ['json']],
    ['a connection that is not there', 'GET', '/connections/nobody', undefined, 404, []],
    ['a path that is not there', 'GET', '/nothing', undefined, 404, []],
    ['a method that is not there', 'PUT', '/connections', undefined, 405, []],
    ['a body that is too large', 'POST', '/connections', { connectionId: 'a'.repeat(300_000) }, 413, []],
  ] as const)('%s is refused by name', async (_name, method, path, content, status, fields, type?: string) => {
    const answer = await backend.ask(method, path, content, type === undefined ? {} : { 'content-type': type });
    expect(answer.status).toBe(status);
    expect(answer.headers.get('content-type')).toBe('application/problem+json');
    const problem = problemOf.parse(answer.body);
    expect(problem.status).toBe(status);
    if (problem.errors !== undefined) expect(problem.errors.map(({ field }) => field)).toEqual(fields);
    else expect(problem.detail).not.toBe('');
  });

  it('whose body is too large and comes in pieces is refused too', async () => {
    const piece = new TextEncoder().encode('x'.repeat(64 * 1024));
    const body = new ReadableStream({ pull: (stream) => stream.enqueue(piece) });
    const headers = { authorization: `Bearer ${TEST_TOKEN}`, 'content-type': 'application/json' };
    const answer = await fetch(`${backend.url}/connections`, { method: 'POST', body, duplex: 'half', headers });
    expect(answer.status).toBe(413);
  });

  it('to a path that knows other methods is told which', async () => {
    const answer = await backend.ask('PATCH', '/connections/a');
    expect(answer).toMatchObject({ status: 405 });
    expect(answer.headers.get('allow')).toBe('GET, HEAD, DELETE');
  });
});

describe('access', () => {
  it.each([
    ['nothing', {}],
    ['a wrong token', { authorization: 'Bearer wrong-token-0123456789' }],
    ['a token of another scheme', { authorization: `Basic ${TEST_TOKEN}` }],
    ['half of a token', { authorization: `Bearer ${TEST_TOKEN.slice(0, -1)}` }],
    ['a wrong cookie', { cookie: 'maesn_sync_session=wrong' }],
  ])('with %s is refused', async (_name, headers) => {
    const answer = await backend.ask('GET', '/connections', undefined, { authorization: '', ...headers });
    expect(answer).toMatchObject({ status: 401, body: { code: 'Unauthorized' } });
    expect(answer.headers.get('www-authenticate')).toBe('Bearer');
  });

  it('is open to every token, and the journal knows whose it was', async () => {
    await backend.ask(
      'POST',
      '/connections',
      { connectionId: 'whose', targetSystem: 'xero' },
      {
        authorization: 'Bearer other-token-0123456789',
      },
    );
    const { items } = journalPage.parse((await backend.ask('GET', '/connections/whose/journal')).body);
    expect(items).toMatchObject([{ actor: 'other', action: 'connection.added' }]);
  });

  it('by the cookie of the sign-in page is as good as by token, but not for other sites', async () => {
    const form = new URLSearchParams({ token: TEST_TOKEN });
    const signIn = await fetch(`${backend.url}/sign-in`, { method: 'POST', body: form, redirect: 'manual' });
    expect(signIn.status).toBe(303);
    const cookie = signIn.headers.get('set-cookie') ?? '';
    expect(cookie).toMatch(/; HttpOnly; SameSite=Lax$/);
    const [pair = ''] = cookie.split(';');
    const post = (headers: Record<string, string>) =>
      backend.ask(
        'POST',
        '/connections',
        { connectionId: 'by-cookie', targetSystem: 'xero' },
        {
          authorization: '',
          cookie: pair,
          ...headers,
        },
      );
    expect(await post({ origin: 'https://evil.example' })).toMatchObject({ status: 403 });
    expect(await post({ 'sec-fetch-site': 'cross-site' })).toMatchObject({ status: 403 });
    expect(await post({ 'sec-fetch-site': 'same-site' })).toMatchObject({ status: 403 });
    expect(await post({ 'sec-fetch-site': 'same-origin', origin: backend.url })).toMatchObject({ status: 201 });
  });

  it.each([
    ['/ui/connections/acme', '/ui/connections/acme'],
    ['/ui/connections/acme/records/items', '/ui/connections/acme/records/items'],
    ['/ui', '/ui'],
    ['/', '/ui'],
    ['/uix', '/ui'],
    ['/openapi.json', '/ui'],
    ['https://evil.example/ui', '/ui'],
    ['//evil.example/ui', '/ui'],
    ['/\\evil.example/ui', '/ui'],
    ['/ui\\..\\..\\evil.example', '/ui'],
    ['/ui/..//evil.example', '/ui'],
    ['/ui/%2e%2e//evil.example', '/ui'],
    ['/ui/\t/evil', '/ui'],
    ['/ui/\r\nlocation: https://evil.example', '/ui'],
    ['/ui/connections/acme?done=start', '/ui'],
    ['/ui/"><script>', '/ui'],
  ])('by the sign-in page, asked for on the way to %j, leads to %s, also after a wrong token', async (to, leadsTo) => {
    const path = `/sign-in?to=${encodeURIComponent(to)}`;
    const field = `<input type="hidden" name="to" value="${leadsTo}" />`;
    expect((await backend.ask('GET', path, undefined, { authorization: '' })).body).toContain(field);
    const signIn = (token: string) => {
      const form = { method: 'POST', body: new URLSearchParams({ token, to }), redirect: 'manual' } as const;
      return fetch(`${backend.url}/sign-in`, form);
    };
    expect(await (await signIn('wrong')).text()).toContain(field);
    const signedIn = await signIn(TEST_TOKEN);
    expect([signedIn.status, signedIn.headers.get('location')]).toEqual([303, leadsTo]);
  });

  it('without tokens is for this machine under its own name, and not for the web pages it has open', async () => {
    const open = await startTestBackend(harness, { MAESN_SYNC_TOKENS: '' });
    const ask = (headers: Record<string, string>) =>
      open.ask('GET', '/connections', undefined, { authorization: '', ...headers });
    expect((await ask({})).status).toBe(200);
    // As a page of evil.example sends it, once that name leads to this machine.
    const rebound = request(`${open.url}/connections`, { headers: { host: 'evil.example' } }).end();
    const [response] = z.tuple([z.object({ statusCode: z.number() })]).parse(await once(rebound, 'response'));
    expect(response.statusCode).toBe(403);
    rebound.destroy();
    const cross = await open.ask(
      'POST',
      '/connections',
      { connectionId: 'x', targetSystem: 'xero' },
      {
        authorization: '',
        origin: 'https://evil.example',
      },
    );
    expect(cross).toMatchObject({ status: 403, body: { code: 'Forbidden' } });
    await open.close();
  });

  it('without tokens does not listen where others could reach it', async () => {
    const open = startTestBackend(harness, { MAESN_SYNC_TOKENS: '', MAESN_SYNC_ADDRESS: '0.0.0.0:0' });
    await expect(open).rejects.toThrow('MAESN_SYNC_TOKENS: must be set');
  });

  it('without tokens is not what others reach through a proxy', async () => {
    const open = startTestBackend(harness, {
      MAESN_SYNC_TOKENS: '',
      MAESN_SYNC_PUBLIC_URL: 'https://sync.example.com',
    });
    await expect(open).rejects.toThrow('MAESN_SYNC_TOKENS: must be set with MAESN_SYNC_PUBLIC_URL');
  });

  it('is limited in its rate', async () => {
    const slow = await startTestBackend(harness, { MAESN_SYNC_REQUESTS_PER_MINUTE: '5' });
    const statuses: number[] = [];
    for (let i = 0; i < 7; i += 1) statuses.push((await slow.ask('GET', '/connections')).status);
    expect(statuses).toEqual([200, 200, 200, 200, 200, 429, 429]);
    const refused = await slow.ask('GET', '/connections');
    expect(Number(refused.headers.get('retry-after'))).toBeGreaterThan(0);
    await slow.close();
  });
});

it('whoever guesses tokens has to wait, and end users and Maesn have not', async () => {
  const guessed = await startTestBackend(harness);
  const signIn = async () => {
    const form = { method: 'POST', body: new URLSearchParams({ token: 'guess' }) };
    return (await fetch(`${guessed.url}/sign-in`, form)).status;
  };
  const statuses: number[] = [];
  for (let i = 0; i < 62; i += 1) statuses.push(await signIn());
  expect(statuses.slice(0, 60).every((status) => status === 401)).toBe(true);
  expect(statuses.slice(60)).toEqual([429, 429]);
  const ask = (method: string, path: string) => guessed.ask(method, path, undefined, { authorization: '' });
  for (let i = 0; i < 62; i += 1) {
    expect((await ask('POST', `/webhooks/guess-${i}`)).status).toBe(404);
    expect((await ask('GET', `/callback/guess-${i}?accountKey=k`)).status).toBe(404);
  }
  await guessed.close();
});

it('no path takes a body of any length, with a token or without', async () => {
  const authorization = `Bearer ${TEST_TOKEN}`;
  const post = async (path: string, type: string, bytes: number) => {
    const headers = { authorization, 'content-type': type };
    return [path, (await fetch(backend.url + path, { method: 'POST', headers, body: 'x'.repeat(bytes) })).status];
  };
  const [form, json] = ['application/x-www-form-urlencoded', 'application/json'];
  for (const path of ['/sign-in', '/sign-out', '/ui/connections/acme/pause']) {
    expect(await post(path, form, 300_000)).toEqual([path, 413]);
  }
  expect(await post('/callback/state/webhook', json, 70_000)).toEqual(['/callback/state/webhook', 413]);
  expect(await post('/webhooks/token', json, 1_100_000)).toEqual(['/webhooks/token', 413]);
  const { paths } = z
    .object({ paths: z.record(z.string(), z.record(z.string(), z.unknown())) })
    .parse((await backend.ask('GET', '/openapi.json')).body);
  const posts = Object.keys(paths).filter((path) => 'post' in (paths[path] ?? {}));
  expect(posts).toContain('/retry-now');
  for (const path of posts.map((pattern) => pattern.replaceAll(/\{\w+\}/g, 'acme'))) {
    const isWrite = /\/write(?:s|-batches)$/.test(path);
    expect(await post(path, json, isWrite ? 26_300_000 : 300_000)).toEqual([path, 413]);
    expect(await post(path, 'text/plain', 1)).toEqual([path, 415]);
  }
});

it('health, readiness, the document and its page are for everybody', async () => {
  const ask = (path: string) => backend.ask('GET', path, undefined, { authorization: '' });
  expect(await ask('/healthz')).toMatchObject({ status: 200, body: { status: 'ok' } });
  expect(await ask('/readyz')).toMatchObject({ status: 200, body: { storeAnswers: true, temporalAnswers: true } });
  expect(await ask('/openapi.json')).toMatchObject({ status: 200, body: { openapi: '3.1.0' } });
  expect((await ask('/reference')).body).toContain('id="reference"');
  expect((await ask('/reference/swagger-ui-bundle.js')).status).toBe(200);
});

it('a request leaves one line in the log, with its id and without what is secret in its path', async () => {
  const answer = await backend.ask('GET', '/callback/secret-state-in-the-path?accountKey=secret-key', undefined, {
    'x-request-id': 'my-request',
  });
  expect(answer.status).toBe(404);
  expect(answer.headers.get('x-request-id')).toBe('my-request');
  const lines = backend.log.filter((line) => line.includes('my-request'));
  expect(lines).toHaveLength(1);
  expect(lines[0]).toContain('"route":"/callback/:state"');
  expect(backend.log.join('')).not.toMatch(/secret-state|secret-key|test-token/);
});

it('no answer shows an account key', async () => {
  const { connectionId, account } = await harness.connect({ records: { items: 1 } });
  const answers = await Promise.all([
    backend.ask('GET', `/connections/${connectionId}`),
    backend.ask('GET', `/connections/${connectionId}/sync`),
    backend.ask('GET', `/connections/${connectionId}/journal`),
    backend.ask('POST', `/connections/${connectionId}/reauthorized`, { accountKey: account.accountKey }),
  ]);
  expect(connection.parse(answers[3]?.body)).toMatchObject({ keyVersion: 2 });
  expect(JSON.stringify(answers)).not.toContain(account.accountKey);
});
