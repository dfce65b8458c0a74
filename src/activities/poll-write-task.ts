/** Asks how the task of a write is getting on. Between two polls nothing runs: the retry of this Activity is the timer. */
import { pollDelayMs, TASK_TIME_LIMIT_MS, taskMeans } from '../spec/write-steps.js';
import type { TriedBefore, WriteRecordInput, WriteStep } from '../workflows/messages.js';
import { activityInfo } from '@temporalio/activity';
import type { Seen } from '../store/index.js';
import { startAttempt } from './attempt.js';
import type { ActivityDependencies } from './dependencies.js';
import { createWriteEnd, stepOf } from './end-write.js';
import { isFinal, isMaesnError, tooEarly } from './failure.js';
import {
  companyQuery,
  openConnection,
  requireAuthorization,
  triedVersion,
  waitWhilePaused,
} from './open-connection.js';
import { createSender } from './send.js';

export function createPollWriteTask(dependencies: ActivityDependencies) {
  const { maesn, store, options } = dependencies;
  const end = createWriteEnd(dependencies);

  return async function pollWriteTask({ before, ...of }: WriteRecordInput & TriedBefore): Promise<WriteStep> {
    const { connectionId } = of;
    const attempt = startAttempt(options, before);
    let keyVersion: number | undefined;
    let seen: Seen = { states: ['task'], sentAt: null };
    try {
      const write = await store.writes.find(of);
      if (write?.state !== 'task' || write.taskId === null) return await stepOf(dependencies, of);
      const { taskId, taskSince, sentAt } = write;
      seen = { states: ['task'], sentAt };
      const opened = await openConnection(store, connectionId);
      await waitWhilePaused(store, connectionId, options.timeScale);
      keyVersion = triedVersion(opened);
      const connection = requireAuthorization(opened);
      const request = { query: companyQuery(connection), accountKey: connection.accountKey };
      const sender = createSender(dependencies, connection);
      const { status, data, information } = await sender.send({
        endpoint: 'GET /accounting/asyncTask/{taskId}',
        ask: () => maesn.writeTask(taskId, request),
        taskId,
        taskOf: (answer) => (taskMeans(answer.status) === 'running' ? taskId : undefined),
      });
      switch (taskMeans(status)) {
        case 'running':
          if (Date.now() - (taskSince?.getTime() ?? 0) > TASK_TIME_LIMIT_MS) {
            await store.writes.move(of, {
              seen,
              state: 'undecided',
              because: `its task is still ${status ?? 'without a status'} after 7 days`,
            });
            break;
          }
          await attempt.progressed();
          throw tooEarly(
            'TaskRunning',
            `The task of the write is ${status ?? 'without a status'}.`,
            pollDelayMs(activityInfo().attempt) / options.timeScale,
          );
        case 'applied':
          await end.applied(write, { outcome: 'applied', data, information });
          break;
        case 'partly applied':
          await end.applied(write, { outcome: 'partly_applied', data, information });
          break;
        case 'refused': {
          const because = `its task ended as ${status ?? 'unknown'}`;
          await store.writes.end({ ...of, seen, outcome: 'refused', answer: { status, data, information }, because });
        }
      }
      return await stepOf(dependencies, of);
    } catch (error) {
      const failure = await attempt.toFailure(error, { keyVersion });
      if (!isMaesnError(error) || !isFinal(failure) || error.failure.type === 'Unauthorized') throw failure;
      if (error.failure.type === 'NotFound') await store.writes.move(of, { state: 'unknown', seen });
      else
        await store.writes.move(of, {
          seen,
          state: 'undecided',
          because: `its task cannot be asked for: ${error.message}`,
        });
      return await stepOf(dependencies, of);
    } finally {
      attempt.end();
    }
  };
}
