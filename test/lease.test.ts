/** A target system that runs one request at a time: whoever asks, whatever dies, never two. */
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { SandboxAccount } from '../sandbox/index.js';
import { FREE_LEASE, WAITER_GONE_AFTER_MS, extendLease, passLease, takeLease } from '../src/spec/lease.js';
import type { LeaseState } from '../src/spec/lease.js';
import { createTargetSystems } from '../src/spec/target-systems.js';
import { startHarness } from './support/harness.js';
import type { Harness } from './support/harness.js';
import { expectSameRecords } from './support/records.js';
import { openTestStore } from './support/store.js';
import { untilRetrying } from './support/sync-states.js';
import { waitFor } from './support/wait.js';

const NOW_MS = Date.UTC(2026, 10, 23);
const FOR_MS = 30_000;
const take = (state: LeaseState, holder: string, nowMs: number) => takeLease(state, { holder, forMs: FOR_MS }, nowMs);

describe('the lease', () => {
  it('is held by one, and given back in the order in which it was asked for', () => {
    let { state } = take(FREE_LEASE, 'a', NOW_MS);
    for (const waiter of ['b', 'c', 'b']) ({ state } = take(state, waiter, NOW_MS + 1));
    state = passLease(state, 'a', undefined, NOW_MS + 2);
    expect(take(state, 'c', NOW_MS + 3).granted).toBe(false);
    expect(take(state, 'a', NOW_MS + 3).granted).toBe(false);
    const second = take(state, 'b', NOW_MS + 3);
    expect(second.granted).toBe(true);
    expect(second.state.queue.map(({ holder }) => holder)).toEqual(['c']);
  });

  it('of a holder that is not heard of any more ends, and not before', () => {
    const { state } = take(FREE_LEASE, 'killed', NOW_MS);
    expect(take(state, 'b', NOW_MS + FOR_MS - 1).granted).toBe(false);
    expect(take(state, 'b', NOW_MS + FOR_MS).granted).toBe(true);
    const extended = extendLease(state, { holder: 'killed', forMs: FOR_MS }, NOW_MS + FOR_MS - 1);
    expect(take(extended, 'b', NOW_MS + FOR_MS).granted).toBe(false);
  });

  it('is not kept from anybody by a waiter that has gone', () => {
    let { state } = take(FREE_LEASE, 'a', NOW_MS);
    ({ state } = take(state, 'gone', NOW_MS));
    state = passLease(state, 'a', undefined, NOW_MS + 1);
    expect(take(state, 'c', NOW_MS + WAITER_GONE_AFTER_MS - 1).granted).toBe(false);
    expect(take(state, 'c', NOW_MS + WAITER_GONE_AFTER_MS).granted).toBe(true);
  });

  it('goes on to the task that an answer has started, which alone may be asked for', () => {
    const { state } = take(FREE_LEASE, 'a', NOW_MS);
    const passed = passLease(state, 'a', { holder: 'task', forMs: FOR_MS }, NOW_MS + 1);
    expect(take(passed, 'a', NOW_MS + 2).granted).toBe(false);
    expect(take(passed, 'task', NOW_MS + 2).granted).toBe(true);
  });

  it('is not given back, on or extended by one that has lost it', () => {
    const { state } = take(FREE_LEASE, 'b', NOW_MS);
    expect(passLease(state, 'a', undefined, NOW_MS)).toBe(state);
    expect(passLease(state, 'a', { holder: 'task', forMs: FOR_MS }, NOW_MS)).toBe(state);
    expect(extendLease(state, { holder: 'a', forMs: FOR_MS }, NOW_MS)).toBe(state);
  });

  it('whatever they do: never two at once, unless the first one was not heard of for its whole time', () => {
    const holders = ['a', 'b', 'c', 'd'];
    const step = fc.tuple(fc.constantFrom(...holders), fc.constantFrom('take', 'pass', 'extend'), fc.nat(20_000));
    fc.assert(
      fc.property(fc.array(step, { maxLength: 100 }), (steps) => {
        let state = FREE_LEASE;
        let now = NOW_MS;
        const heldUntil = new Map<string, number>();
        for (const [holder, act, laterMs] of steps) {
          now += laterMs;
          if (act === 'take') {
            const taken = take(state, holder, now);
            ({ state } = taken);
            if (taken.granted) {
              const others = [...heldUntil].filter(([other, until]) => other !== holder && until > now);
              expect(others).toEqual([]);
              heldUntil.set(holder, now + FOR_MS);
            }
          } else if (act === 'pass') {
            state = passLease(state, holder, undefined, now);
            heldUntil.delete(holder);
          } else {
            const extended = extendLease(state, { holder, forMs: FOR_MS }, now);
            if (extended !== state) heldUntil.set(holder, now + FOR_MS);
            state = extended;
          }
        }
      }),
    );
  });

  it('is one for all Workers, through the store', async () => {
    const { store } = await openTestStore();
    const scope = 'connection/leased';
    const taken = await Promise.all(
      Array.from({ length: 8 }, (_, index) => store.paces.takeLease(scope, { holder: `w${index}`, forMs: FOR_MS })),
    );
    expect(taken.filter((granted) => granted)).toHaveLength(1);
    const holder = `w${taken.indexOf(true)}`;
    await store.paces.passLease(scope, holder);
    expect(await store.paces.takeLease(scope, { holder, forMs: FOR_MS })).toBe(false);
    await store.close();
  });
});

