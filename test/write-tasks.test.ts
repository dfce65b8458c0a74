/** A write that Maesn takes days to carry out, in virtual time. */
import { afterAll, beforeAll, expect, it } from 'vitest';
import { writeRecordId } from '../src/workflows/messages.js';
import { startHarness } from './support/harness.js';
import type { Harness } from './support/harness.js';
import { readEvents } from './support/history.js';

let harness: Harness;
beforeAll(async () => {
  harness = await startHarness({ skipTime: ['started by client'] });
});
afterAll(() => harness.close());

const DAY_MS = 86_400_000;
/** As many polls as three days take: 12 until they are an hour apart, then one an hour. */
const POLLS = 84;

it('costs 40 events of history at most, however long it takes', async () => {
  const { connectionId, account } = await harness.connect({
    records: {},
    account: {
      asyncWrites: ['createExpense'],
      taskStatuses: [...Array.from({ length: POLLS }, () => 'IN_PROGRESS'), 'FINISHED'],
    },
  });
  const idempotencyKey = 'expense';
  const body = { expense: { documentId: 'E-1' } };
  await harness.sync.write(connectionId, { idempotencyKey, operation: 'createExpense', body });
  expect(await harness.sync.writeEnd(connectionId, idempotencyKey)).toMatchObject({ outcome: 'applied' });
  expect(account.writes).toHaveLength(1);

  const events = await readEvents(harness.temporal, writeRecordId({ connectionId, idempotencyKey }));
  const skips = events.filter(({ skippedToMs }) => skippedToMs !== undefined);
  expect(events.length - skips.length).toBeLessThanOrEqual(40);
  const [first] = events;
  expect(Math.max(...events.map(({ atMs, skippedToMs }) => skippedToMs ?? atMs)) - (first?.atMs ?? 0)).toBeGreaterThan(
    3 * DAY_MS,
  );
}, 300_000);
