/**
 * Writes from the library to the target system and back, through real Workflows.
 * `WRITES_BULK=1000 npx vitest run test/writes.test.ts -t 'many writes'` is the long mode of the bulk.
 */
import { randomUUID } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { ServiceError } from '@temporalio/client';
import { MockActivityEnvironment } from '@temporalio/testing';
import { DefaultLogger } from '@temporalio/worker';
import { afterAll, beforeAll, describe, expect, it, onTestFinished, vi } from 'vitest';
import { z } from 'zod';
import type { SandboxAccount } from '../sandbox/index.js';
import { createWriteEnd } from '../src/activities/end-write.js';
import { createSendWrite } from '../src/activities/send-write.js';
import type { WriteInput } from '../src/client.js';
import { startTemporalServer } from '../src/embedded/temporal-server.js';
import { isChild, resourceRow } from '../src/spec/resources.js';
import type { Collection } from '../src/spec/resources.js';
import { keysOf } from '../src/spec/table.js';
import { WRITE_OPERATIONS, pathParameters, writeRow } from '../src/spec/writes.js';
import type { WriteRow } from '../src/spec/writes.js';
import {
  reauthorizeConnectionId,
  resolveWriteUpdate,
  writeChangedSignal,
  writeRecordId,
} from '../src/workflows/messages.js';
import { activityDependencies } from './support/activities.js';
import { startHarness } from './support/harness.js';
import type { Harness } from './support/harness.js';
import { readEvents, readSignals } from './support/history.js';
import { TIME_SKIPPING_ARGS } from './support/skipping-client.js';
import { waitFor } from './support/wait.js';

const BULK = z.coerce
  .number()
  .int()
  .min(100)
  .parse(process.env['WRITES_BULK'] ?? 200);

/** temporal.api.enums.v1.PendingActivityState */
const SCHEDULED = 1;

/** Shows for certain what was written, once the request has been given up. */
const SHOWS = 'moneybird';
/** Does so some time later. */
const SHOWS_LATE = 'lexware';
/** Of which nobody knows that. */
const HIDES = 'sevdesk';

let harness: Harness;
beforeAll(async () => {
  harness = await startHarness({
    overrides: {
      MAESN_TIMEOUT: '1 second',
      MAESN_RETRY_TIME_SCALE: '60',
      MAESN_SYNC_TARGET_SYSTEMS: JSON.stringify({
        [SHOWS]: { readsOwnWritesAfterMs: 0 },
        [SHOWS_LATE]: { readsOwnWritesAfterMs: 2_000 },
      }),
    },
  });
});
afterAll(() => harness.close());

const connect = (targetSystem = SHOWS, account: object = {}) =>
  harness.connect({ targetSystem, records: { items: 2, payments: 1 }, account });

const invoice = (body: object = {}): WriteInput => ({
  idempotencyKey: `w-${randomUUID()}`,
  operation: 'createInvoice',
  body: { invoiceNumber: `R-${randomUUID()}`, name: 'Chairs', ...body },
});

const created = (account: SandboxAccount) => account.writes.filter(({ operation }) => operation === 'createInvoice');
const requests = ({ name }: SandboxAccount, operation: string) =>
  harness.sandbox.requests.filter((request) => request.account === name && request.operation === operation);

async function readAllEvents(connectionId: string) {
  const all = [];
  for (let afterId = 0; ;) {
    const some = await harness.sync.events({ connectionId, afterId, limit: 1_000 });
    if (some.length === 0) return all;
    all.push(...some);
    afterId = some.at(-1)?.id ?? afterId;
  }
}

