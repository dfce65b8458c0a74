/** What a target system does not offer is not asked for again and again, and what Maesn warns of is kept. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { SandboxAccount } from '../sandbox/index.js';
import { RECHECK_AFTER_MS, RECHECK_OF_OFFERED_AFTER_MS, meansNotOffered } from '../src/spec/capabilities.js';
import type { Resource } from '../src/spec/resources.js';
import { MAX_WARNINGS, MAX_WARNING_LENGTH } from '../src/store/warnings.js';
import { TEST_TOKEN, startTestBackend } from './support/backend.js';
import type { TestBackend } from './support/backend.js';
import { runCli } from './support/cli.js';
import { startHarness } from './support/harness.js';
import type { Harness } from './support/harness.js';
import { readHistoryText } from './support/history.js';
import { untilIdle } from './support/sync-states.js';
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

async function run(connectionId: string, resources: readonly Resource[]): Promise<void> {
  const { workflowId } = await harness.sync.startSync(connectionId, { resources });
  await harness.temporal.workflow
    .getHandle(workflowId)
    .result()
    .catch(() => undefined);
}

const asked = ({ name }: SandboxAccount, resource: Resource) =>
  harness.sandbox.requests.filter((one) => one.account === name && one.resource === resource).length;

const statusOf = async (connectionId: string, resource: Resource) =>
  (await harness.sync.syncStatus(connectionId)).lastReport?.resources[resource]?.status;

const idleIn = (connectionId: string, cycle: number) => untilIdle(harness.sync, connectionId, cycle);

/** Items are offered, offers are not. */
const connect = (status: 404 | 405 = 404) =>
  harness.connect({
    records: { items: 5, offers: 5 },
    account: { unsupported: [{ resource: 'offers', status }] },
  });

