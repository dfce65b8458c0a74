/** Who retries, who waits and who is held can be listed at Temporal, by one query each, and nobody else is in the list. */
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { MockActivityEnvironment } from '@temporalio/testing';
import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest';
import { z } from 'zod';
import { startAttempt } from '../src/activities/attempt.js';
import { findTemporalBinary } from '../src/embedded/temporal-binary.js';
import { MaesnError } from '../src/maesn/failure.js';
import { retryingSignal, syncConnectionId } from '../src/workflows/messages.js';
import { MAESN_CONNECTION, MAESN_STATE, MAESN_TARGET_SYSTEM } from '../src/workflows/search-attributes.js';
import type { MaesnState } from '../src/workflows/search-attributes.js';
import { startHarness } from './support/harness.js';
import type { Harness } from './support/harness.js';
import { readDetails, readEvents, readSignals } from './support/history.js';
import { waitFor } from './support/wait.js';

let harness: Harness;
beforeAll(async () => {
  // A rate limit is waited for 1, 2, 4, 8 and then 16 seconds; what hangs, hangs to the end.
  harness = await startHarness({ overrides: { MAESN_RETRY_TIME_SCALE: '60', MAESN_TIMEOUT: '5 minutes' } });
});
afterAll(() => harness.close());

type Account = Awaited<ReturnType<Harness['connect']>>['account'];

const RATE_LIMIT = { status: 429, retryAfter: 1 } as const;

async function start(fault: (account: Account) => void, targetSystem = 'sevdesk'): Promise<string> {
  const { connectionId, account } = await harness.connect({ records: { items: 300 }, targetSystem });
  fault(account);
  await harness.sync.startSync(connectionId, { resources: ['items'] });
  return connectionId;
}

const startMany = (count: number, fault: (account: Account) => void) =>
  Promise.all(Array.from({ length: count }, () => start(fault)));

const row = z.object({ execution: z.object({ workflowId: z.string() }) });

/** What an operator types, and gets. */
async function listAtTemporal(query: string): Promise<string[]> {
  const { path } = await findTemporalBinary({ env: process.env, onProgress: () => undefined });
  const args = ['workflow', 'list', '--address', inject('temporalAddress'), '--query', query, '--limit', '1000'];
  const { stdout } = await promisify(execFile)(path, [...args, '--output', 'json']);
  return z
    .array(row)
    .parse(JSON.parse(stdout))
    .map(({ execution }) => execution.workflowId);
}

/** Several test files share the server. */
async function listOf(ids: readonly string[], query: string): Promise<string[]> {
  const listed = new Set(await listAtTemporal(query));
  return ids.filter((id) => listed.has(syncConnectionId(id)));
}

const stateOf = async (connectionId: string) =>
  (await harness.temporal.workflow.getHandle(syncConnectionId(connectionId)).describe()).typedSearchAttributes.get(
    MAESN_STATE,
  );

const becomes = (connectionId: string, state: MaesnState | undefined) =>
  waitFor(`${connectionId} is ${state}`, async () => (await stateOf(connectionId)) === state);