/** On a server where a history is long sooner than elsewhere. Until the test has finished. */
async function startPatientHarness(): Promise<Harness> {
  const dataDir = await mkdtemp(path.join(tmpdir(), 'maesn-sync-writes-'));
  // What was begun last ends first.
  onTestFinished(() => rm(dataDir, { recursive: true, force: true }));
  const extraArgs = [...TIME_SKIPPING_ARGS, '--dynamic-config-value', 'limit.historyCount.suggestContinueAsNew=40'];
  const server = await startTemporalServer({ dataDir, persistent: false, ui: false, extraArgs, env: process.env });
  onTestFinished(() => server.stop());
  const patient = await startHarness({ skipTime: ['started by client'], temporalAddress: server.address });
  onTestFinished(() => patient.close());
  return patient;
}

async function writeToEnd(connectionId: string, input: WriteInput) {
  await harness.sync.write(connectionId, input);
  return harness.sync.writeEnd(connectionId, input.idempotencyKey);
}

describe('a write', () => {
  it('is applied once; then its record is in the store, its answer kept, its body forgotten, the application told', async () => {
    const { connectionId, account } = await connect();
    const input = invoice();
    const write = await writeToEnd(connectionId, input);
    expect(write).toMatchObject({ state: 'ended', outcome: 'applied', sends: 1, resource: 'invoices' });
    expect(write.answer).toMatchObject({ data: input.body });
    expect(created(account)).toHaveLength(1);
    const record = await harness.sync.record(connectionId, 'invoices', write.recordKey ?? '');
    expect(record.record).toMatchObject(input.body ?? {});
    expect(await harness.store.writes.body({ connectionId, idempotencyKey: input.idempotencyKey })).toBeUndefined();
    const { events } = { events: await harness.sync.latestEvents(connectionId, 10) };
    expect(events.filter(({ type }) => type === 'write.ended')).toMatchObject([
      { data: { idempotencyKey: input.idempotencyKey, outcome: 'applied', recordKey: write.recordKey } },
    ]);
  });

  it('that fifty callers ask for at the same moment is one request, and one answer for all of them', async () => {
    const { connectionId, account } = await connect();
    const input = invoice();
    const answers = await Promise.all(Array.from({ length: 50 }, () => writeToEnd(connectionId, input)));
    expect(requests(account, 'createInvoice')).toHaveLength(1);
    expect(new Set(answers.map(({ recordKey }) => recordKey)).size).toBe(1);
    // And long after, too.
    expect(await writeToEnd(connectionId, input)).toEqual(answers[0]);
    expect(created(account)).toHaveLength(1);
  });

  it('is refused when its key stands for another one, in whatever order fields are named', async () => {
    const { connectionId } = await connect();
    const { idempotencyKey, operation } = invoice();
    await harness.sync.write(connectionId, { idempotencyKey, operation, body: { name: 'a', reference: 'b' } });
    await harness.sync.write(connectionId, { idempotencyKey, operation, body: { reference: 'b', name: 'a' } });
    await expect(
      harness.sync.write(connectionId, { idempotencyKey, operation, body: { name: 'a', reference: 'c' } }),
    ).rejects.toMatchObject({ code: 'KeyReused' });
  });

  it('that is refused ends with all that Maesn said', async () => {
    const { connectionId, account } = await connect();
    const told = {
      errors: [{ message: 'no' }],
      validationErrors: [{ field: 'name' }],
      downstreamErrors: [{ code: 7 }],
    };
    account.fault({ operation: 'createInvoice', answer: { status: 400, ...told } });
    expect(await writeToEnd(connectionId, invoice())).toMatchObject({
      outcome: 'refused',
      sends: 1,
      answer: { status: 400, ...told },
      because: expect.stringContaining('400'),
    });
    expect(created(account)).toEqual([]);
  });

  it('that meets a rate limit is sent again after its minute', async () => {
    const { connectionId, account } = await connect();
    account.fault({ operation: 'createInvoice', answer: { status: 429 } });
    expect(await writeToEnd(connectionId, invoice())).toMatchObject({ outcome: 'applied', sends: 1 });
    expect(requests(account, 'createInvoice')).toHaveLength(2);
    expect(created(account)).toHaveLength(1);
  });

  it('waits while its connection is paused', async () => {
    const { connectionId, account } = await connect();
    await harness.sync.pauseSync(connectionId, { reason: 'month-end' });
    const input = invoice();
    await harness.sync.write(connectionId, input);
    const handle = harness.temporal.workflow.getHandle(
      writeRecordId({ connectionId, idempotencyKey: input.idempotencyKey }),
    );
    await waitFor('it says why', async () => {
      const { raw } = await handle.describe();
      return raw.pendingActivities?.some(({ lastFailure }) => lastFailure?.message?.includes('paused'));
    });
    expect(requests(account, 'createInvoice')).toEqual([]);
    await harness.sync.resumeSync(connectionId);
    expect(await harness.sync.writeEnd(connectionId, input.idempotencyKey)).toMatchObject({ outcome: 'applied' });
  });

  it('waits for the end user when the login is dead, and goes on by itself', async () => {
    const { connectionId, account } = await connect();
    account.revoke();
    const input = invoice();
    await harness.sync.write(connectionId, input);
    await waitFor('it waits', async () => (await harness.sync.connection(connectionId)).status !== 'active');
    await harness.sync.reauthorized(connectionId, account.reconnect());
    expect(await harness.sync.writeEnd(connectionId, input.idempotencyKey)).toMatchObject({ outcome: 'applied' });
    expect(created(account)).toHaveLength(1);
  });
});