describe('a resource that is not offered', () => {
  it.each([404, 405] as const)('is asked for once, and not in the cycles after a %d', async (status) => {
    const { connectionId, account } = await connect(status);
    await harness.sync.startSync(connectionId, { resources: ['offers', 'items'], every: '1 hour' });
    await idleIn(connectionId, 2);
    for (const cycle of [3, 4]) {
      await harness.sync.syncNow(connectionId);
      await idleIn(connectionId, cycle);
    }
    expect([asked(account, 'offers'), asked(account, 'items')]).toEqual([1, 3]);
    expect(await statusOf(connectionId, 'offers')).toBe('unsupported');
    const { notOffered } = await harness.sync.syncStatus(connectionId);
    expect(notOffered.offers).toMatchObject({ status, type: status === 404 ? 'NotFound' : 'MethodNotAllowed' });
    const inMs = (notOffered.offers?.recheckAt.getTime() ?? 0) - (notOffered.offers?.checkedAt.getTime() ?? 0);
    expect(Math.abs(inMs - RECHECK_AFTER_MS)).toBeLessThan(1_000);
    await harness.sync.cancelSync(connectionId);
  });

  it('is not asked for by a new sync that names it, until its time has come', async () => {
    const { connectionId, account } = await connect();
    await run(connectionId, ['offers', 'items']);
    await run(connectionId, ['offers', 'items']);
    expect(asked(account, 'offers')).toBe(1);
    await harness.query(
      `update maesn_sync.capabilities set recheck_at = now() where connection_id = '${connectionId}' and resource = 'offers'`,
    );
    await run(connectionId, ['offers', 'items']);
    expect(asked(account, 'offers')).toBe(2);
    expect(await statusOf(connectionId, 'offers')).toBe('unsupported');
  });

  it('is asked for under a new key, which may open more', async () => {
    const { connectionId, account } = await connect();
    await run(connectionId, ['offers', 'items']);
    await harness.sync.reauthorized(connectionId, account.reconnect());
    await run(connectionId, ['offers', 'items']);
    await run(connectionId, ['offers', 'items']);
    expect(asked(account, 'offers')).toBe(2);
  });

  it('is asked for in every cycle while nothing else is offered: then the path is wrong', async () => {
    const { connectionId, account } = await connect();
    await run(connectionId, ['offers']);
    await run(connectionId, ['offers']);
    expect(asked(account, 'offers')).toBe(2);
    expect((await harness.sync.syncStatus(connectionId)).notOffered).toEqual({});
    // Negative control: that was for want of anything that is offered.
    await run(connectionId, ['items', 'offers']);
    await run(connectionId, ['offers']);
    expect(asked(account, 'offers')).toBe(3);
  });

  it('but was, is asked for again after an hour, not after a week', async () => {
    const { connectionId, account } = await harness.connect({ records: { items: 5, offers: 5 } });
    await run(connectionId, ['items', 'offers']);
    account.fault({ resource: 'offers', answer: { status: 404 } });
    await run(connectionId, ['items', 'offers']);
    const { notOffered } = await harness.sync.syncStatus(connectionId);
    const inMs = (notOffered.offers?.recheckAt.getTime() ?? 0) - (notOffered.offers?.checkedAt.getTime() ?? 0);
    expect(Math.abs(inMs - RECHECK_OF_OFFERED_AFTER_MS)).toBeLessThan(1_000);
  });

  it('is told apart from one that is there and fails', async () => {
    const { connectionId, account } = await harness.connect({ records: { items: 5, offers: 250, bills: 5 } });
    account.fault({ resource: 'offers', page: 2, answer: { status: 404 } });
    account.fault({ resource: 'bills', answer: { status: 403 } });
    await run(connectionId, ['items', 'offers', 'bills']);
    expect((await harness.sync.syncStatus(connectionId)).notOffered).toEqual({});
    await run(connectionId, ['items', 'offers', 'bills']);
    expect(await statusOf(connectionId, 'bills')).toBe('completed');
    expect([
      meansNotOffered({ type: 'NotFound', page: 1 }),
      meansNotOffered({ type: 'NotFound', page: 2 }),
      meansNotOffered({ type: 'BadRequest', page: 1 }),
    ]).toEqual([true, false, false]);
  });

  it('is not pulled because a webhook hints at it', async () => {
    const { connectionId, account } = await connect();
    await harness.sync.startSync(connectionId, { resources: ['offers', 'items'], every: '1 hour' });
    await idleIn(connectionId, 2);
    for (const resource of ['offers', 'items'] as const) await harness.store.webhooks.hint(connectionId, resource, 1);
    await harness.temporal.workflow.getHandle(`sync/${connectionId}`).signal('hinted');
    await waitFor('items are pulled', () => asked(account, 'items') === 2);
    await idleIn(connectionId, 2);
    expect(asked(account, 'offers')).toBe(1);
    await harness.sync.cancelSync(connectionId);
  });
});

describe('asking again', () => {
  it('has a sync that waits pull it at once, and is in the journal', async () => {
    const unsupported: Resource[] = ['offers'];
    const { connectionId, account } = await harness.connect({
      records: { items: 5, offers: 5 },
      account: { unsupported },
    });
    await harness.sync.startSync(connectionId, { resources: ['offers', 'items'], every: '1 hour' });
    await idleIn(connectionId, 2);
    // The customer has booked what was missing.
    unsupported.pop();
    expect(await backend.ask('POST', `/connections/${connectionId}/resources/offers/recheck`)).toMatchObject({
      status: 202,
    });
    await waitFor('offers are there', async () => (await harness.store.records.count(connectionId)).offers === 5);
    expect(asked(account, 'items')).toBe(1);
    const [entry] = await harness.sync.journal(connectionId);
    expect(entry).toMatchObject({
      actor: 'test',
      action: 'resource.recheck_asked_for',
      detail: { resource: 'offers' },
    });
    await waitFor('it is known', async () => {
      const { notOffered } = await harness.sync.syncStatus(connectionId);
      return notOffered.offers === undefined;
    });
    await harness.sync.cancelSync(connectionId);
  });

  it('is refused for what is asked for anyway, for a resource that is none, and for no connection', async () => {
    const { connectionId } = await connect();
    await run(connectionId, ['offers', 'items']);
    const recheck = (id: string, resource: string) =>
      backend.ask('POST', `/connections/${id}/resources/${resource}/recheck`);
    expect((await recheck(connectionId, 'items')).status).toBe(409);
    expect((await recheck(connectionId, 'cats')).status).toBe(400);
    expect((await recheck('nobody', 'items')).status).toBe(404);
    // Before a sync was started it is harmless, too.
    expect((await recheck(connectionId, 'offers')).status).toBe(202);
  });
});