describe('of 50 connections', () => {
  it('those are listed as Retrying that have failed three times in a row, of whatever type, and no others', async () => {
    const limited = await startMany(15, (account) => account.fault({ times: Infinity, answer: RATE_LIMIT }));
    const mixed = await startMany(5, (account) => {
      account.fault({ request: 1, answer: RATE_LIMIT });
      account.fault({ request: 2, answer: { status: 503 } });
      account.fault({ request: 3, times: Infinity, answer: { status: 500 } });
    });
    const twice = await startMany(10, (account) => {
      account.fault({ request: 1, times: 2, answer: RATE_LIMIT });
      account.fault({ request: 3, answer: 'hang' });
    });
    const again = await startMany(10, (account) => {
      account.fault({ page: 1, times: 3, answer: RATE_LIMIT });
      account.fault({ page: 2, times: Infinity, answer: 'hang' });
    });
    const revoked = await startMany(5, (account) => account.revoke());
    const paused = await startMany(5, (account) => account.fault({ times: Infinity, answer: RATE_LIMIT }));

    for (const id of [...limited, ...mixed, ...paused]) await becomes(id, 'Retrying');
    for (const id of paused) await harness.sync.pauseSync(id, { reason: 'month-end closing' });
    for (const id of paused) await becomes(id, 'Paused');
    for (const id of revoked) await becomes(id, 'AwaitingReauthorization');
    // Their third failure was told, and so was that they got on.
    const signalsOf = async (id: string) => readSignals(harness.temporal, syncConnectionId(id));
    for (const id of again) {
      await waitFor('it got on', async () => (await signalsOf(id)).includes('progressed'));
      expect(await signalsOf(id)).toEqual(['retrying', 'progressed']);
      await becomes(id, 'Syncing');
    }
    for (const id of twice) expect([await stateOf(id), await signalsOf(id)]).toEqual(['Syncing', []]);

    const all = [...limited, ...mixed, ...twice, ...again, ...revoked, ...paused];
    expect(all).toHaveLength(50);
    const listed = await waitFor('Temporal lists as many', async () => {
      const found = await listOf(all, "MaesnState = 'Retrying'");
      return found.length === 20 && found;
    });
    expect(listed).toEqual([...limited, ...mixed]);
    await waitFor('each of the others is in a list of its own', async () => {
      const states = ['Paused', 'AwaitingReauthorization', 'Syncing'];
      const found = await Promise.all(states.map((state) => listOf(all, `MaesnState = '${state}'`)));
      return (
        JSON.stringify(found.map((of) => of.toSorted())) ===
        JSON.stringify([paused, revoked, [...twice, ...again]].map((of) => of.toSorted()))
      );
    });
    const stuck = (await harness.sync.stuck()).map(({ connection }) => connection.connectionId);
    expect(stuck.toSorted()).toEqual([...limited, ...mixed, ...revoked, ...paused].toSorted());

    // However often it fails: one Signal.
    const [first = ''] = limited;
    await waitFor(
      'it has failed for the fifth time',
      async () => ((await harness.sync.syncStatus(first)).retry?.failures ?? 0) >= 5,
    );
    expect(await signalsOf(first)).toEqual(['retrying']);
    for (const id of all) await harness.sync.removeConnection(id);
    expect(
      await waitFor('none is left', async () => (await listOf(all, "ExecutionStatus = 'Running'")).length === 0),
    ).toBe(true);
  });
});

it('the Temporal UI says what waits, why, since when, until when, and who must act', async () => {
  const id = await start((account) => account.fault({ page: 2, times: Infinity, answer: RATE_LIMIT }), 'xero');
  await becomes(id, 'Retrying');
  const details = await readDetails(harness.temporal, syncConnectionId(id));
  expect(details).toMatch(/^\*\*Retrying\*\* since 20[-\d: ]+ UTC\. Pulling `items`\./);
  expect(details).toMatch(/`GET \/accounting\/items`, page 2 was answered 429 \(TooManyRequests\), 3 times in a row\./);
  expect(details).toMatch(/Next attempt:\*\* 20[-\d: ]+ UTC\./);
  expect(details).toContain('Nobody. The target system’s rate limit is used up; it goes on by itself.');
  expect(details).toContain('`retryNow`');
  const { typedSearchAttributes } = await harness.temporal.workflow.getHandle(syncConnectionId(id)).describe();
  expect([MAESN_CONNECTION, MAESN_TARGET_SYSTEM].map((key) => typedSearchAttributes.get(key))).toEqual([id, 'xero']);
  await harness.sync.removeConnection(id);
});

it('a sync that waits long after its first failure is Waiting, and not Retrying', async () => {
  const id = await start((account) => account.fault({ request: 1, answer: { status: 429, retryAfter: 3_600 * 20 } }));
  await becomes(id, 'Waiting');
  expect(await readDetails(harness.temporal, syncConnectionId(id))).toMatch(/^\*\*Waiting\*\* since[^]*, once\./);
  await harness.sync.removeConnection(id);
});

