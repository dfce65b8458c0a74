/** Errors at an endpoint of a target system that counts them: at most half of what would block the key. */
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { SandboxAccount } from '../sandbox/index.js';
import {
  errorBudgetAt,
  errorScope,
  errorsAllowed,
  giveErrorRoom,
  isCountedError,
  takeErrorRoom,
} from '../src/spec/error-budget.js';
import { NEW_PACE } from '../src/spec/pace.js';
import type { Resource } from '../src/spec/resources.js';
import { TARGET_SYSTEMS, createTargetSystems } from '../src/spec/target-systems.js';
import { syncConnectionId } from '../src/workflows/messages.js';
import { startHarness } from './support/harness.js';
import type { Harness } from './support/harness.js';
import { readEvents, readHistoryText } from './support/history.js';
import { openTestStore } from './support/store.js';
import { waitFor } from './support/wait.js';

const HOUR_MS = 3_600_000;
const LIMIT = { requests: 10, perMs: HOUR_MS };
const START_MS = Date.UTC(2026, 10, 23);

describe('the error budget', () => {
  it('is half of what blocks a key', () => {
    const counting = Object.keys(TARGET_SYSTEMS).filter((slug) => TARGET_SYSTEMS[slug]?.errorLimit !== undefined);
    expect(counting).toEqual(['exact-de', 'exact-gb', 'exact-nl']);
    for (const slug of counting) expect(TARGET_SYSTEMS[slug]?.errorLimit).toEqual(LIMIT);
    expect(errorsAllowed(LIMIT)).toBe(5);
  });

  it('also holds for what is in flight when its last error is met, however many an operator wants at once', () => {
    const { requestsInFlight } = createTargetSystems({
      'exact-nl': { concurrency: 50 },
      strict: { errorLimit: LIMIT },
    });
    for (const slug of ['exact-nl', 'strict']) {
      expect(errorsAllowed(LIMIT) - 1 + requestsInFlight(slug)).toBeLessThan(LIMIT.requests);
    }
  });

  it('whenever errors come: no hour holds more of them, and room comes back a little more than an hour after them', () => {
    fc.assert(
      fc.property(fc.array(fc.nat(HOUR_MS), { maxLength: 80 }), (pauses) => {
        let state = NEW_PACE;
        let now = START_MS;
        const met: number[] = [];
        for (const pause of pauses) {
          now += pause;
          const at = errorBudgetAt(state, LIMIT, now);
          const recent = met.filter((time) => time > now - HOUR_MS);
          if (recent.length >= 5) expect(at).toBeGreaterThan(now);
          if (at > now) {
            expect(met.filter((time) => time > at - HOUR_MS).length).toBeLessThan(5);
            // A part of the hour is counted as a whole: 75 seconds.
            expect(at).toBeLessThanOrEqual((met.at(-5) ?? 0) + HOUR_MS + 75_000);
            now = at;
          }
          state = giveErrorRoom(state, LIMIT, { holder: 'a', isError: true }, now);
          met.push(now);
        }
      }),
    );
  });

  it('whoever asks, and whatever is answered when: what was met and what is under way are never more than it', () => {
    const step = fc.record({ pause: fc.nat(HOUR_MS / 4), ends: fc.boolean(), isError: fc.boolean() });
    fc.assert(
      fc.property(fc.array(step, { maxLength: 120 }), (steps) => {
        let state = NEW_PACE;
        let now = START_MS;
        const met: number[] = [];
        const underWay: string[] = [];
        for (const [index, { pause, ends, isError }] of steps.entries()) {
          now += pause;
          const over = ends ? underWay.shift() : undefined;
          if (over !== undefined) {
            state = giveErrorRoom(state, LIMIT, { holder: over, isError }, now);
            if (isError) met.push(now);
          } else {
            const holder = `request ${index}`;
            const taken = takeErrorRoom(state, LIMIT, { holder, forMs: Infinity }, now);
            ({ state } = taken);
            if (taken.granted) underWay.push(holder);
          }
          const recent = met.filter((time) => time > now - HOUR_MS);
          expect(recent.length + underWay.length).toBeLessThanOrEqual(5);
        }
      }),
    );
  });

  it('a request whose Worker has died keeps its room for a time, and no longer', () => {
    let state = NEW_PACE;
    const take = (holder: string, now: number) => {
      const taken = takeErrorRoom(state, LIMIT, { holder, forMs: 1_000 }, now);
      ({ state } = taken);
      return taken.granted;
    };
    for (const holder of ['a', 'b', 'c', 'd', 'e']) expect(take(holder, START_MS)).toBe(true);
    expect(take('f', START_MS + 999)).toBe(false);
    expect(take('f', START_MS + 1_000)).toBe(true);
    expect(Object.keys(state.inFlight ?? {})).toEqual(['f']);
  });

  it.each([
    [200, false],
    [400, true],
    [401, true],
    [403, true],
    [404, true],
    [429, false],
    [500, false],
    [undefined, false],
  ])('an answer of %s is an error that is counted: %s', (status, counted) => {
    expect(isCountedError(status)).toBe(counted);
  });

  it('is shared by Workers through the store, per connection and endpoint', async () => {
    const { store } = await openTestStore();
    const scope = errorScope('shared', 'GET /accounting/invoices');
    const take = (of: string, holder: string) => store.paces.takeErrorRoom(of, LIMIT, { holder, forMs: 600_000 });
    // Two Workers that want room for six at once.
    const taken = await Promise.all(['a', 'b', 'c', 'd', 'e', 'f'].map((holder) => take(scope, holder)));
    expect(taken.filter(({ granted }) => granted)).toHaveLength(5);
    expect(taken.find(({ granted }) => !granted)).toEqual({ granted: false, spentForMs: 0 });
    await Promise.all(
      ['a', 'b', 'c', 'd', 'e', 'f'].map((holder) =>
        store.paces.giveErrorRoom(scope, LIMIT, { holder, isError: true }),
      ),
    );
    const { granted, spentForMs } = await take(scope, 'g');
    expect(granted).toBe(false);
    expect(spentForMs).toBeGreaterThan(HOUR_MS - 60_000);
    expect(spentForMs).toBeLessThanOrEqual(HOUR_MS + 75_000);
    expect(await take(errorScope('shared', 'GET /accounting/bills'), 'g')).toMatchObject({ granted: true });
    expect(await take(errorScope('other', 'GET /accounting/invoices'), 'g')).toMatchObject({ granted: true });
    await store.close();
  });
});

