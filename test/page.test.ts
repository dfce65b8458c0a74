/** The page, in a real browser: what people see and press. */
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest';
import type { Page } from 'playwright-core';
import { createPage } from '../src/backend/page/index.js';
import { TEST_TOKEN, startTestBackend } from './support/backend.js';
import type { TestBackend } from './support/backend.js';
import { startBrowser } from './support/browser.js';
import type { TestBrowser } from './support/browser.js';
import { startHarness } from './support/harness.js';
import type { Harness } from './support/harness.js';
import { waitFor } from './support/wait.js';

let harness: Harness;
let backend: TestBackend;
let browser: TestBrowser;
beforeAll(async () => {
  harness = await startHarness({ sandbox: { latencyMs: 60 } });
  // Without tokens, as on one's own machine.
  backend = await startTestBackend(harness, {
    MAESN_SYNC_TOKENS: '',
    MAESN_SYNC_TEMPORAL_UI_URL: 'http://127.0.0.1:8233',
  });
  browser = await startBrowser();
});
afterAll(async () => {
  await browser.close();
  await backend.close();
  await harness.close();
});

const urlOf = (connectionId: string) => `${backend.url}/ui/connections/${connectionId}`;
const textOf = (page: Page, selector: string) => page.locator(selector).first().innerText();
const sees = (page: Page, text: string | RegExp) => page.getByText(text).first().waitFor({ timeout: 60_000 });
const runOf = async (connectionId: string) => (await harness.sync.syncStatus(connectionId)).runId;

