import { WorkflowNotFoundError } from '@temporalio/client';
import type { WorkflowHandle } from '@temporalio/client';
import { tsToMs } from '@temporalio/common/lib/time.js';
import { MockActivityEnvironment } from '@temporalio/testing';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createActivities } from '../src/activities/index.js';
import { createTargetSystems } from '../src/spec/target-systems.js';
import { webhookKinds } from '../src/spec/webhook-resources.js';
import { activityDependencies } from './support/activities.js';
import { startHarness } from './support/harness.js';
import { readEvents } from './support/history.js';
import { createSkippingClient } from './support/skipping-client.js';
import { waitFor } from './support/wait.js';
import { post, sign, startWebhookHarness, subscribed, webhookOf } from './support/webhooks.js';
import type { WebhookHarness } from './support/webhooks.js';

type History = Awaited<ReturnType<WorkflowHandle['fetchHistory']>>;

const DAY_MS = 86_400_000;

/** Where the sandbox is in time: as many days ahead as a test says. */
let daysAhead = () => 0;
let harness: WebhookHarness;
beforeAll(async () => {
  harness = await startWebhookHarness({
    sandbox: { now: () => new Date(Date.now() + daysAhead() * DAY_MS) },
    overrides: { MAESN_TIMEOUT: '1 second', MAESN_RETRY_TIME_SCALE: '30' },
  });
});
afterAll(() => harness.close());

const resources = ['items'] as const;
const every = '1 day';
const MONEYBIRD = webhookKinds(createTargetSystems().get('moneybird'));
const KINDS = MONEYBIRD.length;

const connect = (account: object = {}, targetSystem = 'moneybird') =>
  harness.connect({ records: { items: 5 }, targetSystem, account });

const asked = (name: string, method = 'POST') =>
  harness.sandbox.requests.filter(
    ({ account, path, method: of }) => account === name && path.startsWith('/webhooks') && of === method,
  );

const closed = (connectionId: string) =>
  waitFor('keepSubscribed has ended', async () => {
    const { status } = await harness.temporal.workflow.getHandle(`webhooks/${connectionId}`).describe();
    return status.name !== 'RUNNING' && status.name;
  });

/** A look is over, and the next one is waited for; each is a run. `after`: that of an earlier one. */
const looked = (connectionId: string, after?: string) =>
  waitFor('it waits for the next look', async () => {
    const workflowId = `webhooks/${connectionId}`;
    const { runId } = await harness.temporal.workflow.getHandle(workflowId).describe();
    if (runId === after) return false;
    const events = await readEvents(harness.temporal, workflowId, runId);
    return events.some(({ type }) => type === 'TIMER_STARTED') && runId;
  });

/**
 * When each run made way for the next look, in days since the first one began, in the Workflow's own time. (What the
 * dev server skips between two runs is not the Workflow's doing.)
 */
async function daysOfLooks(connectionId: string, firstRunId: string): Promise<number[]> {
  const days: number[] = [];
  let began: number | undefined;
  let runId: string | undefined = firstRunId;
  while (runId !== undefined) {
    const history: History = await harness.temporal.workflow
      .getHandle(`webhooks/${connectionId}`, runId)
      .fetchHistory();
    const end = history.events?.at(-1);
    began ??= tsToMs(history.events?.[0]?.eventTime);
    days.push(Math.round(((tsToMs(end?.eventTime) - began) / DAY_MS) * 10) / 10);
    runId = end?.workflowExecutionContinuedAsNewEventAttributes?.newExecutionRunId ?? undefined;
  }
  return days;
}

const namesOf = (webhooks: readonly { readonly eventType: string; readonly resource: string }[]) =>
  webhooks.map(({ eventType, resource }) => `${eventType} ${resource}`).toSorted();

