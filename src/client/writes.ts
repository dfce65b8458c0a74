/** Writing through Maesn, each thing once: asking for it, seeing what became of it, and deciding where nobody knows. */
import { WorkflowFailedError } from '@temporalio/client';
import type { WriteOperation } from '../spec/writes.js';
import type { Resolution, Write, WriteBody, WriteState } from '../store/index.js';
import { writeBatchId, writeBatchStart, writeRecordId, writeRecordStart } from '../workflows/messages.js';
import type { WriteBatchReport, WriteRecordInput } from '../workflows/messages.js';
import { findConnection } from './context.js';
import type { ClientContext } from './context.js';
import { MaesnSyncError, awaitTemporal, callTemporal, ignoreNotRunning, parseInput } from './errors.js';
import {
  idempotencyKey as keyInput,
  listWritesOptions,
  resolveWriteInput,
  writeBatchInput,
  writeInput,
} from './write-inputs.js';

export interface WriteInput {
  /** The caller's own: the same key is the same write, however often it is asked for. 1 to 200 of A-Z a-z 0-9 . _ : - */
  readonly idempotencyKey: string;
  readonly operation: WriteOperation;
  /** Of the path, such as `invoiceId`. */
  readonly parameters?: Readonly<Record<string, string>> | undefined;
  /** As Maesn documents it for the operation. Of a form, its fields; files are `{ filename, contentType?, base64 }`. */
  readonly body?: WriteBody | undefined;
}

export interface WriteBatch {
  /** The caller's own, like an idempotency key. */
  readonly batchId: string;
  readonly writes: readonly WriteInput[];
}

export interface WriteStatus extends Write {
  /** What Maesn answered in the end, whole: `data`, or `errors`, `downstreamErrors` and `validationErrors`. */
  readonly answer?: unknown;
}

export interface ListWritesOptions {
  readonly connectionId?: string | undefined;
  /** Only those of that batch. */
  readonly batchId?: string | undefined;
  readonly states?: readonly WriteState[] | undefined;
  /** From before this id: the last one of the page before. */
  readonly beforeId?: number | undefined;
  /** 1 to 200. Default: 50. */
  readonly limit?: number | undefined;
}

export interface WriteCalls {
  /**
   * Has something written, and returns at once. The same key again is the same write, running or ended. Throws
   * `ConnectionNotFound`, and `KeyReused` when the key stands for another write.
   */
  write(connectionId: string, input: WriteInput): Promise<WriteStatus>;
  /**
   * Has many things written, up to 10,000, some at a time, and returns at once: all of them are taken, or none. The same
   * `batchId` with the same writes again is the same batch. Throws `ConnectionNotFound`, and `KeyReused` when keys stand for
   * other writes, or for some that are not of this batch, or when the batch was begun without them.
   */
  writeMany(connectionId: string, batch: WriteBatch): Promise<WriteBatchReport>;
  /** How many of a batch are where. Throws `ConnectionNotFound`, `WriteNotFound`. */
  writeBatchStatus(connectionId: string, batchId: string): Promise<WriteBatchReport>;
  /** The same, once none is to be sent or looked up any more: each has ended, or is undecided. */
  writeBatchEnd(connectionId: string, batchId: string): Promise<WriteBatchReport>;
  /** How far it is, or what became of it. Throws `ConnectionNotFound`, `WriteNotFound`. */
  writeStatus(connectionId: string, idempotencyKey: string): Promise<WriteStatus>;
  /**
   * The same, once it has ended, or nobody goes on with it: it was cancelled when it may have been applied. Waits as long as
   * that takes, which can be until a person has decided.
   */
  writeEnd(connectionId: string, idempotencyKey: string): Promise<WriteStatus>;
  /** Newest first. */
  writes(options?: ListWritesOptions): Promise<Write[]>;
  /**
   * Says what became of a write that is undecided. `sends` is that of the write that was looked at: one that was sent again
   * since is another question. Throws `WriteNotFound`, and `Refused` when it is not undecided, or not so any more.
   */
  resolveWrite(
    connectionId: string,
    idempotencyKey: string,
    options: { readonly decision: Resolution; readonly sends?: number | undefined },
  ): Promise<WriteStatus>;
  /**
   * Ends a write that was not sent yet; one that may have been applied becomes undecided. Once more is the same. Throws
   * `WriteNotFound`, and `Refused` for one that has ended otherwise, or is undecided already.
   */
  cancelWrite(connectionId: string, idempotencyKey: string): Promise<void>;
}

function keysUsedTwice(writes: readonly WriteInput[]): readonly string[] | undefined {
  const seen = new Set<string>();
  const twice = new Set<string>();
  for (const { idempotencyKey } of writes) (seen.has(idempotencyKey) ? twice : seen).add(idempotencyKey);
  return twice.size === 0 ? undefined : [...twice];
}

function refused({ connectionId, idempotencyKey }: Write, because: string): MaesnSyncError {
  return new MaesnSyncError('Refused', `Write ${idempotencyKey} of connection ${connectionId} ${because}.`);
}

