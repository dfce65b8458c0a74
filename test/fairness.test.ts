/** Whose turn it is when there is more to do than a Worker can do. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { SandboxAccount } from '../sandbox/index.js';
import { BEFORE_WALKS, sharedTurns } from '../src/spec/fairness.js';
import { RESOURCE_NAMES, isChild } from '../src/spec/resources.js';
import type { Collection } from '../src/spec/resources.js';
import { startHarness } from './support/harness.js';
import type { Harness } from './support/harness.js';
import { readActivities, readEvents } from './support/history.js';
import { pauseUpdate } from '../src/workflows/messages.js';
import { untilIdle } from './support/sync-states.js';
import { waitFor } from './support/wait.js';

describe('the fairness key', () => {
  it('is the id of the connection, where Temporal takes it', () => {
    expect(sharedTurns('acme:xero')).toEqual({ fairnessKey: 'acme:xero' });
    expect(sharedTurns('a'.repeat(64)).fairnessKey).toBe('a'.repeat(64));
  });

  it('of a longer id is 64 bytes that still tell it from others that begin alike', () => {
    const ids = Array.from({ length: 1_000 }, (_, index) => `${'a'.repeat(90)}${index}`);
    const keys = ids.map((id) => sharedTurns(id).fairnessKey);
    expect(new Set(keys.map((key) => Buffer.byteLength(key)))).toEqual(new Set([64]));
    expect(new Set(keys).size).toBe(1_000);
    expect(sharedTurns(ids[0] ?? '')).toEqual(sharedTurns(ids[0] ?? ''));
  });
});

describe('one Worker that does one thing at a time', () => {
  let harness: Harness;
  beforeAll(async () => {
    harness = await startHarness({
      overrides: { MAESN_SYNC_MAX_CONCURRENT_ACTIVITIES: '1', MAESN_TIMEOUT: '90 seconds' },
    });
  });
  afterAll(() => harness.close());

  const COLLECTIONS = RESOURCE_NAMES.filter((name): name is Collection => !isChild(name));
  const SMALL = 20;
  /** What runs one request at a time is nothing for a Workflow Task. */
  const TO_ACTIVITIES = { records: { items: 1 }, targetSystem: 'abaconnect' };
  const requestsOf = ({ name }: SandboxAccount) => harness.sandbox.requests.filter(({ account }) => account === name);

  it('gets to twenty small connections before it is half through a large one that came first', async () => {
    const large = await harness.connect({
      records: Object.fromEntries(COLLECTIONS.map((resource) => [resource, 1_000])),
    });
    const small = [];
    for (let index = 0; index < SMALL; index += 1) small.push(await harness.connect(TO_ACTIVITIES));
    await harness.sync.startSync(large.connectionId, { resources: COLLECTIONS });
    await waitFor('it is at the large one', () => requestsOf(large.account).length > 0);
    for (const { connectionId } of small) await harness.sync.startSync(connectionId, { resources: ['items'] });
    for (const { connectionId } of small) await harness.temporal.workflow.getHandle(`sync/${connectionId}`).result();
    const [first] = small;
    expect(await readActivities(harness.temporal, `sync/${first?.connectionId}`)).toContain('pullResource');
    const { resources } = await harness.sync.syncStatus(large.connectionId);
    const done = Object.values(resources).filter(({ status }) => status === 'completed').length;
    expect(done).toBeLessThan(COLLECTIONS.length / 2);
    await harness.sync.cancelSync(large.connectionId);
  });

  /**
   * While the one place is taken, sixty Activities come to wait for one key, and then ten for another. Where the third of the ten
   * comes among all of them, in the order in which they are begun: from 2 to 62. A queue has partitions, and one may come late.
   */
  async function placeOfTheLater(keyOfTheFirst: string, keyOfTheLater: string): Promise<number> {
    const { temporal, taskQueue } = harness;
    const blocking = await harness.connect(TO_ACTIVITIES);
    blocking.account.fault({ resource: 'items', answer: 'hang' });
    await harness.sync.startSync(blocking.connectionId, { resources: ['items'] });
    await waitFor('the place is taken', () => requestsOf(blocking.account).length > 0);

    const ids: string[] = [];
    for (let index = 0; index < 70; index += 1) {
      const { connectionId } = await harness.connect(TO_ACTIVITIES);
      const { workflowId } = await temporal.workflow.start('syncConnection', {
        workflowId: `sync/${connectionId}`,
        taskQueue,
        args: [{ connectionId, resources: ['items'] }],
        priority: { fairnessKey: index < 60 ? keyOfTheFirst : keyOfTheLater },
      });
      ids.push(workflowId);
    }
    for (const id of ids) {
      await waitFor('it waits for its turn', async () => {
        const { raw } = await temporal.workflow.getHandle(id).describe();
        return raw.pendingActivities?.length === 1;
      });
    }
    await harness.sync.cancelSync(blocking.connectionId);
    const begun: { readonly id: string; readonly atMs: number }[] = [];
    for (const id of ids) {
      await temporal.workflow.getHandle(id).result();
      const first = (await readEvents(temporal, id)).find(({ type }) => type === 'ACTIVITY_TASK_STARTED');
      begun.push({ id, atMs: first?.atMs ?? 0 });
    }
    const order = begun.toSorted((a, b) => a.atMs - b.atMs).map(({ id }) => id);
    const places = ids.slice(60).map((id) => order.indexOf(id));
    return places.toSorted((a, b) => a - b)[2] ?? NaN;
  }

  it('takes turns between keys, so that a backlog of one does not hold up another', async () => {
    const place = await placeOfTheLater('large', 'small');
    expect(place).toBeLessThan(25);
  });

  it('lets the later ones wait under one key: this test can tell', async () => {
    const place = await placeOfTheLater('same', 'same');
    expect(place).toBeGreaterThan(25);
  });
});