describe('a write of which nobody has said what became of it', () => {
  it.each([
    ['answered with 500', { status: 500 }],
    ['cut', 'cut'],
    ['never answered', 'hang'],
    ['answered with garbage', 'garbage'],
  ] as const)('is found when it was applied and then %s', async (_, answer) => {
    const { connectionId, account } = await connect(HIDES);
    account.fault({ operation: 'createInvoice', answer, applied: true });
    const input = invoice();
    expect(await writeToEnd(connectionId, input)).toMatchObject({ outcome: 'applied', sends: 1 });
    expect(created(account)).toHaveLength(1);
  });

  it('is sent again when it was not applied, and the target system shows that for certain', async () => {
    const { connectionId, account } = await connect();
    account.fault({ operation: 'createInvoice', answer: { status: 500 } });
    expect(await writeToEnd(connectionId, invoice())).toMatchObject({ outcome: 'applied', sends: 2 });
    expect(created(account)).toHaveLength(1);
  });

  it.each([
    ['as late as it is said to', SHOWS_LATE, 1],
    // Why the time must be long beyond doubt.
    ['later than it is said to, so that it is there twice', SHOWS, 2],
  ] as const)('is looked up once the target system shows it: %s', async (_, targetSystem, times) => {
    const { connectionId, account } = await connect(targetSystem, { showsWritesAfterMs: 2_500 });
    account.fault({ operation: 'createInvoice', answer: { status: 500 }, applied: true });
    expect(await writeToEnd(connectionId, invoice())).toMatchObject({ outcome: 'applied', sends: times });
    expect(created(account)).toHaveLength(times);
  });

  it('waits for a person where that is not known, and ends as the person says', async () => {
    const { connectionId, account } = await connect(HIDES);
    account.fault({ operation: 'createInvoice', answer: { status: 500 } });
    const input = invoice();
    const { idempotencyKey } = input;
    await harness.sync.write(connectionId, input);
    const undecided = () => harness.sync.writes({ connectionId, states: ['undecided'] });
    const [write] = await waitFor('it waits', async () => {
      const found = await undecided();
      return found.length > 0 ? found : undefined;
    });
    expect(write?.because).toContain('not known to show');
    const told = await waitFor('the application is told', async () =>
      (await harness.sync.latestEvents(connectionId, 10)).find(({ type }) => type === 'write.undecided'),
    );
    expect(told.data).toMatchObject({ idempotencyKey });
    // Later ones of the same record stay behind it.
    const later = { ...invoice(input.body), idempotencyKey: 'later' };
    await harness.sync.write(connectionId, later);
    await harness.sync.resolveWrite(connectionId, idempotencyKey, { decision: 'not_applied' });
    expect(await harness.sync.writeEnd(connectionId, idempotencyKey)).toMatchObject({ outcome: 'applied', sends: 2 });
    expect(await harness.sync.writeEnd(connectionId, 'later')).toMatchObject({ outcome: 'applied' });
    expect(created(account)).toHaveLength(2);
    await expect(
      harness.sync.resolveWrite(connectionId, idempotencyKey, { decision: 'abandon' }),
    ).rejects.toMatchObject({ code: 'Refused' });
  });

  it('keeps those behind it waiting for weeks, in a history that does not grow without end', async () => {
    const patient = await startPatientHarness();
    const { connectionId, account } = await patient.connect({ targetSystem: HIDES, records: {} });
    account.fault({ operation: 'createInvoice', answer: { status: 500 } });
    const input = invoice();
    await patient.sync.write(connectionId, input);
    await waitFor('it waits', async () => (await patient.sync.writes({ connectionId, states: ['undecided'] }))[0]);
    const later = { connectionId, idempotencyKey: 'later' };
    const write = { ...later, operation: input.operation, body: input.body ?? {}, parameters: {} };
    await patient.store.writes.add(write, 'test');
    const [taskQueue, workflowId] = [patient.config.MAESN_SYNC_TASK_QUEUE, writeRecordId(later)];
    const handle = await patient.temporal.workflow.start('writeRecord', { taskQueue, workflowId, args: [later] });
    const current = patient.temporal.workflow.getHandle(workflowId);
    await waitFor('another run goes on', async () => (await current.describe()).runId !== handle.firstExecutionRunId);
    await patient.sync.resolveWrite(connectionId, input.idempotencyKey, { decision: 'abandon' });
    expect(await handle.result()).toMatchObject({ outcome: 'applied' });
  });

  it('that is asked for again and again costs its Workflow no Signal, and one that is signalled without end begins anew', async () => {
    const patient = await startPatientHarness();
    const { connectionId, account } = await patient.connect({ targetSystem: HIDES, records: {} });
    account.fault({ operation: 'createInvoice', answer: { status: 500 } });
    const input = invoice();
    const write = () => patient.sync.write(connectionId, input);
    await write();
    await waitFor('it waits', async () => (await patient.sync.writes({ connectionId, states: ['undecided'] }))[0]);
    for (let times = 0; times < 3; times += 1) await write();
    const workflowId = writeRecordId({ connectionId, idempotencyKey: input.idempotencyKey });
    expect(await readSignals(patient.temporal, workflowId)).toEqual([]);
    const handle = patient.temporal.workflow.getHandle(workflowId);
    const { runId } = await handle.describe();
    await waitFor('another run goes on', async () => {
      await handle.signal(writeChangedSignal);
      return (await handle.describe()).runId !== runId;
    });
    await patient.sync.resolveWrite(connectionId, input.idempotencyKey, { decision: 'abandon' });
    expect(await handle.result()).toMatchObject({ outcome: 'abandoned', sends: 1 });
  });

  it('that was decided while Temporal did not answer goes on when somebody tries again', async () => {
    const { connectionId, account } = await connect(HIDES);
    account.fault({ operation: 'createInvoice', answer: 'cut' });
    const { idempotencyKey } = await harness.sync.write(connectionId, invoice());
    await waitFor('it waits', async () => (await harness.sync.writes({ connectionId, states: ['undecided'] }))[0]);
    const decide = () => harness.sync.resolveWrite(connectionId, idempotencyKey, { decision: 'not_applied' });
    vi.spyOn(harness.temporal.workflow, 'signalWithStart').mockRejectedValueOnce(new ServiceError('unavailable'));
    await expect(decide()).rejects.toMatchObject({ code: 'Unavailable' });
    await expect(decide()).rejects.toMatchObject({ code: 'Refused' });
    expect(await harness.sync.writeEnd(connectionId, idempotencyKey)).toMatchObject({ outcome: 'applied', sends: 2 });
  });

  it('can be decided at Temporal, too', async () => {
    const { connectionId, account } = await connect(HIDES);
    account.fault({ operation: 'createInvoice', answer: 'cut' });
    const input = invoice();
    await harness.sync.write(connectionId, input);
    const handle = harness.temporal.workflow.getHandle(
      writeRecordId({ connectionId, idempotencyKey: input.idempotencyKey }),
    );
    await waitFor('it waits', async () => (await harness.sync.writes({ connectionId, states: ['undecided'] }))[0]);
    await expect(handle.executeUpdate('resolve', { args: [{ decision: 'maybe' }] })).rejects.toThrow('Update failed');
    await waitFor('the Workflow knows', async () => {
      await handle.executeUpdate(resolveWriteUpdate, { args: [{ decision: 'abandon', by: 'anna' }] });
      return true;
    });
    expect(await handle.result()).toMatchObject({ outcome: 'abandoned' });
    const [entry] = await harness.sync.journal(connectionId);
    expect(entry).toMatchObject({ actor: 'anna', action: 'write.resolved' });
  });
});

