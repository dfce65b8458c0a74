/** Sends a write, once. What becomes of an attempt that ends without an answer, `look-up-write.ts` finds out. */
import type { WriteAnswer } from '../maesn/envelope.js';
import { MaesnError } from '../maesn/failure.js';
import type { MaesnFailure } from '../maesn/failure.js';
import { writeFailureMeans } from '../spec/write-steps.js';
import { writePath, writeRow } from '../spec/writes.js';
import type { Seen, Write, WriteBody } from '../store/index.js';
import type { TriedBefore, WriteRecordInput, WriteStep } from '../workflows/messages.js';
import { startAttempt } from './attempt.js';
import type { ActivityDependencies } from './dependencies.js';
import { createWriteEnd, stepOf } from './end-write.js';
import { isMaesnError } from './failure.js';
import {
  companyQuery,
  openConnection,
  requireAuthorization,
  triedVersion,
  waitWhilePaused,
} from './open-connection.js';
import type { AuthorizedConnection } from './open-connection.js';
import { createSender } from './send.js';
import { toContent } from './write-body.js';

/** Between the claim of a write and its request. */
const STOOD_STILL_MS = 5_000;

export function createSendWrite(dependencies: ActivityDependencies) {
  const { maesn, store, options } = dependencies;
  const end = createWriteEnd(dependencies);

  function send(
    connection: AuthorizedConnection,
    { operation, parameters }: Write,
    body: WriteBody,
  ): Promise<WriteAnswer> {
    const { method, mayBeTask } = writeRow(operation);
    return maesn.write({
      method,
      mayBeTask,
      path: writePath(operation, parameters),
      query: companyQuery(connection),
      accountKey: connection.accountKey,
      content: toContent({ operation }, body),
      // And no signal: whoever cancels wants to know what became of it.
    });
  }

  /** The failure is to be thrown, and tried again, exactly if nothing can have been applied. */
  async function failed(write: Write, failure: MaesnFailure): Promise<'throw' | 'go on'> {
    const means = writeFailureMeans(failure);
    if (means === 'again' || means === 'reauthorize') {
      await store.writes.release(write, { refused: true, seen: asSent(write) });
      return 'throw';
    }
    if (means === 'unknown') {
      await store.writes.move(write, { state: 'unknown', seen: asSent(write) });
      return 'go on';
    }
    const { status, reason, errors, downstreamErrors, validationErrors } = failure;
    const answer = { status, errors, downstreamErrors, validationErrors };
    await store.writes.end({
      seen: asSent(write),
      ...ofWrite(write),
      outcome: 'refused',
      answer,
      because: `${failure.type}: Maesn ${reason}`,
    });
    return 'go on';
  }

  return async function sendWrite({ before, ...of }: WriteRecordInput & TriedBefore): Promise<WriteStep> {
    const { connectionId } = of;
    const attempt = startAttempt(options, before);
    let keyVersion: number | undefined;
    try {
      const step = await stepOf(dependencies, of);
      if (step.next === 'lookUp') {
        // An attempt before this one has sent it, and not come back.
        await store.writes.claim(of);
        return await stepOf(dependencies, of);
      }
      if (step.next !== 'send') return step;
      const opened = await openConnection(store, connectionId);
      await waitWhilePaused(store, connectionId, options.timeScale);
      keyVersion = triedVersion(opened);
      const connection = requireAuthorization(opened);
      const sender = createSender(dependencies, connection);
      let sent: Write | undefined;
      try {
        const endpoint = await endpointOf(of);
        const answer = await sender.send({
          endpoint,
          ask: async () => {
            // Only now that it may leave at once: from here on, whoever finds it does not know what became of it.
            const asked = performance.now();
            const claim = await store.writes.claim(of);
            if (claim?.decision === 'behind') return 'behind' as const;
            if (claim?.decision !== 'send') return undefined;
            sent = claim.write;
            if (performance.now() - asked > STOOD_STILL_MS) throw notSent(endpoint);
            return send(connection, claim.write, claim.body);
          },
          isAnswer: (answered) => typeof answered === 'object',
          taskOf: (answered) =>
            typeof answered === 'object' && answered.kind === 'task' ? answered.taskId : undefined,
        });
        if (answer === 'behind') return { next: 'waitForTurn' };
        if (answer === undefined || sent === undefined) return await stepOf(dependencies, of);
        if (answer.kind === 'task') {
          await store.writes.move(of, { state: 'task', taskId: answer.taskId, seen: asSent(sent) });
        } else await end.applied(sent, { outcome: 'applied', data: answer.data });
      } catch (error) {
        if (!isMaesnError(error)) throw error;
        if (error.failure.type === 'TooManyRequests') await sender.slowDown();
        if (sent === undefined || (await failed(sent, error.failure)) === 'throw') throw error;
      }
      return await stepOf(dependencies, of);
    } catch (error) {
      throw await attempt.toFailure(error, { keyVersion });
    } finally {
      attempt.end();
    }
  };

  async function endpointOf(of: WriteRecordInput): Promise<string> {
    const write = await store.writes.find(of);
    if (write === undefined) return 'POST';
    const { method, path } = writeRow(write.operation);
    return `${method} ${path}`;
  }
}

/** Others take a request for over when it would have been, had it left when it was claimed: one that leaves later would be a second one. */
function notSent(endpoint: string): MaesnError {
  return new MaesnError({
    type: 'NoResponse',
    request: endpoint,
    reason: 'was not asked: the Worker stood still',
    neverSent: true,
  });
}

/** Another attempt may have found it meanwhile, and have it looked up. */
function asSent({ sentAt }: Write): Seen {
  return { states: ['sending', 'unknown'], sentAt };
}

function ofWrite({ connectionId, idempotencyKey }: Write): WriteRecordInput {
  return { connectionId, idempotencyKey };
}
