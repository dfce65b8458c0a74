/** Connecting and reconnecting: the login page, the way back from it, and everything that is not that way. */
import { createHmac } from 'node:crypto';
import { ServiceError } from '@temporalio/client';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { z } from 'zod';
import type { SandboxAccount } from '../sandbox/index.js';
import { startTestBackend } from './support/backend.js';
import type { TestBackend } from './support/backend.js';
import { startHarness } from './support/harness.js';
import type { Harness } from './support/harness.js';
import { readEvents } from './support/history.js';
import { waitFor } from './support/wait.js';

const SECRET = 'signing-secret';

let harness: Harness;
let backend: TestBackend;
let signed: TestBackend;
let posting: TestBackend;
let returning: TestBackend;
let impatient: TestBackend;
beforeAll(async () => {
  harness = await startHarness();
  [backend, signed, posting, returning, impatient] = await Promise.all([
    startTestBackend(harness),
    startTestBackend(harness, { MAESN_SIGNING_SECRET: SECRET }),
    startTestBackend(harness, { MAESN_LOGIN_METHOD: 'POST' }),
    startTestBackend(harness, { MAESN_SYNC_RETURN_URL: 'https://app.example/done?from=maesn' }),
    startTestBackend(harness, { MAESN_SYNC_LOGIN_EXPIRES: '1 ms' }),
  ]);
});
afterAll(async () => {
  await Promise.all([backend, signed, posting, returning, impatient].map((each) => each.close()));
  await harness.close();
});

/** A connection with a login page that is open, and the state of another login, which only the callback URL knows. */
async function begin(at: TestBackend = backend) {
  const { connectionId, account } = await harness.connect({ records: { items: 3 } });
  const { loginUrl } = await authorize(at, connectionId);
  return { connectionId, account, loginUrl, state: await stateOf(at, connectionId, account) };
}

/** A login that was revoked, and a Workflow that does not look for a new one before it reminds. */
async function untilReminder(at: TestBackend) {
  const { connectionId, account } = await harness.connect({ records: { items: 3 } });
  account.revoke();
  await harness.sync.startSync(connectionId, { resources: ['items'] });
  await waitFor('the next look is at the first reminder', async () => {
    const events = await readEvents(harness.temporal, `reauthorize/${connectionId}`).catch(() => []);
    return events.some(({ type }) => type === 'TIMER_STARTED');
  });
  return { connectionId, account, state: await stateOf(at, connectionId, account) };
}

/** Where the login page would send somebody who cancels; nobody goes there. */
async function stateOf(at: TestBackend, connectionId: string, account: SandboxAccount): Promise<string> {
  const { loginUrl } = await authorize(at, connectionId);
  const [, state = ''] = /callback\/([\w-]+)/.exec(await signIn(loginUrl, account, 'cancel')) ?? [];
  return state;
}

const loginAnswer = z.object({ loginUrl: z.url(), expiresAt: z.iso.datetime() });

async function authorize(at: TestBackend, connectionId: string) {
  return loginAnswer.parse((await at.ask('POST', `/connections/${connectionId}/authorize`)).body);
}

/** What the end user does on the sandbox's login page; answers where they are sent then. */
async function signIn(loginUrl: string, account: SandboxAccount, action = 'signIn'): Promise<string> {
  const body = new URLSearchParams({ action, account: account.name });
  const response = await fetch(loginUrl, { method: 'POST', body, redirect: 'manual' });
  return response.headers.get('location') ?? '';
}

/** The end user's browser: no token. */
async function visit(url: string, init: RequestInit = {}) {
  const response = await fetch(url, { redirect: 'manual', ...init });
  return { status: response.status, text: await response.text(), location: response.headers.get('location') };
}

async function everything(connectionId: string) {
  const { keyVersion, status } = await harness.sync.connection(connectionId);
  const journal = await harness.sync.journal(connectionId);
  return JSON.stringify({ keyVersion, status, journal, events: await harness.sync.events({ connectionId }) });
}