it('a sync that has ended is in no state, and so in no list', async () => {
  const id = await start((account) => account.fault({ request: 1, times: 3, answer: RATE_LIMIT }));
  await becomes(id, 'Retrying');
  await waitFor('it completes', async () => (await harness.sync.syncStatus(id)).state === 'Completed');
  await becomes(id, undefined);
  expect(await stateOf(id)).toBeUndefined();
});

it('a Worker that is replaced does not tell again, and tells when it gets on', async () => {
  const id = await start((account) => account.fault({ request: 1, times: 5, answer: RATE_LIMIT }));
  await becomes(id, 'Retrying');
  await harness.stopWorker();
  await harness.startWorker();
  await waitFor('it completes', async () => (await harness.sync.syncStatus(id)).state === 'Completed');
  expect(await readSignals(harness.temporal, syncConnectionId(id))).toEqual(['retrying', 'progressed']);
});

it('“retry now” changes when the next attempt is made, and neither the page nor the count', async () => {
  const id = await start((account) => account.fault({ page: 2, times: Infinity, answer: RATE_LIMIT }));
  const retryOf = async () => (await harness.sync.syncStatus(id)).retry;
  const before = await waitFor('the fourth attempt is waited for', async () => {
    const retry = await retryOf();
    return retry?.failures === 4 && retry;
  });
  await harness.sync.retryNow(id);
  const after = await waitFor('it was made', async () => {
    const retry = await retryOf();
    return retry !== undefined && retry.failures > 4 && retry;
  });
  expect(after).toMatchObject({ failures: 5, page: 2, type: 'TooManyRequests' });
  // 16 seconds, as after the fifth of a row.
  expect(after.nextAttemptAt.getTime() - before.nextAttemptAt.getTime()).toBeGreaterThan(7_000);
  await becomes(id, 'Retrying');
  const events = await readEvents(harness.temporal, syncConnectionId(id));
  expect(events.filter(({ type }) => type === 'ACTIVITY_TASK_CANCELED')).toHaveLength(1);
  await harness.sync.removeConnection(id);
});

it.each([[undefined], ['TooManyRequests'], [{}], [{ type: 'x'.repeat(600), failures: 3, since: 'now' }], [[3]]])(
  'a stranger’s Signal %j changes nothing',
  async (payload) => {
    // Of what hangs within a Workflow Task, nothing would be heard at all.
    const id = await start((account) => {
      account.fault({ request: 1, answer: RATE_LIMIT });
      account.fault({ request: 2, answer: 'hang' });
    });
    const handle = harness.temporal.workflow.getHandle(syncConnectionId(id));
    await waitFor('the second attempt hangs', async () => {
      const { pendingActivities } = (await handle.describe()).raw;
      return pendingActivities?.[0]?.attempt === 2 && pendingActivities[0].lastHeartbeatTime;
    });
    const state = async () => (await handle.query<{ state: string }>('status')).state;
    // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- what anybody can send
    await handle.signal(retryingSignal, payload as never);
    expect(await state()).toBe('Syncing');
    await handle.signal(retryingSignal, { type: 'TooManyRequests', failures: 3, since: new Date().toISOString() });
    expect(await state()).toBe('Retrying');
    await harness.sync.removeConnection(id);
  },
);

it('a Workflow that cannot be told does not change what the Activity does', async () => {
  const error = new MaesnError({ type: 'TooManyRequests', status: 429, request: 'GET /x', reason: 'answered 429' });
  // Of this environment's Activities, no Temporal server has heard.
  const environment = new MockActivityEnvironment();
  const types = await environment.run(async () => {
    const attempt = startAttempt({ timeScale: 1, heartbeatEveryMs: 60_000 });
    const failures = [];
    for (let failure = 1; failure <= 4; failure += 1) failures.push(await attempt.toFailure(error));
    attempt.end();
    return [...failures.map((failure) => (failure instanceof Error ? failure.name : '')), attempt.progress.told];
  });
  expect(types).toEqual([...Array.from({ length: 4 }, () => 'ApplicationFailure'), 'nothing']);
});