describe('a change of a record', () => {
  it('is made, and a deletion marks the record as deleted', async () => {
    const { connectionId, account } = await connect();
    const [item] = z.array(z.object({ id: z.string() })).parse(account.records('items'));
    const itemId = item?.id ?? '';
    const changed = {
      idempotencyKey: 'c',
      operation: 'patchItem',
      parameters: { itemId },
      body: { name: 'Stool' },
    } as const;
    expect(await writeToEnd(connectionId, changed)).toMatchObject({ outcome: 'applied', recordKey: itemId });
    expect((await harness.sync.record(connectionId, 'items', itemId)).record).toMatchObject({ name: 'Stool' });

    await harness.sync.startSync(connectionId, { resources: ['payments'] });
    await harness.temporal.workflow.getHandle(`sync/${connectionId}`).result();
    const [payment] = await harness.sync.records(connectionId, 'payments');
    const paymentId = payment?.key ?? '';
    // Local time that names no zone, and is taken for UTC, lies ahead.
    await harness.query(
      `update maesn_sync.records set modified_at = now() + interval '2 hours'
       where connection_id = '${connectionId}' and key = '${paymentId}'`,
    );
    const deleted = { idempotencyKey: 'd', operation: 'deletePayment', parameters: { paymentId } } as const;
    expect(await writeToEnd(connectionId, deleted)).toMatchObject({ outcome: 'applied' });
    expect((await harness.sync.record(connectionId, 'payments', paymentId)).deletedAt).not.toBeNull();
  });
});

