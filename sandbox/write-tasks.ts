/** Writes that take their time: carried out when their task has ended, if it ends well. */
import { randomUUID } from 'node:crypto';
import { taskMeans } from '../src/spec/write-steps.js';

/** `PARTIAL_SUCCESS`: of several, only the first half is carried out; of each other one `information` says so. */
export interface CarriedOut {
  readonly data: unknown;
  readonly information: readonly string[];
}

interface WriteTask {
  readonly carryOut: (how: { readonly partly: boolean }) => CarriedOut;
  polls: number;
  result: CarriedOut;
  ended: boolean;
}

export type WriteTasks = ReturnType<typeof createWriteTasks>;

/** `statuses`: what polls are answered with, one after the other; the last one again and again. */
export function createWriteTasks(statuses: readonly (string | null)[]) {
  const tasks = new Map<string, WriteTask>();
  const statusOf = ({ polls }: WriteTask) => statuses[Math.min(polls, statuses.length) - 1] ?? null;

  function pollOne(task: WriteTask): string | null {
    task.polls += 1;
    const status = statusOf(task);
    const means = taskMeans(status);
    if (means === 'running' || task.ended) return status;
    task.ended = true;
    if (means !== 'refused') task.result = task.carryOut({ partly: means === 'partly applied' });
    return status;
  }

  return {
    start(carryOut: WriteTask['carryOut']): string {
      const taskId = randomUUID();
      tasks.set(taskId, { carryOut, polls: 0, result: { data: null, information: [] }, ended: false });
      return taskId;
    },

    /** `undefined`: there is no such task. */
    poll(taskId: string): (CarriedOut & { readonly status: string | null }) | undefined {
      const task = tasks.get(taskId);
      if (task === undefined) return undefined;
      const status = pollOne(task);
      return { status, ...task.result };
    },

    /** Whether one is running. This is a poll of it, so that one nobody asks for ends too. */
    pollRunning(): boolean {
      const running = [...tasks.values()].find(({ ended }) => !ended);
      if (running !== undefined) pollOne(running);
      return running !== undefined;
    },
  };
}