describe('against the sandbox', () => {
  let harness: Harness;
  beforeAll(async () => {
    // A retry's delay is skipped, and begins the next attempt at once: what keeps it from asking is the store alone.
    harness = await startHarness({ skipTime: ['started by client'] });
  });
  afterAll(() => harness.close());

  const asked = ({ name }: SandboxAccount, resource: Resource) =>
    harness.sandbox.requests.filter(({ account, resource: of }) => account === name && of === resource);

  async function sync(connectionId: string, resources: readonly Resource[]): Promise<void> {
    const { workflowId } = await harness.sync.startSync(connectionId, { resources });
    await harness.temporal.workflow
      .getHandle(workflowId)
      .result()
      .catch(() => undefined);
  }

  /** As if so much time had passed since what the store remembers. */
  async function passInStore(connectionId: string, ms: number): Promise<void> {
    await harness.query(`
      update maesn_sync.paces set state = jsonb_set(state, '{used}', (
        select jsonb_object_agg(name, (
          select jsonb_object_agg((slot::bigint - ${Math.ceil(ms / 75_000)})::text, errors)
          from jsonb_each(slots) as one(slot, errors)))
        from jsonb_each(state->'used') as each(name, slots)))
      where scope like 'errors/${connectionId}/%' and state->'used' <> '{}'`);
  }

  it.each([400, 403] as const)(
    'after five answers of %i nothing more is sent there until the time comes',
    async (code) => {
      const { connectionId, account } = await harness.connect({
        records: { invoices: 5, bills: 5 },
        targetSystem: 'exact-nl',
      });
      account.fault({ resource: 'invoices', times: 5, answer: { status: code } });
      for (let cycle = 1; cycle <= 5; cycle += 1) await sync(connectionId, ['invoices']);
      expect(asked(account, 'invoices').map(({ status }) => status)).toEqual(Array.from({ length: 5 }, () => code));

      // Another endpoint of the same connection is not concerned.
      await sync(connectionId, ['bills']);
      expect(asked(account, 'bills').map(({ status }) => status)).toEqual([200]);

      const { workflowId } = await harness.sync.startSync(connectionId, { resources: ['invoices'] });
      const skips = async () =>
        (await readEvents(harness.temporal, workflowId)).filter(({ skippedToMs }) => skippedToMs !== undefined);
      // It has tried three times, each when it was told to.
      await waitFor('it was kept back thrice', async () => (await skips()).length >= 3);
      const [first] = await skips();
      const delayMs = (first?.skippedToMs ?? 0) - (first?.atMs ?? 0);
      expect(delayMs).toBeGreaterThan(HOUR_MS - 60_000);
      expect(delayMs).toBeLessThan(HOUR_MS + 76_000);
      expect(asked(account, 'invoices')).toHaveLength(5);

      await passInStore(connectionId, HOUR_MS + 75_000);
      await harness.temporal.workflow.getHandle(workflowId).result();
      expect(asked(account, 'invoices').map(({ status }) => status)).toEqual([code, code, code, code, code, 200]);
      expect(await harness.store.records.count(connectionId)).toMatchObject({ invoices: 5 });
    },
  );

  it('where nobody counts errors, asks the sixth time too', async () => {
    const { connectionId, account } = await harness.connect({ records: { invoices: 5 }, targetSystem: 'sevdesk' });
    account.fault({ resource: 'invoices', times: 5, answer: { status: 404 } });
    for (let cycle = 1; cycle <= 6; cycle += 1) await sync(connectionId, ['invoices']);
    expect(asked(account, 'invoices').map(({ status }) => status)).toEqual([404, 404, 404, 404, 404, 200]);
  });

  it('is one for the children of all parents', async () => {
    const { connectionId, account } = await harness.connect({ records: { invoices: 12 }, targetSystem: 'exact-nl' });
    await sync(connectionId, ['invoices']);
    // The first parent is found; those after it are not.
    account.fault({ resource: 'invoiceLineItems', request: 2, times: 11, answer: { status: 404 } });
    const { workflowId } = await harness.sync.startSync(connectionId, {
      resources: ['invoices', 'invoiceLineItems'],
    });
    await waitFor('it is kept back', async () =>
      (await readEvents(harness.temporal, workflowId)).some(({ skippedToMs }) => skippedToMs !== undefined),
    );
    expect(asked(account, 'invoiceLineItems').filter(({ status }) => status === 404)).toHaveLength(5);
    await harness.temporal.workflow.getHandle(workflowId).terminate('seen');
  });
});