describe('every operation of Maesn', () => {
  const PARENTS = {
    billId: 'bills',
    contactId: 'contacts',
    invoiceId: 'invoices',
    itemId: 'items',
    journalEntryId: 'journalEntries',
    paymentId: 'payments',
    vendorCreditId: 'vendorCredits',
  } as const satisfies Record<string, Collection>;
  const ALL = [...Object.values(PARENTS), 'customers', 'suppliers', 'contactsV2'] as const;
  const records = Object.fromEntries(ALL.map((resource) => [resource, 1]));
  const FILE = { filename: 'a.pdf', contentType: 'application/pdf', base64: 'YQ==' };

  function toBody({ body, part, files, several = false }: WriteRow): object | undefined {
    if (body === 'none') return undefined;
    if (several) return { entries: [{ name: 'Chairs' }, { name: 'Tables' }] };
    const record = { name: 'Chairs' };
    return {
      ...(part === undefined ? record : { [part]: record }),
      ...(files === undefined ? {} : { [files.field]: files.several ? [FILE, FILE] : FILE }),
    };
  }

  it.each(WRITE_OPERATIONS)('%s is carried out once', async (operation) => {
    const { connectionId, account } = await harness.connect({ targetSystem: SHOWS, records });
    const row = writeRow(operation);
    const first = (resource: Collection) => z.record(z.string(), z.unknown()).parse(account.records(resource)[0]);
    const keyOf = (name: string): unknown => {
      if (name === 'lineItemId') {
        const parent = first(row.path.includes('/bills/') ? 'bills' : 'invoices');
        const [line] = z.array(z.record(z.string(), z.unknown())).parse(parent['lineItems']);
        return line?.[row.path.includes('/bills/') ? 'id' : 'lineItemId'];
      }
      const own = row.resource !== null && !isChild(row.resource) && name === 'contactId' ? row.resource : undefined;
      const resource = own ?? PARENTS[z.enum(keysOf(PARENTS)).parse(name)];
      return first(resource)[resourceRow(resource).key ?? 'id'];
    };
    const parameters = Object.fromEntries(pathParameters(operation).map((name) => [name, String(keyOf(name))]));
    const body = toBody(row);
    const input = {
      idempotencyKey: operation,
      operation,
      parameters,
      ...(body === undefined ? {} : { body: { ...body } }),
    };
    const write = await writeToEnd(connectionId, input);
    expect(write).toMatchObject({ outcome: 'applied', sends: 1 });
    expect(requests(account, operation)).toHaveLength(1);
    expect(account.writes.every((one) => one.operation === operation)).toBe(true);
    expect(account.writes).toHaveLength(row.several === true ? 2 : 1);
    const isOne = row.resource !== null && row.several !== true;
    expect(write.recordKey === null).toBe(!isOne);
  });
});

