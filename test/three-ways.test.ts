/** Whatever the page does, the HTTP API and the commands do too. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Page } from 'playwright-core';
import { z } from 'zod';
import type { SandboxAccount } from '../sandbox/index.js';
import { recordPage, syncStatus } from '../src/backend/schemas.js';
import { TEST_TOKEN, startTestBackend } from './support/backend.js';
import type { TestBackend } from './support/backend.js';
import { startBrowser } from './support/browser.js';
import type { TestBrowser } from './support/browser.js';
import { runCli } from './support/cli.js';
import { startHarness } from './support/harness.js';
import type { Harness } from './support/harness.js';
import { waitFor } from './support/wait.js';

let harness: Harness;
let backend: TestBackend;
let browser: TestBrowser;
let page: Page;
beforeAll(async () => {
  harness = await startHarness();
  backend = await startTestBackend(harness);
  browser = await startBrowser();
  ({ page } = await browser.open());
  await page.goto(`${backend.url}/ui`);
  await page.getByLabel('Token').fill(TEST_TOKEN);
  await page.getByRole('button', { name: 'Sign in' }).click();
  await page.waitForURL(`${backend.url}/ui`);
});
afterAll(async () => {
  await browser.close();
  await backend.close();
  await harness.close();
});

interface Way {
  start(id: string): Promise<unknown>;
  /** The summary, as it is shown. */
  status(id: string): Promise<string>;
  pause(id: string, reason: string): Promise<unknown>;
  resume(id: string): Promise<unknown>;
  cancel(id: string): Promise<unknown>;
  /** Through the login page of the accounting system. */
  reauthorize(id: string, account: SandboxAccount): Promise<unknown>;
  /** Their keys. */
  records(id: string): Promise<string[]>;
}

async function signIn(loginUrl: string, account: SandboxAccount): Promise<void> {
  const answer = await fetch(loginUrl, {
    method: 'POST',
    body: new URLSearchParams({ action: 'signIn', account: account.name }),
  });
  expect(await answer.text()).toContain('You are connected');
}

const login = z.object({ loginUrl: z.url() });

const byHttp: Way = {
  start: (id) => ask('POST', `/connections/${id}/sync`, { resources: ['items'], every: '1 hour' }),
  status: async (id) => syncStatus.parse(await ask('GET', `/connections/${id}/sync`)).summary,
  pause: (id, reason) => ask('POST', `/connections/${id}/sync/pause`, { reason }),
  resume: (id) => ask('POST', `/connections/${id}/sync/resume`),
  cancel: (id) => ask('DELETE', `/connections/${id}/sync`),
  reauthorize: async (id, account) =>
    signIn(login.parse(await ask('POST', `/connections/${id}/authorize`)).loginUrl, account),
  records: async (id) =>
    recordPage.parse(await ask('GET', `/connections/${id}/resources/items/records`)).items.map(({ key }) => key),
};

async function ask(method: string, path: string, content?: object): Promise<unknown> {
  const { status, body } = await backend.ask(method, path, content);
  expect(status, JSON.stringify(body)).toBeLessThan(300);
  return body;
}

const byCommand: Way = {
  start: (id) => run(['sync', 'start', id, '--resources', 'items', '--every', '1 hour']),
  status: (id) => run(['sync', 'status', id]),
  pause: (id, reason) => run(['sync', 'pause', id, '--reason', reason]),
  resume: (id) => run(['sync', 'resume', id]),
  cancel: (id) => run(['sync', 'cancel', id]),
  reauthorize: async (id, account) =>
    signIn(login.parse(JSON.parse(await run(['connect', id, '--json']))).loginUrl, account),
  records: async (id) => {
    const lines = (await run(['records', id, 'items', '--all'])).trim().split('\n');
    return lines.map((line) => z.object({ key: z.string() }).parse(JSON.parse(line)).key);
  },
};

