/** Lists that take their time: the first answer names a task, which holds the page after some polls. */
import { randomUUID } from 'node:crypto';
import type { ListQuery } from './list-query.js';

export interface Task {
  readonly taskId: string;
  readonly query: ListQuery;
  readonly fails: boolean;
  pollsLeft: number;
}

export type Tasks = ReturnType<typeof createTasks>;

export function createTasks(pollsUntilFinished: number) {
  if (!Number.isInteger(pollsUntilFinished) || pollsUntilFinished < 0) {
    throw new RangeError(`pollsUntilFinished: ${pollsUntilFinished} is not a count`);
  }
  const tasks = new Map<string, Task>();

  return {
    start(query: ListQuery, fails: boolean): Task {
      const task = { taskId: randomUUID(), query, fails, pollsLeft: pollsUntilFinished };
      tasks.set(task.taskId, task);
      return task;
    },

    /** `undefined`: there is no such task. */
    poll(taskId: string): { readonly task: Task; readonly ended: boolean } | undefined {
      const task = tasks.get(taskId);
      if (task === undefined) return undefined;
      const ended = task.pollsLeft === 0;
      if (!ended) task.pollsLeft -= 1;
      return { task, ended };
    },

    /** How many are running, besides the one of that id. */
    running(except?: string): number {
      return [...tasks.values()].filter(({ taskId, pollsLeft }) => pollsLeft > 0 && taskId !== except).length;
    },

    /** Whether a task is running. This is a poll of it, so that one nobody asks for ends too. */
    pollRunning(): boolean {
      const running = [...tasks.values()].find((task) => task.pollsLeft > 0);
      if (running !== undefined) running.pollsLeft -= 1;
      return running !== undefined;
    },
  };
}