describe('a write that Maesn carries out as a task', () => {
  const expense = { operation: 'createExpense', body: { expense: { documentId: 'E-1' }, files: [] } } as const;
  const asTask = (taskStatuses: readonly (string | null)[]) =>
    connect(SHOWS, { asyncWrites: ['createExpense'], taskStatuses });

  it.each([
    ['FINISHED', 'applied', 1],
    ['SUCCESS', 'applied', 1],
    ['FAILED', 'refused', 0],
    ['CANCELLED_SUCCESSFULLY', 'refused', 0],
    ['DELETED', 'refused', 0],
  ] as const)('that ends as %s is %s', async (status, outcome, times) => {
    const { connectionId, account } = await asTask(['OPEN', null, 'CANCEL_FAILED', 'SOMETHING_NEW', status]);
    expect(await writeToEnd(connectionId, { idempotencyKey: 'e', ...expense })).toMatchObject({ outcome, sends: 1 });
    expect(account.writes).toHaveLength(times);
  });
});

it('a task that has done only a part of several says of each what became of it', async () => {
  const { connectionId, account } = await connect(SHOWS, {
    asyncWrites: ['createContactsBulk'],
    taskStatuses: ['IN_PROGRESS', 'PARTIAL_SUCCESS'],
  });
  const entries = ['a', 'b', 'c'].map((contactName) => ({ contactName }));
  const write = await writeToEnd(connectionId, {
    idempotencyKey: 'bulk',
    operation: 'createContactsBulk',
    body: { entries },
  });
  expect(write).toMatchObject({
    outcome: 'partly_applied',
    answer: {
      data: { entries: entries.slice(0, 2) },
      information: [{ type: 'ERROR', message: 'entry 3 was refused' }],
    },
  });
  expect(account.writes).toHaveLength(2);
});

