/** How a write ends: in the store first, then for whoever waits for it. */
import type { WriteAnswer } from '../maesn/envelope.js';
import { writeRow } from '../spec/writes.js';
import type { Write, WriteOf } from '../store/index.js';
import {
  hintedSignal,
  syncConnectionId,
  writeBatchId,
  writeChangedSignal,
  writeRecordId,
} from '../workflows/messages.js';
import type { WriteRecordResult, WriteStep } from '../workflows/messages.js';
import type { ActivityDependencies } from './dependencies.js';
import { writeNotFound } from './failure.js';
import { signalUnlessGone } from './signal-workflow.js';
import { createTell } from './tell-application.js';
import { toRecord } from './write-body.js';

/** What the row says is next. */
export function toStep(write: Write): WriteStep {
  const { state, sends, because } = write;
  if (state === 'ended') return { next: 'nothing', result: toResult(write) };
  if (state === 'undecided') return { next: 'decide', because: because ?? 'nobody knows', sends };
  return { next: NEXT[state] };
}

const NEXT = { waiting: 'send', sending: 'lookUp', unknown: 'lookUp', task: 'poll' } as const;

function toResult({ outcome, recordKey, sends, because }: Write): WriteRecordResult {
  return {
    outcome: outcome ?? 'abandoned',
    sends,
    ...(recordKey === null ? {} : { recordKey }),
    ...(because === null ? {} : { because }),
  };
}

export async function stepOf({ store }: Pick<ActivityDependencies, 'store'>, of: WriteOf): Promise<WriteStep> {
  const write = await store.writes.find(of);
  if (write === undefined) throw writeNotFound(of.idempotencyKey);
  return toStep(write);
}

export interface Applied {
  readonly outcome: 'applied' | 'partly_applied';
  readonly data: Extract<WriteAnswer, { kind: 'written' }>['data'];
  /** Besides the data: what a task has told. */
  readonly information?: unknown;
}

export function createWriteEnd(dependencies: ActivityDependencies) {
  const { store, temporal } = dependencies;

  /** The next pull of the list brings what the answer did not: of a sync that runs, soon. */
  async function pullSoon(connectionId: string, write: Write): Promise<void> {
    const { resource } = writeRow(write.operation);
    if (resource === null) return;
    if (!(await store.webhooks.hint(connectionId, resource, 1))) return;
    if (await signalUnlessGone(temporal, syncConnectionId(connectionId), hintedSignal))
      await store.webhooks.told(connectionId, [resource]);
  }

  async function end(write: Write, { outcome, data, information }: Applied): Promise<void> {
    const { connectionId, idempotencyKey, operation, parameters } = write;
    const { method, resource } = writeRow(operation);
    const answer = information === undefined ? { data } : { data, information };
    const ended = { connectionId, idempotencyKey, outcome, resource, answer };
    if (method === 'DELETE') {
      const key = Object.values(parameters).at(-1) ?? '';
      if (resource !== null)
        await store.webhooks.markDeleted(connectionId, [{ resource, key, deletedAt: new Date(), isOurs: true }]);
      await store.writes.end({ ...ended, recordKey: key });
      return;
    }
    const record = toRecord(write, data);
    if (record === undefined || resource === null) {
      await pullSoon(connectionId, write);
      await store.writes.end(ended);
      return;
    }
    await store.records.put({ connectionId, resource }, [record], write.sentAt);
    const created = method === 'POST';
    if (await store.writes.end({ ...ended, recordKey: record.key, created })) return;
    await store.writes.move(write, {
      state: 'undecided',
      because: 'another write is known to have created this record',
    });
  }

  return {
    /** What was written is in the store before anybody hears of it. */
    async applied(write: Write, applied: Applied): Promise<void> {
      const before = await store.writes.find(write);
      await end(write, applied);
      // The answer has come late: a person was asked already, and the Workflow waits for what that person says.
      if (before?.state === 'undecided') await signalUnlessGone(temporal, writeRecordId(write), writeChangedSignal);
    },
  };
}

export function createEndWrite(dependencies: ActivityDependencies) {
  const { store, temporal } = dependencies;
  const tell = createTell(dependencies);
  const wake = (workflowId: string) => signalUnlessGone(temporal, workflowId, writeChangedSignal);

  /** Tells the application, and whose turn it is now. Safe to repeat. */
  return async function endWrite(of: WriteOf): Promise<void> {
    const write = await store.writes.find(of);
    if (write === undefined) return;
    const { connectionId, idempotencyKey, operation } = write;
    const data = { idempotencyKey, operation, ...toResult(write) };
    await tell({ connectionId, type: 'write.ended', occasion: idempotencyKey, data });
    const next = await store.writes.nextOf(of);
    if (next !== undefined) await wake(writeRecordId(next));
    if (write.batchId !== null) await wake(writeBatchId({ connectionId, batchId: write.batchId }));
  };
}