describe('a login', () => {
  it('of an end user who was never connected stores the key, and the sync that waited for it begins', async () => {
    const account = harness.sandbox.addAccount({ name: 'Newcomer', targetSystem: 'xero', records: { items: 7 } });
    await backend.ask('POST', '/connections', { connectionId: 'newcomer', targetSystem: 'xero' });
    await backend.ask('POST', '/connections/newcomer/sync', { resources: ['items'] });
    const waiting = await waitFor('the sync waits', async () => {
      const status = await harness.sync.syncStatus('newcomer');
      return status.state === 'AwaitingReauthorization' && status;
    });
    const { loginUrl } = await authorize(backend, 'newcomer');
    const callback = await signIn(loginUrl, account);
    const back = await visit(callback);
    expect(back).toMatchObject({ status: 200 });
    expect(back.text).toContain('You are connected');
    const done = await waitFor('the sync has completed', async () => {
      const status = await harness.sync.syncStatus('newcomer');
      return status.state === 'Completed' && status;
    });
    expect(done.runId).toBe(waiting.runId);
    expect(done.resources.items?.records).toBe(7);
    expect((await harness.sync.connection('newcomer')).keyVersion).toBe(1);
  });

  it('whose end Temporal did not hear of is told when the end user comes back once more', async () => {
    const { connectionId, account, state } = await untilReminder(backend);
    const url = `${backend.url}/callback/${state}?accountKey=${account.reconnect()}`;
    vi.spyOn(harness.temporal.workflow, 'signalWithStart').mockRejectedValueOnce(new ServiceError('unavailable'));
    expect(await visit(url)).toMatchObject({ status: 503 });
    expect(await visit(url)).toMatchObject({ status: 410 });
    await waitFor('the sync has completed', async () => {
      return (await harness.sync.syncStatus(connectionId)).state === 'Completed';
    });
  });

  it.each([
    ['a new key', false],
    ['the same key', true],
  ])('that gives %s releases what waits for it', async (_name, sameKey) => {
    const { connectionId, account } = await harness.connect({ records: { items: 3 } });
    account.revoke();
    await harness.sync.startSync(connectionId, { resources: ['items'] });
    await waitFor('the sync waits', async () => {
      return (await harness.sync.connection(connectionId)).status === 'awaiting_reauthorization';
    });
    const state = await stateOf(backend, connectionId, account);
    const key = account.reconnect({ sameKey });
    expect(await visit(`${backend.url}/callback/${state}?accountKey=${key}`)).toMatchObject({ status: 200 });
    await waitFor('the sync has completed', async () => {
      return (await harness.sync.syncStatus(connectionId)).state === 'Completed';
    });
  });

  it('that is cancelled changes nothing but the journal, and is over', async () => {
    const { connectionId, account, loginUrl } = await begin();
    const cancelled = await signIn(loginUrl, account, 'cancel');
    expect((await visit(cancelled)).text).toContain('You did not sign in');
    expect((await harness.sync.journal(connectionId))[0]).toMatchObject({
      action: 'login.cancelled',
      actor: 'end user',
    });
    expect((await harness.sync.connection(connectionId)).keyVersion).toBe(1);
    const late = await visit(`${cancelled.replace('/cancelled', '')}?accountKey=${account.accountKey}`);
    expect(late.status).toBe(410);
    expect((await harness.sync.connection(connectionId)).keyVersion).toBe(1);
  });

  it('of which Maesn reports an error is over', async () => {
    const { connectionId, state } = await begin();
    const back = await visit(`${backend.url}/callback/${state}?error=access_denied`);
    expect(back.text).toContain('The accounting system reported an error');
    expect((await harness.sync.journal(connectionId))[0]).toMatchObject({
      action: 'login.failed',
      detail: { reason: 'access_denied' },
    });
    const odd = await begin();
    expect((await visit(`${backend.url}/callback/${odd.state}?error=a%00b`)).status).toBe(200);
    expect((await harness.sync.journal(odd.connectionId))[0]).toMatchObject({ detail: { reason: 'ab' } });
  });

  it('leads back to the application where there is one', async () => {
    const { connectionId, account, loginUrl } = await begin(returning);
    const { status, location } = await visit(await signIn(loginUrl, account));
    expect(status).toBe(303);
    expect(location).toBe(`https://app.example/done?from=maesn&connectionId=${connectionId}&outcome=connected`);
  });

  it('of the newer kind is completed by Maesn’s own post, and the end user who comes after it is told so', async () => {
    const { connectionId, account, loginUrl } = await begin(posting);
    const callback = await signIn(loginUrl, account);
    expect((await harness.sync.connection(connectionId)).keyVersion).toBe(2);
    const back = await visit(callback);
    expect(back).toMatchObject({ status: 200 });
    expect(back.text).toContain('You are connected');
    expect((await visit(callback)).status).toBe(410);
    expect((await harness.sync.connection(connectionId)).keyVersion).toBe(2);
  });

  it('of the newer kind whose end user is back first is pending until Maesn posts the key', async () => {
    const { connectionId, state, account } = await begin(posting);
    expect((await visit(`${posting.url}/callback/${state}`)).text).toContain('Almost done');
    const body = JSON.stringify({ data: { accountKey: account.accountKey } });
    const post = { method: 'POST', body, headers: { 'content-type': 'application/json' } };
    expect((await visit(`${posting.url}/callback/${state}/webhook`, post)).status).toBe(204);
    expect((await visit(`${posting.url}/callback/${state}/webhook`, post)).status).toBe(410);
    expect((await harness.sync.connection(connectionId)).keyVersion).toBe(2);
  });

  it('of the newer kind that Temporal did not hear of is told when the end user comes back', async () => {
    const { connectionId, account, state } = await untilReminder(posting);
    const body = JSON.stringify({ accountKey: account.reconnect() });
    const post = { method: 'POST', body, headers: { 'content-type': 'application/json' } };
    vi.spyOn(harness.temporal.workflow, 'signalWithStart').mockRejectedValueOnce(new ServiceError('unavailable'));
    expect(await visit(`${posting.url}/callback/${state}/webhook`, post)).toMatchObject({ status: 503 });
    expect((await visit(`${posting.url}/callback/${state}`)).text).toContain('You are connected');
    await waitFor('the sync has completed', async () => {
      return (await harness.sync.syncStatus(connectionId)).state === 'Completed';
    });
  });

  it('whose key cannot be stored is good for another try', async () => {
    const { connectionId, state, account } = await begin();
    const url = `${backend.url}/callback/${state}?accountKey=${account.accountKey}`;
    const keyVersion = async () => (await harness.sync.connection(connectionId)).keyVersion;
    const before = await keyVersion();
    await harness.query(
      `alter table maesn_sync.connections add constraint no_more check (key_version <= ${before}) not valid`,
    );
    try {
      expect((await visit(url)).status).toBe(500);
    } finally {
      await harness.query('alter table maesn_sync.connections drop constraint no_more');
    }
    expect(await visit(url)).toMatchObject({ status: 200 });
    expect(await keyVersion()).toBe(before + 1);
  });

  it('is not used up by whoever only looks', async () => {
    const { connectionId, state, account } = await begin();
    const url = `${backend.url}/callback/${state}?accountKey=${account.accountKey}`;
    expect((await visit(url, { method: 'HEAD' })).status).toBe(204);
    expect((await visit(url, { headers: { 'sec-purpose': 'prefetch' } })).status).toBe(204);
    expect((await harness.sync.connection(connectionId)).keyVersion).toBe(1);
    expect((await visit(url)).status).toBe(200);
  });

  it('that comes twice at once stores one key', async () => {
    const { connectionId, state, account } = await begin();
    const url = `${backend.url}/callback/${state}?accountKey=${account.accountKey}`;
    const answers = await Promise.all(Array.from({ length: 5 }, () => visit(url)));
    expect(answers.map(({ status }) => status).toSorted((a, b) => a - b)).toEqual([200, 410, 410, 410, 410]);
    expect((await harness.sync.connection(connectionId)).keyVersion).toBe(2);
  });

  it('is bound to its connection, whatever else the callback says', async () => {
    const one = await begin();
    const other = await begin();
    const before = await everything(other.connectionId);
    const url = `${backend.url}/callback/${one.state}?accountKey=${one.account.accountKey}`;
    await visit(`${url}&connectionId=${other.connectionId}&state=${other.state}&id=${other.connectionId}`);
    expect((await harness.sync.connection(one.connectionId)).keyVersion).toBe(2);
    expect(await everything(other.connectionId)).toBe(before);
  });

  it('with a signature that fits is taken, in hex and in base64', async () => {
    for (const encoding of ['hex', 'base64'] as const) {
      const { connectionId, state, account } = await begin(signed);
      const signature = createHmac('sha256', SECRET).update(account.accountKey).digest(encoding);
      const query = new URLSearchParams({ accountKey: account.accountKey, signature });
      expect((await visit(`${signed.url}/callback/${state}?${query.toString()}`)).status).toBe(200);
      expect((await harness.sync.connection(connectionId)).keyVersion).toBe(2);
    }
  });
});