describe('a write whose task goes on', () => {
  it('has no Activity running between polls, says in the UI why, and is a question when it is cancelled', async () => {
    const { connectionId } = await connect(SHOWS, { asyncWrites: ['createExpense'], taskStatuses: ['IN_PROGRESS'] });
    const idempotencyKey = 'e';
    await harness.sync.write(connectionId, {
      idempotencyKey,
      operation: 'createExpense',
      body: { expense: { name: 'a' } },
    });
    const handle = harness.temporal.workflow.getHandle(writeRecordId({ connectionId, idempotencyKey }));
    const pending = await waitFor('it waits for the next poll', async () => {
      const { raw } = await handle.describe();
      return raw.pendingActivities?.find(({ attempt, state }) => (attempt ?? 0) > 1 && Number(state) === SCHEDULED);
    });
    expect(pending.lastFailure?.message).toContain('IN_PROGRESS');
    await harness.sync.cancelWrite(connectionId, idempotencyKey);
    await expect(handle.result()).rejects.toThrow('Workflow execution cancelled');
    expect(await harness.sync.writeStatus(connectionId, idempotencyKey)).toMatchObject({ state: 'undecided' });
    // Whoever is asked must hear of it.
    expect(await harness.sync.events({ connectionId })).toMatchObject([
      { type: 'write.undecided', data: { idempotencyKey, because: 'it was cancelled' } },
    ]);
    expect(await harness.sync.resolveWrite(connectionId, idempotencyKey, { decision: 'abandon' })).toMatchObject({
      outcome: 'abandoned',
    });
  });
});

it('that is answered late, when a person was asked already, ends all the same, and the application is told', async () => {
  const { connectionId, account } = await connect(HIDES);
  account.fault({ operation: 'createInvoice', answer: 'cut' });
  const { idempotencyKey } = await harness.sync.write(connectionId, invoice());
  const told = async () => (await harness.sync.latestEvents(connectionId, 10)).map(({ type }) => type);
  await waitFor('a person is asked', async () => (await told()).includes('write.undecided'));
  const write = await harness.sync.writeStatus(connectionId, idempotencyKey);
  const end = createWriteEnd(activityDependencies(harness));
  await end.applied(write, { outcome: 'applied', data: { id: 'late' } });
  expect(await harness.sync.writeEnd(connectionId, idempotencyKey)).toMatchObject({ outcome: 'applied' });
  await waitFor('it is told', async () => (await told()).includes('write.ended'));
});

it('is not sent by a Worker that stood still since it claimed it: others take the request for over', async () => {
  const { connectionId, account } = await connect();
  const of = { connectionId, idempotencyKey: 'w' };
  const { store } = harness;
  await store.writes.add({ ...of, operation: 'createInvoice', parameters: {}, body: { name: 'Chairs' } }, 'test');
  let stoodStillMs = 0;
  const now = performance.now.bind(performance);
  const clock = vi.spyOn(performance, 'now').mockImplementation(() => now() + stoodStillMs);
  onTestFinished(() => clock.mockRestore());
  const claim: typeof store.writes.claim = async (write) => {
    const claimed = await store.writes.claim(write);
    stoodStillMs = 60_000;
    return claimed;
  };
  const frozen = { ...store, writes: { ...store.writes, claim } };
  const sendWrite = createSendWrite({ ...activityDependencies(harness), store: frozen });
  const attempt = new MockActivityEnvironment({}, { logger: new DefaultLogger('ERROR', () => undefined) });
  await expect(attempt.run(sendWrite, of)).rejects.toMatchObject({ type: 'NoResponse' });
  expect(await store.writes.find(of)).toMatchObject({ state: 'waiting', sends: 0 });
  expect(account.writes).toEqual([]);
});

it('what is found out about a send leaves a later one as it is', async () => {
  const { connectionId } = await connect();
  const of = { connectionId, idempotencyKey: 'w' };
  const { writes } = harness.store;
  await writes.add({ ...of, operation: 'createInvoice', parameters: {}, body: { name: 'Chairs' } }, 'test');
  const send = async () => {
    const claim = await writes.claim(of);
    await writes.move(of, { state: 'unknown' });
    return { states: ['unknown'], sentAt: claim?.write.sentAt ?? null } as const;
  };
  const state = async () => (await writes.find(of))?.state;
  const first = await send();
  // Two attempts look it up at once; the slower one comes when it has been sent again already.
  await writes.release(of, { seen: first });
  expect(await state()).toBe('waiting');
  const second = await send();
  expect(second.sentAt).not.toEqual(first.sentAt);
  await writes.release(of, { seen: first });
  await writes.move(of, { state: 'undecided', seen: first });
  await writes.end({ ...of, outcome: 'refused', seen: first });
  expect(await state()).toBe('unknown');
  await writes.release(of, { seen: second });
  expect(await state()).toBe('waiting');
});