describe('what Temporal is told', () => {
  let harness: Harness;
  beforeAll(async () => {
    harness = await startHarness();
  });
  afterAll(() => harness.close());

  it('is whose turn it is, of the Workflow and so of its Activities, and what goes first', async () => {
    const { connectionId, account } = await harness.connect({ records: { items: 5 } });
    account.fault({ resource: 'items', answer: 'hang' });
    await harness.sync.startSync(connectionId, { resources: ['items'] });
    const handle = harness.temporal.workflow.getHandle(`sync/${connectionId}`);
    await waitFor('it pulls', async () => {
      const { raw } = await handle.describe();
      return raw.pendingActivities?.find(({ activityType }) => activityType?.name === 'pullResource');
    });
    expect((await handle.describe()).priority).toMatchObject({ fairnessKey: connectionId });
    await handle.executeUpdate(pauseUpdate, { args: [{ reason: 'to see what goes first' }] });
    const { events } = await handle.fetchHistory();
    const scheduled = events?.flatMap(({ activityTaskScheduledEventAttributes: about }) => about ?? []) ?? [];
    const paused = scheduled.find(({ activityType }) => activityType?.name === 'pauseConnection');
    expect(paused?.priority).toMatchObject({ priorityKey: BEFORE_WALKS });
    await harness.sync.cancelSync(connectionId);
  });

  it('is that what a webhook has hinted at goes before walks', async () => {
    const { connectionId, account } = await harness.connect({ records: { items: 5 } });
    await harness.sync.startSync(connectionId, { resources: ['items'], every: '1 day' });
    const handle = harness.temporal.workflow.getHandle(`sync/${connectionId}`);
    await untilIdle(harness.sync, connectionId, 2);
    // Else it is done within the Workflow Task.
    account.fault({ resource: 'items', answer: { status: 500 } });
    await harness.store.webhooks.hint(connectionId, 'items', 1);
    await handle.signal('hinted');
    const hinted = await waitFor('what was hinted at is pulled', async () => {
      const { events } = await handle.fetchHistory();
      return events?.find(
        ({ activityTaskScheduledEventAttributes: about }) => about?.activityType?.name === 'pullResource',
      );
    });
    expect(hinted.activityTaskScheduledEventAttributes?.priority).toMatchObject({ priorityKey: BEFORE_WALKS });
    await harness.sync.cancelSync(connectionId);
  });
});