describe('a sync that repeats', () => {
  it('has Maesn tell of every change, each kind at a callback URL of its own', async () => {
    const { connectionId, account } = await connect();
    await harness.sync.startSync(connectionId, { resources, every });
    await subscribed(harness, connectionId, account);
    expect(namesOf(account.webhooks)).toEqual(
      MONEYBIRD.map(({ eventType, webhookResource }) => `${eventType} ${webhookResource}`).toSorted(),
    );
    const urls = account.webhooks.map(({ callbackUrl }) => callbackUrl);
    expect(new Set(urls).size).toBe(KINDS);
    for (const url of urls) expect(url).toMatch(new RegExp(`^${harness.publicUrl}/webhooks/[\\w-]{43}$`));
    // Who reads the table cannot call in Maesn's name.
    const stored = JSON.stringify(await harness.store.webhooks.list(connectionId));
    for (const { callbackUrl, secret } of account.webhooks) {
      expect(stored).not.toContain(callbackUrl.slice(-43));
      expect(stored).not.toContain(secret);
    }
  });

  it('of a system that has no webhooks asks for none, nor does a sync of one cycle', async () => {
    const without = await connect({}, 'sevdesk');
    await harness.sync.startSync(without.connectionId, { resources, every });
    const once = await connect();
    await harness.sync.startSync(once.connectionId, { resources });
    await harness.temporal.workflow.getHandle(`sync/${once.connectionId}`).result();
    for (const { connectionId, account } of [without, once]) {
      const handle = harness.temporal.workflow.getHandle(`webhooks/${connectionId}`);
      await expect(handle.describe()).rejects.toBeInstanceOf(WorkflowNotFoundError);
      expect(asked(account.name)).toEqual([]);
    }
  });

  it('asks for none where Maesn has no way to us', async () => {
    const unreachable = await startHarness();
    try {
      const { connectionId } = await unreachable.connect({ records: { items: 5 }, targetSystem: 'moneybird' });
      await unreachable.sync.startSync(connectionId, { resources, every });
      const handle = unreachable.temporal.workflow.getHandle(`webhooks/${connectionId}`);
      await expect(handle.describe()).rejects.toBeInstanceOf(WorkflowNotFoundError);
    } finally {
      await unreachable.close();
    }
  });

  it('that is started again finds its subscriptions', async () => {
    const { connectionId, account } = await connect();
    await harness.sync.startSync(connectionId, { resources, every });
    await subscribed(harness, connectionId, account);
    await harness.temporal.workflow.getHandle(`webhooks/${connectionId}`).terminate('by mistake');
    await harness.sync.startSync(connectionId, { resources, every });
    const handle = harness.temporal.workflow.getHandle(`webhooks/${connectionId}`);
    await waitFor('it has looked', async () => (await handle.describe()).historyLength > 8);
    expect(asked(account.name)).toHaveLength(KINDS);
  });
});

describe('what Maesn refuses', () => {
  it('is left out, and everything else is there', async () => {
    const { connectionId, account } = await connect();
    account.fault({ resource: 'webhooks', request: 2, answer: { status: 400 } });
    account.fault({ resource: 'webhooks', request: 4, answer: { status: 404 } });
    await harness.sync.startSync(connectionId, { resources, every });
    await subscribed(harness, connectionId, account, KINDS - 2);
    const first = await looked(connectionId);
    // The next look does not ask for it again.
    await harness.sync.startSync(connectionId, { resources, every });
    await looked(connectionId, first);
    expect(asked(account.name)).toHaveLength(KINDS);
    expect(account.webhooks).toHaveLength(KINDS - 2);
  });

  it('is not asked for on and on: a target system that counts errors is left alone after five', async () => {
    const { connectionId, account } = await connect({}, 'exact-nl');
    account.fault({ resource: 'webhooks', times: Infinity, answer: { status: 400 } });
    await harness.sync.startSync(connectionId, { resources, every });
    await looked(connectionId);
    expect(asked(account.name)).toHaveLength(5);
    expect(await harness.store.webhooks.list(connectionId)).toEqual([]);
  });

  it.each([
    { status: 400, before: 0, isRefused: true, does: 'leaves out that kind' },
    { status: 422, before: 0, isRefused: true, does: 'leaves out that kind' },
    { status: 403, before: 0, isRefused: false, does: 'keeps what there is and comes back in an hour' },
    { status: 500, before: 11, isRefused: false, does: 'keeps what there is and comes back in an hour' },
  ])('with a $status that no retry changes $does', async ({ status, before, isRefused }) => {
    const { connectionId, account } = await connect();
    await harness.sync.startSync(connectionId, { resources, every });
    await subscribed(harness, connectionId, account);
    await looked(connectionId);
    const { publicUrl } = harness;
    const { renewSubscriptions } = createActivities(activityDependencies(harness, { publicUrl }));
    const attempt = new MockActivityEnvironment({ heartbeatDetails: { failures: { InternalServerError: before } } });
    // By then each of them is due.
    const nowMs = Date.now() + 29 * DAY_MS;
    account.fault({ resource: 'webhooks', request: KINDS + 1, answer: { status } });
    const { refused, ...result }: object & { refused?: object } = await attempt.run(renewSubscriptions, {
      connectionId,
      nowMs,
    });
    expect(result).toMatchObject({ wanted: true, subscriptions: KINDS });
    expect(Object.keys(refused ?? {})).toHaveLength(isRefused ? 1 : 0);
    expect(asked(account.name)).toHaveLength(isRefused ? 2 * KINDS : KINDS + 1);
    if (!isRefused) expect(result).toMatchObject({ comeBackInMs: 3_600_000 });
  });

  it('because of the login waits for the customer, and then goes on where it was', async () => {
    const { connectionId, account } = await connect();
    account.fault({ resource: 'webhooks', request: 5, answer: 'revoke' });
    await harness.sync.startSync(connectionId, { resources, every });
    await waitFor('the customer must sign in', async () => {
      const { status } = await harness.sync.connection(connectionId);
      return status === 'awaiting_reauthorization';
    });
    await harness.sync.reauthorized(connectionId, account.reconnect());
    await subscribed(harness, connectionId, account);
    expect(asked(account.name)).toHaveLength(KINDS + 1);
  });
});