describe('whoever looks', () => {
  let harness: Harness;
  beforeAll(async () => {
    harness = await startHarness();
  });
  afterAll(() => harness.close());

  it('reads why nothing is sent, and until when, and that it is stuck', async () => {
    const { connectionId } = await harness.connect({ records: { invoices: 5 }, targetSystem: 'exact-nl' });
    const scope = errorScope(connectionId, 'GET /accounting/invoices');
    for (let error = 1; error <= 5; error += 1) {
      await harness.store.paces.giveErrorRoom(scope, LIMIT, { holder: 'any', isError: true });
    }
    await harness.sync.startSync(connectionId, { resources: ['invoices'] });
    const { retry, summary } = await waitFor('it is kept back', async () => {
      const status = await harness.sync.syncStatus(connectionId);
      return status.retry && { ...status, retry: status.retry };
    });
    expect(retry).toMatchObject({ type: 'ErrorBudgetSpent', resource: 'invoices', failures: 1 });
    expect(retry.message).toMatch(
      /^GET \/accounting\/invoices, page 1, was not sent: Exact Online blocks a key after 10 errors in 1 hour at one endpoint, and 5 were met there, for the first time in a row; the next attempt is in .*, at 20/,
    );
    expect(retry.nextAttemptAt.getTime() - Date.now()).toBeGreaterThan(HOUR_MS - 60_000);
    expect(summary).toContain('the target system might block the key; it goes on by itself');
    await waitFor('it is listed', async () =>
      (await harness.sync.stuck()).some(({ connection }) => connection.connectionId === connectionId),
    );
    expect(harness.sandbox.requests).toEqual([]);
    await harness.sync.cancelSync(connectionId);
  });

  it('the probe of a new key is kept back too, and what it met before counts', async () => {
    const { connectionId, account } = await harness.connect({ records: { invoices: 5 }, targetSystem: 'exact-nl' });
    const probes = () => harness.sandbox.requests.filter(({ path }) => path === '/accounting/profile').length;
    account.revoke();
    await harness.sync.startSync(connectionId, { resources: ['invoices'] });
    await waitFor('the customer must sign in', async () => {
      const { status } = await harness.sync.connection(connectionId);
      return status === 'awaiting_reauthorization';
    });
    for (let key = 1; key <= 5; key += 1) {
      await harness.sync.reauthorized(connectionId, account.accountKey);
      await waitFor(`key ${key} is refused`, () => probes() === key);
      await waitFor('so says the store', async () => {
        const { keyVersion, refusedVersion } = await harness.sync.connection(connectionId);
        return keyVersion === refusedVersion;
      });
    }
    await harness.sync.reauthorized(connectionId, account.reconnect());
    const workflowId = `reauthorize/${connectionId}`;
    const failure = await waitFor('the probe is kept back', async () => {
      const { raw } = await harness.temporal.workflow.getHandle(workflowId).describe();
      return raw.pendingActivities?.find(({ lastFailure }) => lastFailure)?.lastFailure?.message;
    });
    expect(failure).toContain('GET /accounting/profile was not sent');
    expect(probes()).toBe(5);
    expect(await readHistoryText(harness.temporal, workflowId)).not.toContain(account.accountKey);
    await harness.temporal.workflow.getHandle(workflowId).terminate('seen');
    await harness.temporal.workflow.getHandle(syncConnectionId(connectionId)).terminate('seen');
  });
});