describe('many writes', () => {
  it(
    'go on after the end user has signed in again: one notice, each exactly once',
    async () => {
      const { connectionId, account } = await connect();
      const writes = Array.from({ length: BULK }, (_, index) => invoice({ reference: String(index) }));
      await harness.sync.writeMany(connectionId, { batchId: 'b', writes });
      await waitFor('some are written', () => created(account).length > 20);
      account.revoke();
      await waitFor('they wait', async () => (await harness.sync.connection(connectionId)).status !== 'active');
      await harness.sync.reauthorized(connectionId, account.reconnect());
      expect(await harness.sync.writeBatchEnd(connectionId, 'b')).toMatchObject({
        total: BULK,
        applied: BULK,
        running: 0,
      });
      expect(created(account)).toHaveLength(BULK);
      expect(new Set(created(account).map(({ record }) => record['reference'])).size).toBe(BULK);
      // The last ones are told after the batch: it goes by what the store says.
      const ended = await harness.store.writes.list({ connectionId, states: ['ended'], limit: BULK + 1 });
      expect(ended).toHaveLength(BULK);
      await waitFor('the end of each is told', async () => {
        const keys = new Set((await readAllEvents(connectionId)).map(({ data }) => data['idempotencyKey']));
        return ended.every(({ idempotencyKey }) => keys.has(idempotencyKey));
      });
      const told = await readAllEvents(connectionId);
      const times = (type: string) => told.filter((event) => event.type === type).length;
      expect(times('connection.reauthorization_required')).toBe(1);
      expect(times('write.ended')).toBe(BULK);
      expect(times('write_batch.ended')).toBe(1);
      const rounds = await readEvents(harness.temporal, reauthorizeConnectionId(connectionId));
      expect(rounds.length).toBeGreaterThan(0);
    },
    Math.max(120_000, BULK * 300),
  );

  it('are all taken, or none', async () => {
    const { connectionId } = await connect();
    const known = invoice();
    await harness.sync.write(connectionId, known);
    const other = invoice();
    const writes = [other, { ...known, body: { name: 'another' } }];
    await expect(harness.sync.writeMany(connectionId, { batchId: 'b', writes })).rejects.toMatchObject({
      code: 'KeyReused',
    });
    await expect(harness.sync.writeStatus(connectionId, other.idempotencyKey)).rejects.toMatchObject({
      code: 'WriteNotFound',
    });
  });
});

describe('what is no write', () => {
  it.each<[string, object, string]>([
    ['an unknown operation', { operation: 'createMoney', body: { a: 1 } }, 'operation'],
    ['a key with a space', { idempotencyKey: 'a b', operation: 'createInvoice', body: { a: 1 } }, 'idempotencyKey'],
    ['one without body', { operation: 'createInvoice' }, 'body'],
    [
      'one with a body it does not take',
      { operation: 'deleteBill', parameters: { billId: '1' }, body: { a: 1 } },
      'body',
    ],
    ['one without its parameter', { operation: 'deleteBill' }, 'parameters'],
    [
      'one with another parameter',
      { operation: 'createInvoice', parameters: { billId: '1' }, body: { a: 1 } },
      'parameters',
    ],
    ['a file that is none', { operation: 'createFile', body: { file: { filename: 'a' } } }, 'body.file.base64'],
  ])('%s is named', async (_, input, field) => {
    const { connectionId } = await connect();
    // What a caller without types may say.
    const given: WriteInput = Object.assign({ idempotencyKey: 'k', operation: 'createInvoice' as const }, input);
    await expect(harness.sync.write(connectionId, given)).rejects.toMatchObject({
      code: 'InvalidInput',
      issues: expect.arrayContaining([expect.objectContaining({ field })]),
    });
  });
});
