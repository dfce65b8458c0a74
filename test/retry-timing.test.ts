/**
 * The delays of the error guide, read out of Temporal's own history: the Workflows run in virtual time, and every skip
 * of a retry delay is an event with the virtual time at which the next attempt began.
 */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { SandboxAccount } from '../sandbox/index.js';
import { syncConnectionId } from '../src/workflows/messages.js';
import { startHarness } from './support/harness.js';
import type { Harness } from './support/harness.js';
import { readEvents } from './support/history.js';
import { waitFor } from './support/wait.js';

let harness: Harness;
beforeAll(async () => {
  harness = await startHarness({ skipTime: ['started by client'], overrides: { MAESN_TIMEOUT: '1 second' } });
});
afterAll(() => harness.close());

type Answer = Parameters<SandboxAccount['fault']>[0]['answer'];
const status = (code: number, retryAfter?: number | string): Answer => ({
  status: code,
  ...(retryAfter === undefined ? {} : { retryAfter }),
});

/** Seconds that each retry waited, when the first requests for invoices get these answers. */
async function delaysAfter(answers: readonly Answer[], options: object = {}): Promise<number[]> {
  const { connectionId, account } = await harness.connect({ records: { invoices: 5 }, account: options });
  for (const [index, answer] of answers.entries()) account.fault({ resource: 'invoices', request: index + 1, answer });
  const { workflowId } = await harness.sync.startSync(connectionId, { resources: ['invoices'] });
  await harness.temporal.workflow.getHandle(workflowId).result();
  return readDelays(connectionId);
}

/** A skip begins as soon as an attempt has failed, and notes the virtual time at which the next one is due. */
async function readDelays(connectionId: string): Promise<number[]> {
  const events = await readEvents(harness.temporal, syncConnectionId(connectionId));
  return events.flatMap(({ atMs, skippedToMs }) => (skippedToMs === undefined ? [] : [(skippedToMs - atMs) / 1000]));
}

/** Within 1 % and a second. */
function expectDelays(seen: readonly number[], guide: readonly (readonly [min: number, max: number])[]): void {
  expect(seen).toHaveLength(guide.length);
  for (const [index, [min, max]] of guide.entries()) {
    expect(seen[index], `delay ${index + 1} of ${seen.join(', ')}`).toBeGreaterThanOrEqual(min * 0.99 - 0.01);
    expect(seen[index], `delay ${index + 1} of ${seen.join(', ')}`).toBeLessThanOrEqual(max * 1.01 + 1);
  }
}

const exactly = (seconds: number) => [seconds, seconds] as const;
/** 15 to 30 seconds after the first, twice that after the second, ... */
const serverSide = (nth: number) => [15 * 2 ** (nth - 1), 30 * 2 ** (nth - 1)] as const;

describe('the delay before the next attempt', () => {
  it('after 429 is one minute, then 2, 4, 8 and 16', async () => {
    expectDelays(
      await delaysAfter(Array.from({ length: 5 }, () => status(429))),
      [60, 120, 240, 480, 960].map(exactly),
    );
  });

  it('after 500 is 15 to 30 seconds, then grows exponentially', async () => {
    const delays = await delaysAfter(Array.from({ length: 5 }, () => status(500)));
    expectDelays(delays, [1, 2, 3, 4, 5].map(serverSide));
  });

  it('counts per type of failure', async () => {
    const delays = await delaysAfter([status(429), status(500), status(429), status(503), status(500), status(429)]);
    expectDelays(delays, [exactly(60), serverSide(1), exactly(120), serverSide(1), serverSide(2), exactly(240)]);
  });

  it('is what Retry-After asks for in seconds, when that is longer', async () => {
    const delays = await delaysAfter([status(429, 300), status(429, 5), status(503, 7_200)]);
    expectDelays(delays, [exactly(300), exactly(120), exactly(7_200)]);
  });

  it('is what Retry-After asks for as a date', async () => {
    const date = new Date(Date.now() + 600_000).toUTCString();
    const [delay = 0] = await delaysAfter([status(429, date)]);
    // The date has whole seconds, and the request comes a moment after it was written.
    expect(delay).toBeGreaterThan(595);
    expect(delay).toBeLessThanOrEqual(602);
  });

  it.each(['cut', 'hang', 'garbage'] as const)('after an answer that is none (%s) is that of a 500', async (answer) => {
    const seen = await delaysAfter([answer, answer]);
    expectDelays(seen, [serverSide(1), serverSide(2)]);
  });

  it('after a task that failed is that of a 500, and the next attempt starts another task', async () => {
    const delays = await delaysAfter(['failedTask'], { asyncResources: ['invoices'], pollsUntilFinished: 0 });
    expectDelays(delays, [serverSide(1)]);
  });

  it('starts anew with every page that came through', async () => {
    const { connectionId, account } = await harness.connect({ records: { invoices: 300 }, targetSystem: 'abaconnect' });
    for (const page of [1, 2, 3]) account.fault({ resource: 'invoices', page, times: 2, answer: status(429) });
    const { workflowId } = await harness.sync.startSync(connectionId, { resources: ['invoices'] });
    await harness.temporal.workflow.getHandle(workflowId).result();
    expectDelays(await readDelays(connectionId), [60, 120, 60, 120, 60, 120].map(exactly));
  });
});

describe('a store that cannot be reached', () => {
  it('is waited for in timers, not within a Workflow Task', async () => {
    const { connectionId } = await harness.connect({ records: { invoices: 5 } });
    await harness.query(`alter table maesn_sync.events rename to events_away`);
    try {
      await harness.sync.startSync(connectionId, { resources: ['invoices'] });
      await waitFor(
        'three timers have fired',
        async () => {
          const events = await readEvents(harness.temporal, syncConnectionId(connectionId));
          return events.filter(({ type }) => type === 'TIMER_FIRED').length >= 3;
        },
        30_000,
      );
    } finally {
      await harness.query(`alter table maesn_sync.events_away rename to events`);
    }
    const report: unknown = await harness.temporal.workflow.getHandle(syncConnectionId(connectionId)).result();
    expect(report).toMatchObject({ resources: { invoices: { status: 'completed' } } });
  });
});