async function run(args: readonly string[]): Promise<string> {
  const { code, stdout, stderr } = await runCli(args, {
    env: { MAESN_SYNC_URL: backend.url, MAESN_SYNC_TOKEN: TEST_TOKEN },
  });
  expect(code, stderr).toBe(0);
  return stdout;
}

const byPage: Way = {
  async start(id) {
    await open(id);
    await page.getByText('Start a sync').click();
    await page.getByLabel('Resources', { exact: true }).fill('items');
    await page.getByLabel('Every').fill('1 hour');
    await page.getByRole('button', { name: 'Start', exact: true }).click();
    await page.getByText('The sync was started.').waitFor();
  },
  async status(id) {
    await open(id);
    return page.locator('.summary').innerText();
  },
  async pause(id, reason) {
    await open(id);
    await page.locator('summary', { hasText: 'Pause' }).click();
    await page.getByLabel('Reason').fill(reason);
    await page.getByRole('button', { name: 'Pause' }).click();
    await page.getByText('The page in flight is written first').waitFor();
  },
  async resume(id) {
    await open(id);
    await page.getByRole('button', { name: 'Resume' }).click();
    await page.getByText('Resumed.').waitFor();
  },
  async cancel(id) {
    await open(id);
    await page.locator('summary', { hasText: 'Cancel' }).click();
    await page.getByRole('button', { name: 'Cancel the sync' }).click();
    await page.getByText('The sync ends after the page in flight.', { exact: true }).waitFor();
  },
  async reauthorize(id) {
    await open(id);
    await page.getByRole('button', { name: 'Reconnect' }).click();
    await page.getByRole('button', { name: 'Sign in' }).click();
    await page.getByRole('heading', { name: 'You are connected' }).waitFor();
  },
  async records(id) {
    await open(id);
    await page.getByRole('link', { name: 'items' }).click();
    await page.getByRole('heading', { name: 'items' }).waitFor();
    return page.locator('details.record code').allInnerTexts();
  },
};

async function open(id: string): Promise<void> {
  await page.goto(`${backend.url}/ui/connections/${id}`);
}

describe.each([
  ['the HTTP API', byHttp],
  ['the commands', byCommand],
  ['the page', byPage],
])('%s', (_name, way) => {
  it('starts, tells, pauses, resumes, reauthorises, shows records and cancels', async () => {
    const { connectionId: id, account } = await harness.connect({ records: { items: 12 }, targetSystem: 'abaconnect' });
    const untilTold = (words: RegExp) =>
      waitFor(`${words.source} is told`, async () => words.test(await way.status(id)));

    await way.start(id);
    await untilTold(/Up to date; next cycle at/);
    expect((await way.records(id)).toSorted()).toEqual(
      (await harness.store.records.list({ connectionId: id, resource: 'items', limit: 100 }))
        .map(({ key }) => key)
        .toSorted(),
    );
    await way.pause(id, 'month-end closing');
    await untilTold(/Paused by test on .*: month-end closing\./);
    await way.resume(id);
    await untilTold(/Up to date/);

    account.revoke();
    await harness.sync.syncNow(id);
    await untilTold(/The customer must sign in to abaconnect again; your application was told on/);
    // The round is opened a moment after the connection waits.
    await waitFor('the round is open', async () =>
      (await harness.sync.journal(id)).some(({ action }) => action === 'reauthorization.required'),
    );
    await way.reauthorize(id, account);
    await untilTold(/Up to date/);

    await way.cancel(id);
    await untilTold(/Cancelled on/);
    const actions = (await harness.sync.journal(id)).map(({ actor, action }) => `${actor}: ${action}`).toReversed();
    expect(actions).toEqual([
      'application: connection.added',
      'test: sync.started',
      'test: sync.paused',
      'test: sync.resumed',
      'application: sync.asked_for',
      'maesn-sync: reauthorization.required',
      'test: login.asked_for',
      'end user: login.completed',
      'end user: key.stored',
      'maesn-sync: reauthorization.settled',
      'test: sync.cancelled',
    ]);
  });
});