it('holds for writes that leave together: as many are under way as errors are left', async () => {
  const harness = await startHarness({
    // Their pace would keep them apart, and the budget with it.
    overrides: { MAESN_SYNC_TARGET_SYSTEMS: JSON.stringify({ 'exact-nl': { rateLimits: [] } }) },
    sandbox: { latencyMs: 300 },
  });
  try {
    const { connectionId, account } = await harness.connect({ records: {}, targetSystem: 'exact-nl' });
    account.fault({ operation: 'createInvoice', times: Infinity, answer: { status: 400 } });
    const keys = Array.from({ length: 12 }, (_, index) => `order-${index}`);
    await Promise.all(
      keys.map((idempotencyKey) =>
        harness.sync.write(connectionId, {
          idempotencyKey,
          operation: 'createInvoice',
          body: { invoiceNumber: idempotencyKey },
        }),
      ),
    );
    await waitFor('each was refused or waits', async () => {
      const query = `MaesnConnection = '${connectionId}' AND MaesnState = 'Waiting'`;
      return (await harness.temporal.workflow.count(query)).count === 7;
    });
    expect(harness.sandbox.requests.filter(({ status }) => status === 400)).toHaveLength(5);
    await harness.sync.removeConnection(connectionId);
  } finally {
    await harness.close();
  }
});