describe('the page', () => {
  it('shows a sync running, a login that died, and, after the reconnect, the same run completing', async () => {
    const { page, complaints } = await browser.open();
    // At most 500 requests a minute: slow enough to be watched.
    const { connectionId, account } = await harness.connect({
      records: { invoices: 6_000 },
      targetSystem: 'quickbooks',
    });
    account.fault({ resource: 'invoices', page: 45, answer: 'revoke' });
    await page.goto(`${backend.url}/ui`);
    await page.getByRole('link', { name: connectionId }).click();
    await page.getByText('Start a sync').click();
    await page.getByLabel('Resources', { exact: true }).fill('invoices');
    await page.getByRole('button', { name: 'Start', exact: true }).click();

    // It moves by itself: nothing reloads the page.
    const pageNumber = async () => Number(/page (\d+) of 60/.exec(await textOf(page, '.summary'))?.[1] ?? 0);
    const first = await waitFor('a page is shown', async () => (await pageNumber()) || undefined);
    await browser.screenshot(page, 'syncing');
    await waitFor('the page moves on', async () => (await pageNumber()) > first);
    const runId = await runOf(connectionId);

    await sees(page, /The customer must sign in to quickbooks again; your application was told on/);
    await sees(page, /goes on at invoices, where it stopped/);
    await browser.screenshot(page, 'must-sign-in');
    await page.getByRole('button', { name: 'Reconnect' }).click();
    await page.getByRole('heading', { name: 'Sign in to quickbooks' }).waitFor();
    await browser.screenshot(page, 'login-of-the-sandbox');
    await page.getByRole('button', { name: 'Sign in' }).click();
    await page.getByRole('heading', { name: 'You are connected' }).waitFor();

    await page.goto(urlOf(connectionId));
    await sees(page, /^Completed on/);
    await browser.screenshot(page, 'completed');
    expect(await runOf(connectionId)).toBe(runId);
    expect(await textOf(page, '.log')).toMatch(/end user login\.completed/);
    expect(complaints).toEqual([]);
  });

  it('counts down to the next attempt of a 429, says what Maesn said, and makes the attempt now when it is told to', async () => {
    const { page, complaints } = await browser.open();
    const { connectionId, account } = await harness.connect({ records: { items: 300 }, targetSystem: 'quickbooks' });
    const downstreamErrors = [{ code: 'ThrottleExceeded', message: 'Too many requests in this minute' }];
    account.fault({ resource: 'items', page: 2, answer: { status: 429, retryAfter: 230, downstreamErrors } });
    await harness.sync.startSync(connectionId, { resources: ['items'] });
    await page.goto(urlOf(connectionId));
    await sees(page, /429 from quickbooks, first time in a row, at items page 2; next attempt in/);
    await sees(page, /ThrottleExceeded/);
    const countdown = page.locator('time[data-countdown]').first();
    const before = await countdown.innerText();
    expect(before).toMatch(/^3m \d+s$/);
    await waitFor('it counts down', async () => (await countdown.innerText()) !== before);
    await browser.screenshot(page, 'retrying');
    await page.getByRole('button', { name: 'Retry now' }).click();
    await sees(page, 'The request is made again now.');
    await sees(page, /^Completed on/);
    expect(complaints).toEqual([]);
  });

  it('shows what the last run could not do, in Maesn’s words', async () => {
    const { page, complaints } = await browser.open({ colorScheme: 'dark' });
    const { connectionId, account } = await harness.connect({ records: { items: 5, bills: 5 } });
    account.fault({
      resource: 'bills',
      answer: {
        status: 400,
        errors: [{ message: '<b>bold</b> claim' }],
        downstreamErrors: [{ message: 'The client has no licence for bills' }],
        validationErrors: [{ field: 'companyId' }],
      },
    });
    await harness.sync.startSync(connectionId, { resources: ['items', 'bills'] });
    await page.goto(urlOf(connectionId));
    await sees(page, 'What the last run could not do');
    for (const words of ['<b>bold</b> claim', 'no licence for bills', '"field": "companyId"']) await sees(page, words);
    await browser.screenshot(page, 'failed-dark');
    const link = page.getByRole('link', { name: 'This Workflow in the Temporal UI' });
    expect(await link.getAttribute('href')).toBe(
      `http://127.0.0.1:8233/namespaces/default/workflows/sync%2F${connectionId}`,
    );
    expect(complaints).toEqual([]);
  });

  it('is worked by keyboard alone, and shows what people write as text', async () => {
    const { page, complaints } = await browser.open();
    const { connectionId } = await harness.connect({ records: { items: 5 } });
    await harness.sync.startSync(connectionId, { resources: ['items'], every: '1 hour' });
    await page.goto(urlOf(connectionId));
    await sees(page, /Up to date; next cycle/);
    const focusOn = async (name: string) => {
      for (let presses = 0; presses < 40; presses += 1) {
        await page.keyboard.press('Tab');
        const focused = await page.evaluate<string>('document.activeElement.textContent.trim()');
        if (focused === name) return;
      }
      throw new Error(`Tab does not lead to ${name}`);
    };
    await page.keyboard.press('Tab');
    expect(await page.evaluate<string>('document.activeElement.textContent')).toBe('Skip to the content');
    await focusOn('Pause');
    await page.keyboard.press('Enter');
    await page.keyboard.press('Tab');
    await page.keyboard.type('<img src=x onerror=alert(1)> & closing');
    await page.keyboard.press('Enter');
    await sees(page, /Paused by local on .*: <img src=x onerror=alert\(1\)> & closing/);
    await browser.screenshot(page, 'paused');
    await focusOn('Resume');
    await page.keyboard.press('Enter');
    await sees(page, /Up to date; next cycle/);
    expect(complaints).toEqual([]);
    await harness.sync.removeConnection(connectionId);
  });

  it('works without scripts', async () => {
    const { page } = await browser.open({ javaScriptEnabled: false });
    await page.goto(`${backend.url}/ui`);
    await page.getByText('Add a connection').click();
    await page.getByLabel('Connection id').fill('no-scripts');
    await page.getByLabel('Target system').fill('xero');
    await page.getByRole('button', { name: 'Add' }).click();
    await sees(page, 'The connection was added');
    await page.locator('summary', { hasText: 'Pause' }).click();
    await page.getByLabel('Reason').fill('first things first');
    await page.getByRole('button', { name: 'Pause' }).click();
    await sees(page, /Paused by local/);
    await page.getByText('Start a sync').click();
    await page.getByLabel('Every').fill('now and then');
    await page.getByRole('button', { name: 'Start', exact: true }).click();
    await sees(page, /every: must be milliseconds .*, or an interval such as "15 minutes"/);
    expect(await harness.store.holds.list('no-scripts')).toMatchObject([{ reason: 'first things first' }]);
    await harness.sync.removeConnection('no-scripts');
  });

  it('fits a phone, and darkness', async () => {
    const { page, complaints } = await browser.open({ viewport: { width: 360, height: 740 }, colorScheme: 'dark' });
    const { connectionId } = await harness.connect({ records: { items: 5 } });
    await harness.sync.startSync(connectionId, { resources: ['items'] });
    for (const [url, name] of [
      [`${backend.url}/ui`, 'phone-list'],
      [urlOf(connectionId), 'phone-connection'],
    ] as const) {
      await page.goto(url);
      await page.locator('.badge').first().waitFor();
      await browser.screenshot(page, name);
      expect(await page.evaluate<number>('document.scrollingElement.scrollWidth')).toBeLessThanOrEqual(360);
    }
    expect(await page.evaluate<string>('getComputedStyle(document.body).backgroundColor')).toBe('rgb(15, 18, 23)');
    expect(complaints).toEqual([]);
  });

  it('shows what was written, and lets a person decide what nobody knows', async () => {
    const { page, complaints } = await browser.open();
    const { connectionId } = await harness.connect({ records: {} });
    const put = async (idempotencyKey: string) => {
      const body = { invoiceNumber: idempotencyKey };
      const of = { connectionId, idempotencyKey };
      await harness.store.writes.add({ ...of, operation: 'createInvoice', parameters: {}, body }, 'test');
      return of;
    };
    const [first, second] = [await put('order-1'), await put('order-2')];
    const because = 'a record is there that may be <this> one, and may be another one';
    for (const of of [first, second]) await harness.store.writes.move(of, { state: 'undecided', because });
    for (let n = 3; n < 25; n += 1) {
      const of = await put(`order-${n}`);
      await harness.store.writes.end({ ...of, outcome: 'refused', because: 'BadRequest: Maesn answered 400' });
    }
    await page.goto(`${backend.url}/ui`);
    await sees(page, '2 writes are undecided.');
    await page.locator('#undecided').getByRole('link', { name: connectionId }).click();
    await sees(page, because);
    await browser.screenshot(page, 'writes');
    const rows = page.locator('table', { hasText: 'Operation' }).locator('tbody tr');
    expect(await rows.count()).toBe(20);
    expect(await rows.first().innerText()).toMatch(/^order-2\s+createInvoice\s+!\s*undecided/);

    await page.getByRole('button', { name: 'Applied: order-1', exact: true }).click();
    await sees(page, 'The write counts as applied.');
    await page.getByRole('button', { name: 'Let it be: order-2' }).click();
    await sees(page, 'The write is let be.');
    expect(await harness.sync.writeStatus(connectionId, 'order-1')).toMatchObject({ outcome: 'applied' });
    expect(await harness.sync.writeStatus(connectionId, 'order-2')).toMatchObject({ outcome: 'abandoned' });
    const journal = await harness.sync.journal(connectionId);
    expect(journal).toContainEqual(expect.objectContaining({ actor: 'local', action: 'write.resolved' }));
    await page.getByRole('link', { name: 'Connections', exact: true }).click();
    await page.locator('.badge').first().waitFor();
    expect(await page.locator('#undecided').count()).toBe(0);
    // Nothing that was pressed here has sent anything.
    expect((await harness.sync.writeStatus(connectionId, 'order-1')).sends).toBe(0);
    expect(complaints).toEqual([]);
  });

  it('says so when somebody else has decided already', async () => {
    // Without scripts, it does not hear of that by itself.
    const { page } = await browser.open({ javaScriptEnabled: false });
    const { connectionId } = await harness.connect({ records: {} });
    const of = { connectionId, idempotencyKey: 'order-1' };
    await harness.store.writes.add({ ...of, operation: 'createInvoice', parameters: {}, body: { name: 'n' } }, 'test');
    await harness.store.writes.move(of, { state: 'undecided', because: 'nobody knows' });
    await page.goto(urlOf(connectionId));
    await harness.sync.resolveWrite(connectionId, 'order-1', { decision: 'abandon' });
    await page.getByRole('button', { name: 'Not applied, send again: order-1' }).click();
    expect(await textOf(page, '[role=alert]')).toBe(`Write order-1 of connection ${connectionId} is not undecided.`);
  });

  it('lists all connections at a glance', async () => {
    const { page, complaints } = await browser.open();
    await page.goto(`${backend.url}/ui`);
    await page.locator('.badge').first().waitFor();
    await browser.screenshot(page, 'list');
    expect(await page.locator('.connections li').count()).toBeGreaterThan(2);
    expect(complaints).toEqual([]);
  });

  it('asks again for what stands beside the button, also after the list has changed', async () => {
    const { page } = await browser.open();
    const { connectionId, account } = await harness.connect({ records: { customers: 5, items: 5 } });
    for (const resource of ['goodsReceipts', 'offers'] as const)
      account.fault({ resource, times: Infinity, answer: { status: 404 } });
    await harness.sync.startSync(connectionId, { resources: ['customers', 'goodsReceipts', 'offers'] });
    await page.goto(urlOf(connectionId));
    const inRow = (resource: string) => page.locator('tr', { hasText: resource }).locator('input[name=resource]');
    await inRow('offers').waitFor({ state: 'attached' });
    await harness.temporal.workflow.getHandle(`sync/${connectionId}`).result();
    await harness.sync.startSync(connectionId, { resources: ['customers', 'items', 'goodsReceipts'] });
    await page.getByRole('link', { name: 'items' }).waitFor();
    for (const resource of ['goodsReceipts', 'offers']) expect(await inRow(resource).inputValue()).toBe(resource);
  });

  it.each([
    [50, 0],
    [51, 1],
  ])('leads on from %d records only where there are more', async (items, links) => {
    const { page } = await browser.open();
    const { connectionId } = await harness.connect({ records: { items } });
    await harness.sync.startSync(connectionId, { resources: ['items'] });
    await harness.temporal.workflow.getHandle(`sync/${connectionId}`).result();
    await page.goto(`${urlOf(connectionId)}/records/items`);
    expect(await page.locator('details.record').count()).toBe(50);
    expect(await page.getByRole('link', { name: 'More records' }).count()).toBe(links);
  });

  it('says of a look for changes that found none only how many pages it read', async () => {
    const { connectionId } = await harness.connect({ records: { items: 5 } });
    const sync = async () => {
      await harness.sync.startSync(connectionId, { resources: ['items'] });
      await harness.temporal.workflow.getHandle(`sync/${connectionId}`).result();
      return (await backend.ask('GET', `/ui/connections/${connectionId}`, undefined, { authorization: '' })).body;
    };
    expect(await sync()).toMatch(/<\/progress> 1 of\s+1<\/td>/);
    expect(await sync()).toContain('<td class="progress">1</td>');
  });

  it('says which resources the sync has not in it', async () => {
    const { connectionId } = await harness.connect({ records: { items: 5, customers: 5 } });
    const rowOf = async (resource: string) => {
      const { body } = await backend.ask('GET', `/ui/connections/${connectionId}`, undefined, { authorization: '' });
      return new RegExp(`<tr id="resource-${resource}">.*?</tr>`, 's').exec(String(body))?.[0] ?? '';
    };
    for (const resource of ['items', 'customers'] as const) {
      await harness.sync.startSync(connectionId, { resources: [resource] });
      await harness.temporal.workflow.getHandle(`sync/${connectionId}`).result();
    }
    expect(await rowOf('items')).toContain('<td>not part of this sync</td>');
    expect(await rowOf('customers')).toContain('<td>completed</td>');
    // One that was terminated reports nothing.
    await harness.sync.startSync(connectionId, { resources: ['customers'], every: '1 hour' });
    await harness.temporal.workflow.getHandle(`sync/${connectionId}`).terminate();
    expect(await rowOf('items')).toContain('<td></td>');
  });

  it('of a connection that is not there says so', async () => {
    const answer = await backend.ask('GET', '/ui/connections/nobody', undefined, { authorization: '' });
    expect(answer).toMatchObject({ status: 404 });
    expect(answer.body).toContain('There is no connection nobody.');
    expect(answer.body).toContain('<h1>Connection not found</h1>');
    const wrong = await backend.ask('GET', '/ui/connections/nobody/records/nonsense', undefined, { authorization: '' });
    expect(wrong).toMatchObject({ status: 400 });
    expect(wrong.body).toContain('<h1>Invalid input</h1>');
  });

  it('refuses an id that is none on each of its paths, and nothing is left that would end the process', async () => {
    const settings = { sync: harness.sync, toTemporalUi: () => undefined, secured: false };
    const routes = createPage(settings).app.routes.filter(
      ({ path, method }) => path.includes('/:id') && method !== 'ALL',
    );
    expect(routes.length).toBeGreaterThan(3);
    const unhandled: unknown[] = [];
    const keep = (error: unknown) => void unhandled.push(error);
    process.on('unhandledRejection', keep);
    onTestFinished(() => void process.off('unhandledRejection', keep));
    for (const { method, path } of routes) {
      for (const id of ['-x', '%00', 'a%2Fb', 'a'.repeat(101)]) {
        const at = path.replace(':id', id).replace(':resource', 'items').replace(':action', 'pause');
        const answer = await backend.ask(method, at, undefined, { authorization: '' });
        expect([at, answer.status]).toEqual([at, 400]);
        expect(answer.body).toContain('<h1>Invalid input</h1>');
      }
    }
    expect(unhandled).toEqual([]);
  });

  it('says when it has lost maesn-sync, and finds it again', async () => {
    const { page } = await browser.open();
    const first = await startTestBackend(harness, { MAESN_SYNC_TOKENS: '' });
    await page.goto(`${first.url}/ui`);
    await page.locator('.badge').first().waitFor();
    expect(await page.locator('#lost').isVisible()).toBe(false);
    await first.close();
    await page.locator('#lost').waitFor({ state: 'visible' });
    const again = await startTestBackend(harness, {
      MAESN_SYNC_TOKENS: '',
      MAESN_SYNC_ADDRESS: new URL(first.url).host,
    });
    await page.locator('#lost').waitFor({ state: 'hidden' });
    await again.close();
  });

  it('says when what it shows cannot be had anew', async () => {
    const { page } = await browser.open();
    const { connectionId } = await harness.connect({ records: { items: 5 } });
    await page.goto(urlOf(connectionId));
    await page.locator('.badge').first().waitFor();
    await harness.sync.removeConnection(connectionId);
    await page.locator('#lost').waitFor({ state: 'visible' });
    expect(await textOf(page, '#lost')).toContain('what you see is from before');
  });
});

