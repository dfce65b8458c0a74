/** Temporal's own UI, in a real browser, with what it shows of encrypted payloads: it asks the backend, signed in as on the page. */
import { randomBytes } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import type { Page } from 'playwright-core';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { freePort } from '../src/embedded/temporal-port.js';
import { startTemporalServer } from '../src/embedded/temporal-server.js';
import type { TemporalServer } from '../src/embedded/temporal-server.js';
import { TEST_TOKEN, startTestBackend } from './support/backend.js';
import type { TestBackend } from './support/backend.js';
import { startBrowser } from './support/browser.js';
import type { TestBrowser } from './support/browser.js';
import { startHarness } from './support/harness.js';
import type { Harness } from './support/harness.js';
import { untilRetrying } from './support/sync-states.js';
import { waitFor } from './support/wait.js';

/** As the UI shows metadata that it does not understand. */
const ENCRYPTED = Buffer.from('binary/encrypted').toString('base64');
const DOWNSTREAM = 'ledger 4711 is locked';

let dataDir: string;
let server: TemporalServer;
let harness: Harness;
let backend: TestBackend;
let browser: TestBrowser;
let codecUrl: string;
beforeAll(async () => {
  dataDir = await mkdtemp(path.join(tmpdir(), 'maesn-sync-temporal-ui-'));
  const port = await freePort('127.0.0.1');
  codecUrl = `http://127.0.0.1:${port}/codec`;
  const extraArgs = ['--ui-codec-endpoint', codecUrl];
  server = await startTemporalServer({ dataDir, env: process.env, persistent: false, extraArgs });
  harness = await startHarness({
    temporalAddress: server.address,
    overrides: { MAESN_SYNC_PAYLOAD_KEYS: `a:${randomBytes(32).toString('base64')}` },
  });
  backend = await startTestBackend(harness, {
    MAESN_SYNC_ADDRESS: `127.0.0.1:${port}`,
    MAESN_SYNC_TEMPORAL_UI_URL: server.uiUrl ?? '',
  });
  browser = await startBrowser();
});
afterAll(async () => {
  await browser.close();
  await backend.close();
  await harness.close();
  await server.stop();
  await rm(dataDir, { recursive: true, force: true });
});

/** What a person sets in the UI under "Data Encoder": this codec server, with the cookies of its site. */
const dataEncoder = (origin: string) => ({
  cookies: [],
  origins: [
    {
      origin,
      localStorage: Object.entries({
        endpoint: codecUrl,
        overrideRemoteCodecConfiguration: true,
        includeCredentials: true,
      }).map(([name, value]) => ({ name, value: JSON.stringify(value) })),
    },
  ],
});

async function shows(page: Page, tab: string, workflowId: string, ...texts: readonly string[]): Promise<string> {
  const { runId } = await harness.temporal.workflow.getHandle(workflowId).describe();
  await page.goto(`${server.uiUrl}/namespaces/default/workflows/${encodeURIComponent(workflowId)}/${runId}/${tab}`, {
    waitUntil: 'load',
  });
  return waitFor(
    `${tab} shows ${texts.join(', ')}`,
    async () => {
      // Of what is Markdown, the UI makes frames, which it replaces now and then.
      const frames = page.frames().map(async (frame) =>
        frame
          .locator('body')
          .innerText()
          .catch(() => ''),
      );
      const text = (await Promise.all(frames)).join('\n');
      return texts.every((each) => text.includes(each)) && text;
    },
    30_000,
  );
}

it('shows input, summary, failure, heartbeat and current details to who is signed in, and to nobody else', async () => {
  const failing = await harness.connect({ records: { customers: 250, items: 5 } });
  failing.account.fault({
    resource: 'customers',
    page: 2,
    times: Infinity,
    answer: { status: 500, downstreamErrors: [{ message: DOWNSTREAM }] },
  });
  await harness.sync.startSync(failing.connectionId, { resources: ['customers', 'items'] });
  const failed = await harness.connect({ records: { bills: 5 } });
  failed.account.fault({ resource: 'bills', request: 1, answer: { status: 400 } });
  await harness.sync.startSync(failed.connectionId, { resources: ['bills'] });
  await harness.temporal.workflow
    .getHandle(`sync/${failed.connectionId}`)
    .result()
    .catch(() => undefined);
  await untilRetrying(harness.sync, failing.connectionId);

  const storageState = dataEncoder(server.uiUrl ?? '');
  const { page } = await browser.open({ viewport: { width: 1_400, height: 1_100 }, storageState });
  // Not signed in: what there is, is there, and says nothing.
  const refused = page.waitForResponse((response) => response.url().startsWith(codecUrl) && response.status() === 401);
  const before = await shows(page, 'history', `sync/${failed.connectionId}`, 'syncConnection', ENCRYPTED);
  await refused;
  expect(before).not.toContain('"connectionId"');

  await page.goto(`${backend.url}/ui`);
  await page.getByLabel('Token').fill(TEST_TOKEN);
  await page.getByRole('button', { name: 'Sign in' }).click();
  await page.waitForURL(`${backend.url}/ui`);
  const history = await shows(
    page,
    'history',
    `sync/${failed.connectionId}`,
    `"connectionId": "${failed.connectionId}"`,
    '1 of 1 resources failed: bills',
    `bills of ${failed.connectionId}`,
  );
  expect(history).not.toContain(ENCRYPTED);
  const running = `sync/${failing.connectionId}`;
  await shows(
    page,
    'pending-activities',
    running,
    '/accounting/customers, page 2, answered 500',
    '"InternalServerError": 1',
  );
  const summary = `${failing.connectionId} (sevdesk)`;
  await shows(
    page,
    'user-metadata',
    running,
    summary,
    'into the store, page by page',
    'docs/runbook.md',
    'Pulling customers',
  );
  await harness.sync.cancelSync(failing.connectionId);
});
