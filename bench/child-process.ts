/** A process of the benchmark, and what it can be asked for. It ends when the benchmark does, however that ends. */
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { z } from 'zod';

export interface Child {
  readonly pid: number;
  /** Rejects with what the method has thrown, or when the process has ended. */
  call<Answer>(method: string, argument: unknown, answer: z.ZodType<Answer>): Promise<Answer>;
  /** Lets it go: it ends by itself. */
  end(): Promise<void>;
  /** `kill -9` */
  kill(): Promise<void>;
}

const request = z.object({ id: z.number(), method: z.string(), argument: z.unknown().optional() });
const reply = z.object({ id: z.number(), answer: z.unknown().optional(), error: z.string().optional() });

/** `file`: beside this one. */
export function startChild(file: string, task: unknown = {}): Child {
  const child = fork(fileURLToPath(new URL(file, import.meta.url)), [JSON.stringify(task)], {
    execArgv: [...process.execArgv.filter((argument) => /^--(?:cpu|heap)-prof/.test(argument)), '--import', 'tsx'],
    stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
  });
  const exited = once(child, 'exit');
  const open = new Map<number, { resolve: (answer: unknown) => void; reject: (error: Error) => void }>();
  child.on('message', (message) => {
    const { id, answer, error } = reply.parse(message);
    const call = open.get(id);
    open.delete(id);
    if (error === undefined) call?.resolve(answer);
    else call?.reject(new Error(`${file}: ${error}`));
  });
  child.on('exit', (code, signal) => {
    for (const { reject } of open.values()) reject(new Error(`${file} has ended (${signal ?? code})`));
    open.clear();
  });
  let calls = 0;
  return {
    pid: child.pid ?? 0,
    async call(method, argument, answer) {
      const id = (calls += 1);
      const answered = new Promise<unknown>((resolve, reject) => open.set(id, { resolve, reject }));
      child.send({ id, method, argument });
      return answer.parse(await answered);
    },
    async end() {
      if (child.connected) child.disconnect();
      await exited;
    },
    async kill() {
      if (child.exitCode !== null || child.signalCode !== null) return;
      child.kill('SIGKILL');
      await exited;
    },
  };
}

/** What this process was started with. */
export function givenTask(): unknown {
  return JSON.parse(process.argv[2] ?? '{}');
}

/** Answers the benchmark's calls, from the side of the child. */
export function serve(methods: Readonly<Record<string, (argument: unknown) => unknown>>): void {
  const answer = async (message: unknown) => {
    const { id, method, argument } = request.parse(message);
    try {
      process.send?.({ id, answer: await methods[method]?.(argument) });
    } catch (error) {
      process.send?.({ id, error: error instanceof Error ? (error.stack ?? error.message) : String(error) });
    }
  };
  process.on('message', (message) => void answer(message));
  process.once('disconnect', () => process.exit());
}