describe('a callback that is none', () => {
  const post = (body: string) => ({ method: 'POST', body, headers: { 'content-type': 'application/json' } });
  const cases: readonly [string, number, string, (of: Awaited<ReturnType<typeof begin>>) => [string, RequestInit?]][] =
    [
      ['without account key', 400, 'could not be connected', ({ state }) => [`/callback/${state}`]],
      ['with an empty one', 400, 'could not be connected', ({ state }) => [`/callback/${state}?accountKey=`]],
      [
        'with one under another name',
        400,
        'could not be connected',
        ({ state }) => [`/callback/${state}?account_key=abc`],
      ],
      [
        'with one that has spaces',
        400,
        'could not be connected',
        ({ state }) => [`/callback/${state}?accountKey=a%20b`],
      ],
      [
        'with one that has a line break',
        400,
        'could not be connected',
        ({ state }) => [`/callback/${state}?accountKey=a%0D%0Ab`],
      ],
      [
        'with one that is too long',
        400,
        'could not be connected',
        ({ state }) => [`/callback/${state}?accountKey=${'k'.repeat(4_097)}`],
      ],
      ['with a state that was never given out', 404, 'not valid', () => [`/callback/${'A'.repeat(43)}?accountKey=abc`]],
      ['with half of a state', 404, 'not valid', ({ state }) => [`/callback/${state.slice(0, 20)}?accountKey=abc`]],
      ['with a state and more', 404, 'not valid', ({ state }) => [`/callback/${state}x?accountKey=abc`]],
      [
        'with the id of the connection as state',
        404,
        'not valid',
        ({ connectionId }) => [`/callback/${connectionId}?accountKey=abc`],
      ],
      [
        'with a state of another case',
        404,
        'not valid',
        ({ state }) => [`/callback/${swapCase(state)}?accountKey=abc`],
      ],
      [
        'with an injected state',
        404,
        'not valid',
        () => [`/callback/${encodeURIComponent("' or 1=1 --")}?accountKey=abc`],
      ],
      ['that cancels an unknown login', 404, 'not valid', () => [`/callback/unknown/cancelled`]],
      ['posted without account key', 400, 'LoginIncomplete', ({ state }) => [`/callback/${state}/webhook`, post('{}')]],
      ['posted as garbage', 400, 'LoginIncomplete', ({ state }) => [`/callback/${state}/webhook`, post('{{{')]],
      [
        'posted with a key that is none',
        400,
        'LoginIncomplete',
        ({ state }) => [`/callback/${state}/webhook`, post('{"accountKey":5}')],
      ],
      [
        'posted to an unknown state',
        404,
        'LoginUnknown',
        () => [`/callback/unknown/webhook`, post('{"accountKey":"abc"}')],
      ],
      [
        'posted as a flood',
        413,
        'TooLarge',
        ({ state }) => [`/callback/${state}/webhook`, post(`{"accountKey":"${'k'.repeat(70_000)}"}`)],
      ],
    ];

  it.each(cases)('%s is refused, and nothing is changed', async (_name, status, text, toRequest) => {
    const begun = await begin();
    const before = await everything(begun.connectionId);
    const [path, init] = toRequest(begun);
    const answer = await visit(backend.url + path, init);
    expect(answer.status).toBe(status);
    expect(answer.text).toContain(text);
    expect(await everything(begun.connectionId)).toBe(before);
  });

  it.each(['', 'deadbeef', createHmac('sha256', 'another secret').update('abc').digest('hex')])(
    'with the signature %o is refused, and nothing is changed',
    async (signature) => {
      const { connectionId, state } = await begin(signed);
      const before = await everything(connectionId);
      const query = new URLSearchParams({ accountKey: 'abc', signature });
      expect((await visit(`${signed.url}/callback/${state}?${query.toString()}`)).status).toBe(400);
      expect(await everything(connectionId)).toBe(before);
    },
  );

  it('comes too late, and nothing is changed', async () => {
    const { connectionId, state } = await begin(impatient);
    const before = await everything(connectionId);
    const late = await visit(`${impatient.url}/callback/${state}?accountKey=abc`);
    expect(late).toMatchObject({ status: 410 });
    expect(late.text).toContain('took too long');
    expect(await everything(connectionId)).toBe(before);
  });

  it('comes again, and nothing is changed', async () => {
    const { connectionId, state, account } = await begin();
    await visit(`${backend.url}/callback/${state}?accountKey=${account.accountKey}`);
    const before = await everything(connectionId);
    const again = await visit(`${backend.url}/callback/${state}?accountKey=stolen`);
    expect(again).toMatchObject({ status: 410 });
    expect(await everything(connectionId)).toBe(before);
  });
});

describe('Maesn', () => {
  it('that refuses a login page is quoted', async () => {
    await backend.ask('POST', '/connections', { connectionId: 'unknown-system', targetSystem: 'x'.repeat(80) });
    const answer = await backend.ask('POST', '/connections/unknown-system/authorize');
    expect(answer).toMatchObject({ status: 424, body: { code: 'MaesnRefused' } });
  });

  it('gives a key for credentials, which are not kept', async () => {
    await backend.ask('POST', '/connections', { connectionId: 'by-key', targetSystem: 'weclapp' });
    const connected = await backend.ask('POST', '/connections/by-key/credentials', { apiKey: 'very-secret' });
    expect(connected).toMatchObject({ status: 200, body: { status: 'active', keyVersion: 1 } });
    expect(await everything('by-key')).not.toContain('very-secret');
    expect(backend.log.join('')).not.toContain('very-secret');
  });
});

function swapCase(text: string): string {
  return text
    .split('')
    .map((letter) => (letter === letter.toLowerCase() ? letter.toUpperCase() : letter.toLowerCase()))
    .join('');
}