it('a complaint of the browser is heard', async () => {
  const { page, complaints } = await browser.open();
  await page.goto(`${backend.url}/ui`);
  await page.evaluate(
    "const script = document.createElement('script'); script.textContent = 'document.title = 1'; document.body.append(script);",
  );
  await waitFor('the policy complains', () => complaints.some((text) => text.includes('Content Security Policy')));
  expect(await page.title()).toBe('Connections · maesn-sync');
});

it('whose session has ended leads to where one signs in', async () => {
  const { page } = await browser.open();
  const first = await startTestBackend(harness);
  await page.goto(`${first.url}/ui`);
  await page.getByLabel('Token').fill(TEST_TOKEN);
  await page.getByRole('button', { name: 'Sign in' }).click();
  await page.locator('.badge').first().waitFor();
  await page.context().clearCookies();
  await first.close();
  const again = await startTestBackend(harness, { MAESN_SYNC_ADDRESS: new URL(first.url).host });
  await page.getByLabel('Token').waitFor();
  expect(new URL(page.url()).pathname).toBe('/sign-in');
  await again.close();
});

it('a link into the page leads there by way of the sign-in', async () => {
  const secured = await startTestBackend(harness);
  const { page } = await browser.open();
  const { connectionId } = await harness.connect({ records: { items: 5 } });
  await page.goto(`${secured.url}/ui/connections/${connectionId}`);
  await page.getByLabel('Token').fill(TEST_TOKEN);
  await page.getByRole('button', { name: 'Sign in' }).click();
  await page.getByRole('heading', { name: connectionId }).waitFor();
  expect(new URL(page.url()).pathname).toBe(`/ui/connections/${connectionId}`);
  await secured.close();
});

it('with tokens, the page asks for one first', async () => {
  const secured = await startTestBackend(harness);
  const { page, complaints } = await browser.open();
  await page.goto(`${secured.url}/ui`);
  await page.getByLabel('Token').fill('not a token of ours');
  await page.getByRole('button', { name: 'Sign in' }).click();
  await sees(page, 'That is none of the tokens');
  await page.getByLabel('Token').fill('test-token-0123456789');
  await page.getByRole('button', { name: 'Sign in' }).click();
  await page.locator('.badge').first().waitFor();
  await page.getByRole('button', { name: 'Sign out' }).click();
  await page.getByLabel('Token').waitFor();
  // The 401 of the wrong token is the only thing that the browser minds.
  expect(complaints.filter((text) => !text.includes('401'))).toEqual([]);
  await secured.close();
});