const LONG = `Datensatz ${'ä'.repeat(600)}`;

describe('what Maesn warns of', () => {
  it('is kept with how often, and shown by API and commands, and Temporal never hears of it', async () => {
    const { connectionId } = await harness.connect({
      records: { items: 250, bills: 5 },
      account: { warnings: { items: ['Müller GmbH has no tax id', LONG] } },
    });
    await run(connectionId, ['items', 'bills']);
    const items = (await harness.sync.resources(connectionId)).find(({ resource }) => resource === 'items');
    expect(items).toMatchObject({ offered: true, recheckAt: null });
    expect(items?.warnings.map(({ text, count }) => [text, count]).toSorted()).toEqual([
      // Three pages, and what has changed meanwhile.
      [LONG.slice(0, MAX_WARNING_LENGTH), 4],
      ['Müller GmbH has no tax id', 4],
    ]);
    const { body } = await backend.ask('GET', `/connections/${connectionId}/resources`);
    expect(JSON.stringify(body)).toContain('Müller GmbH has no tax id');
    expect(body).toMatchObject({
      items: [
        { resource: 'bills', warnings: [] },
        { resource: 'items', offered: true },
      ],
    });
    const { stdout } = await runCli(['resources', 'list', connectionId], {
      env: { MAESN_SYNC_URL: backend.url, MAESN_SYNC_TOKEN: TEST_TOKEN },
    });
    expect(stdout).toMatch(/items +4 +20.*Z +20.*Z +Müller GmbH has no tax id/);
    const { body: page } = await backend.ask('GET', `/ui/connections/${connectionId}`);
    expect(page).toContain('Müller GmbH has no tax id');
    expect(await readHistoryText(harness.temporal, `sync/${connectionId}`)).not.toContain('tax id');
  });

  it('is the newest, and bounded, whatever it holds', async () => {
    const { connectionId } = await harness.connect({ records: {} });
    const of = { connectionId, resource: 'items' as const };
    const texts = Array.from({ length: 3 * MAX_WARNINGS }, (_, index) => `record ${index} has no name`);
    for (const text of texts) await harness.store.warnings.add(of, [text]);
    await harness.store.warnings.add(of, ['a\u0000b', 'a\u0000b', `${'x'.repeat(MAX_WARNING_LENGTH - 1)}😀`]);
    const kept = await harness.store.warnings.list(connectionId);
    expect(kept).toHaveLength(MAX_WARNINGS);
    expect(kept.find(({ text }) => text === 'ab')).toMatchObject({ count: 2 });
    expect(kept.map(({ text }) => text)).toEqual(expect.arrayContaining(texts.slice(-(MAX_WARNINGS - 2))));
    expect(kept.every(({ text }) => text.isWellFormed() && text.length <= MAX_WARNING_LENGTH)).toBe(true);
    // Of one answer, too.
    await harness.store.warnings.add(of, texts);
    expect(await harness.store.warnings.list(connectionId)).toHaveLength(MAX_WARNINGS);
    // And of another resource there are others.
    await harness.store.warnings.add({ connectionId, resource: 'bills' }, ['one']);
    expect(await harness.store.warnings.list(connectionId)).toHaveLength(MAX_WARNINGS + 1);
  });

  it('holds no key, even where Maesn quotes one', async () => {
    const quoting: string[] = [];
    const { connectionId, account } = await harness.connect({
      records: { items: 5 },
      account: { warnings: { items: quoting } },
    });
    quoting.push(`for ${account.accountKey} and ${harness.sandbox.apiKey}`);
    await run(connectionId, ['items']);
    const [warning] = await harness.store.warnings.list(connectionId);
    expect(warning?.text).toBe('for [account key] and [API key]');
  });
});