describe('AbaConnect', () => {
  let harness: Harness;
  beforeAll(async () => {
    harness = await startHarness({
      sandbox: { latencyMs: 30 },
      // The negative control: each Activity sends one request at a time, but there is no lease.
      overrides: { MAESN_SYNC_TARGET_SYSTEMS: '{"sevdesk":{"concurrency":1}}' },
    });
    await harness.addWorker();
    await harness.addWorker();
  });
  afterAll(() => harness.close());

  const requestsOf = ({ name }: SandboxAccount) => harness.sandbox.requests.filter(({ account }) => account === name);
  const mostRunning = (account: SandboxAccount) => Math.max(...requestsOf(account).map(({ running = 0 }) => running));
  const RESOURCES = ['items', 'contacts', 'projects', 'journalEntries'] as const;

  /** Several Workflows that ask for the same account at the same time, on three Workers: a sync for each of four resources. */
  async function askTogether(targetSystem: string) {
    const { connectionId, account } = await harness.connect({
      records: Object.fromEntries(RESOURCES.map((resource) => [resource, 450])),
      targetSystem,
      account: { asyncResources: ['contacts', 'projects'], pollsUntilFinished: 1 },
    });
    const { temporal, taskQueue } = harness;
    const syncs = await Promise.all(
      RESOURCES.map((resource) =>
        temporal.workflow.start('syncConnection', {
          workflowId: `sync/${connectionId}/${resource}`,
          taskQueue,
          args: [{ connectionId, resources: [resource] }],
        }),
      ),
    );
    return { connectionId, account, ended: Promise.allSettled(syncs.map((sync) => sync.result())) };
  }

  it('is known as one that runs one request at a time', () => {
    const { get, requestsInFlight } = createTargetSystems({ own: { exclusive: true, concurrency: 9 } });
    expect(get('abaconnect').exclusive).toBe(true);
    expect(requestsInFlight('abaconnect')).toBe(1);
    expect(requestsInFlight('own')).toBe(1);
  });

  it('never sees two requests of a connection at once, however many Workflows and Workers ask', async () => {
    const { connectionId, account, ended } = await askTogether('abaconnect');
    // Somebody says that the login was revoked, while they walk.
    for (let index = 0; index < 3; index += 1) {
      await harness.temporal.workflow.signalWithStart('reauthorizeConnection', {
        workflowId: `reauthorize/${connectionId}/revoked-${index}`,
        taskQueue: harness.taskQueue,
        args: [{ connectionId, remindEveryMs: 86_400_000, expireAfterMs: 86_400_000 }],
        signal: 'revoked',
      });
    }
    expect((await ended).map(({ status }) => status)).not.toContain('rejected');
    await waitFor('all probes were answered', () => {
      const probes = requestsOf(account).filter(({ path }) => path === '/accounting/profile');
      return probes.length === 3 && probes.every(({ status }) => status === 200);
    });
    expect(requestsOf(account).filter(({ status }) => status !== 200)).toEqual([]);
    expect(mostRunning(account)).toBe(1);
    await expectSameRecords(harness.store, connectionId, account, RESOURCES);
  });

  it('would see several without the lease: this test can tell', async () => {
    const { account, ended } = await askTogether('sevdesk');
    await ended;
    expect(mostRunning(account)).toBeGreaterThan(1);
  });

  it('is asked again when the lease of a Worker that was killed has ended, and not before', async () => {
    const { connectionId, account } = await harness.connect({ records: { items: 250 }, targetSystem: 'abaconnect' });
    const scope = `connection/${connectionId}`;
    // What a Worker leaves behind that is killed while its request is under way.
    expect(await harness.store.paces.takeLease(scope, { holder: 'killed', forMs: 4_000 })).toBe(true);
    const [row] = await harness.query(
      `select (state->'lease'->>'until')::float8 as until from maesn_sync.paces where scope = '${scope}'`,
    );
    const { workflowId } = await harness.sync.startSync(connectionId, { resources: ['items'] });
    await harness.temporal.workflow.getHandle(workflowId).result();
    const times = requestsOf(account).map(({ time }) => Date.parse(time));
    // Three pages, and what has changed meanwhile.
    expect(times).toHaveLength(4);
    expect(Math.min(...times)).toBeGreaterThanOrEqual(Math.floor(Number(row?.['until'])));
  });

  it('is not asked again at once where a request got no answer: it may still be running there', async () => {
    const { connectionId, account } = await harness.connect({ records: { items: 5 }, targetSystem: 'abaconnect' });
    account.fault({ resource: 'items', request: 1, answer: 'cut' });
    await harness.sync.startSync(connectionId, { resources: ['items'] });
    await waitFor('it was cut', () => requestsOf(account).length === 1);
    await untilRetrying(harness.sync, connectionId);
    const other = { holder: 'other', forMs: 1_000 };
    expect(await harness.store.paces.takeLease(`connection/${connectionId}`, other)).toBe(false);
    await harness.sync.cancelSync(connectionId);
  });

  it('waiting for its turn can be cancelled', async () => {
    const { connectionId, account } = await harness.connect({ records: { items: 5 }, targetSystem: 'abaconnect' });
    const scope = `connection/${connectionId}`;
    await harness.store.paces.takeLease(scope, { holder: 'another', forMs: 600_000 });
    const { workflowId } = await harness.sync.startSync(connectionId, { resources: ['items'] });
    await waitFor('it waits', async () => {
      const [row] = await harness.query(
        `select jsonb_array_length(state->'lease'->'queue') as waiting from maesn_sync.paces where scope = '${scope}'`,
      );
      return row?.['waiting'] === 1;
    });
    await harness.sync.cancelSync(connectionId);
    const handle = harness.temporal.workflow.getHandle(workflowId);
    await waitFor('it has ended', async () => (await handle.describe()).status.name === 'CANCELLED');
    expect(requestsOf(account)).toEqual([]);
  });
});