export function createWrites(context: ClientContext): WriteCalls {
  const { store, temporal, taskQueue, actor } = context;

  async function find(connectionId: string, idempotencyKey: string): Promise<Write> {
    await findConnection(context, connectionId);
    const write = await store.writes.find({ connectionId, idempotencyKey: parseInput(keyInput, idempotencyKey) });
    if (write === undefined) {
      throw new MaesnSyncError('WriteNotFound', `Connection ${connectionId} has no write ${idempotencyKey}.`);
    }
    return write;
  }

  async function findBatch(connectionId: string, batchId: string): Promise<WriteBatchReport> {
    await findConnection(context, connectionId);
    const counts = await store.writes.countBatch({ connectionId, batchId });
    if (counts.total > 0) return counts;
    throw new MaesnSyncError('WriteNotFound', `Connection ${connectionId} has no batch ${batchId}.`);
  }

  async function toStatus(write: Write): Promise<WriteStatus> {
    const answer = write.state === 'ended' ? await store.writes.answer(write) : undefined;
    return { ...write, ...(answer === undefined ? {} : { answer }) };
  }

  async function startOf(write: Write) {
    const { targetSystem } = await findConnection(context, write.connectionId);
    return writeRecordStart({ ...write, targetSystem }, write.operation, taskQueue);
  }

  /** Of one that runs, nobody is told: it may wait for weeks, and a run takes only so many Signals. */
  async function run(write: Write): Promise<void> {
    const { signal: _signal, ...start } = await startOf(write);
    await callTemporal(context, write.connectionId, () =>
      temporal.workflow.start('writeRecord', { ...start, workflowIdConflictPolicy: 'USE_EXISTING' }),
    );
  }

  /** Whatever was changed, the store tells it. */
  async function runOrWake(write: Write): Promise<void> {
    const start = await startOf(write);
    await callTemporal(context, write.connectionId, () => temporal.workflow.signalWithStart('writeRecord', start));
  }

  const handleOf = (of: WriteRecordInput) => temporal.workflow.getHandle(writeRecordId(of));

  /** However its Workflow ends: what became of the write, the store says. */
  async function untilClosed(of: WriteRecordInput): Promise<void> {
    await handleOf(of)
      .result()
      .catch((error: unknown) => {
        if (!(error instanceof WorkflowFailedError)) throw error;
      });
  }

  return {
    async write(connectionId, input) {
      const parsed = parseInput(writeInput, input);
      await findConnection(context, connectionId);
      const found = await store.writes.add({ connectionId, ...parsed }, actor);
      if (found === undefined) {
        throw new MaesnSyncError(
          'KeyReused',
          `The idempotency key ${parsed.idempotencyKey} of connection ${connectionId} stands for another write.`,
        );
      }
      const { write } = found;
      // One whose Workflow could not be started the first time is started now.
      if (write.state !== 'ended') await run(write);
      return toStatus(write);
    },

    async writeMany(connectionId, batch) {
      const { batchId, writes } = parseInput(writeBatchInput, batch);
      const { targetSystem } = await findConnection(context, connectionId);
      const of = { connectionId, batchId };
      const reused = keysUsedTwice(writes) ?? (await store.writes.addBatch(of, writes, actor));
      if (reused !== undefined) {
        const some = reused.slice(0, 10).join(', ');
        throw new MaesnSyncError(
          'KeyReused',
          `${reused.length} idempotency keys of connection ${connectionId} stand for other writes, or are not of batch ${batchId}: ${some}. None was taken.`,
        );
      }
      await callTemporal(context, connectionId, () =>
        temporal.workflow.signalWithStart('writeBatch', writeBatchStart({ ...of, targetSystem }, taskQueue)),
      );
      return store.writes.countBatch(of);
    },

    writeBatchStatus: findBatch,

    async writeBatchEnd(connectionId, batchId) {
      await findBatch(connectionId, batchId);
      const handle = temporal.workflow.getHandle(writeBatchId({ connectionId, batchId }));
      await awaitTemporal(connectionId, () => handle.result());
      return findBatch(connectionId, batchId);
    },

    writeStatus: async (connectionId, idempotencyKey) => toStatus(await find(connectionId, idempotencyKey)),

    async writeEnd(connectionId, idempotencyKey) {
      const write = await find(connectionId, idempotencyKey);
      if (write.state !== 'ended') await awaitTemporal(connectionId, () => untilClosed(write));
      return toStatus(await find(connectionId, idempotencyKey));
    },

    async writes(options = {}) {
      const { limit, ...rest } = parseInput(listWritesOptions, options);
      if (rest.connectionId !== undefined) await findConnection(context, rest.connectionId);
      return store.writes.list({ ...rest, limit });
    },

    async resolveWrite(connectionId, idempotencyKey, options) {
      const { decision, sends } = parseInput(resolveWriteInput, options);
      const write = await find(connectionId, idempotencyKey);
      if (!(await store.writes.resolve({ connectionId, idempotencyKey, decision, sends, actor }))) {
        const { state } = await find(connectionId, idempotencyKey);
        // Whoever tries again may have met a Temporal that did not answer, the first time.
        if (state !== 'ended') await runOrWake(write);
        throw refused(write, state === 'undecided' ? 'was sent again since: look anew' : 'is not undecided');
      }
      await runOrWake(write);
      return toStatus(await find(connectionId, idempotencyKey));
    },

    async cancelWrite(connectionId, idempotencyKey) {
      const write = await find(connectionId, idempotencyKey);
      if (write.state === 'undecided') throw refused(write, 'is undecided: say what became of it');
      if (write.state === 'ended' && write.outcome !== 'cancelled') throw refused(write, 'has ended');
      // What was not sent ends with that, even if nobody runs it.
      const isCancelled =
        (await store.writes.cancel({ connectionId, idempotencyKey, actor })) || write.state === 'ended';
      // Whoever runs it tells all others, and asks a person where it was sent.
      await runOrWake(write);
      await ignoreNotRunning(callTemporal(context, connectionId, () => handleOf(write).cancel()));
      if (isCancelled) return;
      await store.journal.add({ connectionId, actor, action: 'write.cancelled', detail: { idempotencyKey } });
    },
  };
}