describe('what a crash left half done', () => {
  it('is cleared away', async () => {
    const { connectionId, account } = await connect();
    const half = { connectionId, eventType: 'CREATED', webhookResource: 'ITEM', token: 'half-done' };
    await harness.store.webhooks.add(half);
    await harness.sync.startSync(connectionId, { resources, every });
    await subscribed(harness, connectionId, account);
    expect(await harness.store.webhooks.open('half-done')).toBeUndefined();
  });
});

describe('a subscription', () => {
  it('is renewed before it expires, the new one first, and the old one is ended', async () => {
    const { connectionId, account } = await connect({ webhookLifeMs: 10 * DAY_MS });
    // Every round of requests finds the sandbox eight days later, as the Workflow's own time will have it.
    daysAhead = () => 8 * Math.max(0, Math.ceil(asked(account.name).length / KINDS) - 1);
    try {
      await harness.sync.startSync(connectionId, { resources, every });
      await subscribed(harness, connectionId, account);
      const first = await harness.store.webhooks.list(connectionId);
      const { callbackUrl, secret } = webhookOf(account, 'CREATED', 'ITEM');
      const renewing = harness.temporal.workflow.getHandle(`webhooks/${connectionId}`);
      const { taskQueue } = await renewing.describe();
      await renewing.terminate('goes on in virtual time');
      const skipping = createSkippingClient({ connection: harness.temporal.connection });
      const handle = await skipping.workflow.start('keepSubscribed', {
        workflowId: `webhooks/${connectionId}`,
        taskQueue,
        args: [{ connectionId }],
      });
      await waitFor('all are renewed twice', () => asked(account.name, 'DELETE').length >= 2 * KINDS);
      await handle.terminate('renewed');
      await closed(connectionId);

      const expiry = Math.min(...first.map(({ expiresAt }) => expiresAt?.getTime() ?? 0));
      const second = account.webhooks;
      expect(namesOf(second)).toEqual(
        namesOf(second.filter(({ expiresDate }) => new Date(expiresDate ?? 0).getTime() > expiry)),
      );
      const requests = harness.sandbox.requests.filter(
        ({ account: of, path }) => of === account.name && path.startsWith('/webhooks'),
      );
      // After the first round: make one, end one, and never an end without a new one before it.
      expect(requests.slice(KINDS, 3 * KINDS).map(({ method }) => method)).toEqual(
        Array.from({ length: KINDS }, () => ['POST', 'DELETE']).flat(),
      );
      expect(requests.filter(({ status }) => status !== 201 && status !== 200)).toEqual([]);
      // Of ten days: after a week nothing was due, after eight days all of them were, and were renewed.
      expect((await daysOfLooks(connectionId, handle.firstExecutionRunId)).slice(0, 2)).toEqual([7, 8]);
      const body = '{"eventType":"CREATED","resource":"ITEM"}';
      expect(await post(callbackUrl, body, sign(secret, body))).toMatchObject({ status: 404 });
    } finally {
      daysAhead = () => 0;
    }
  });

  it('is ended with the sync, and nothing is taken from it any more', async () => {
    const { connectionId, account } = await connect();
    await harness.sync.startSync(connectionId, { resources, every });
    await subscribed(harness, connectionId, account);
    const { callbackUrl, secret } = webhookOf(account, 'CREATED', 'ITEM');
    await harness.sync.cancelSync(connectionId);
    expect(await closed(connectionId)).toBe('CANCELLED');
    expect(account.webhooks).toEqual([]);
    expect(await harness.store.webhooks.list(connectionId)).toEqual([]);
    const body = '{"eventType":"CREATED","resource":"ITEM"}';
    expect(await post(callbackUrl, body, sign(secret, body))).toMatchObject({ status: 404 });
  });

  it.each([
    ['was cancelled', (of: string) => harness.sync.cancelSync(of), 'CANCELLED'],
    [
      'is gone',
      async (of: string) => {
        await harness.temporal.workflow.getHandle(`sync/${of}`).terminate('by mistake');
        await harness.temporal.workflow.getHandle(`webhooks/${of}`).signal('syncStarted');
      },
      'TERMINATED',
    ],
  ])('is made anew when a sync is started while those of one that %s are being ended', async (_, stop, status) => {
    const { connectionId, account } = await connect();
    await harness.sync.startSync(connectionId, { resources, every });
    await subscribed(harness, connectionId, account);
    account.fault({ resource: 'webhooks', answer: 'hang' });
    await stop(connectionId);
    await waitFor('they are being ended', () => asked(account.name, 'DELETE').length > 0);
    const sync = harness.temporal.workflow.getHandle(`sync/${connectionId}`);
    await waitFor('the sync has ended', async () => (await sync.describe()).status.name === status);
    await harness.sync.startSync(connectionId, { resources, every });
    await waitFor('all are made once more', () => asked(account.name).length === 2 * KINDS);
    await subscribed(harness, connectionId, account);
    expect(account.webhooks).toHaveLength(KINDS);
  });

  it('is ended at Maesn when its connection is removed', async () => {
    const { connectionId, account } = await connect();
    await harness.sync.startSync(connectionId, { resources, every });
    await subscribed(harness, connectionId, account);
    await harness.sync.removeConnection(connectionId);
    expect(account.webhooks).toEqual([]);
    expect(await closed(connectionId)).toBe('CANCELLED');
  });

  it('is gone with its connection also where the login is dead, and Maesn is not asked', async () => {
    const { connectionId, account } = await connect();
    await harness.sync.startSync(connectionId, { resources, every });
    await subscribed(harness, connectionId, account);
    const { callbackUrl, secret } = webhookOf(account, 'CREATED', 'ITEM');
    await waitFor('it is idle', async () => (await harness.sync.syncStatus(connectionId)).state === 'Idle');
    account.revoke();
    await harness.sync.syncNow(connectionId);
    await waitFor('the customer must sign in', async () => {
      const { status } = await harness.sync.connection(connectionId);
      return status === 'awaiting_reauthorization';
    });
    await harness.sync.removeConnection(connectionId);
    expect(asked(account.name, 'DELETE')).toEqual([]);
    const body = '{"eventType":"CREATED","resource":"ITEM"}';
    expect(await post(callbackUrl, body, sign(secret, body))).toMatchObject({ status: 404 });
  });

  it('is not wanted without a sync: the next look ends it', async () => {
    const { connectionId, account } = await connect();
    await harness.sync.startSync(connectionId, { resources, every });
    await subscribed(harness, connectionId, account);
    await harness.temporal.workflow.getHandle(`sync/${connectionId}`).terminate('by mistake');
    await harness.temporal.workflow.getHandle(`webhooks/${connectionId}`).signal('syncStarted');
    expect(await closed(connectionId)).toBe('COMPLETED');
    expect(account.webhooks).toEqual([]);
  });
});
