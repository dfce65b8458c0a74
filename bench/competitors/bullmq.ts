/** BullMQ: a job a page, in a chain or all at once. */
import { once } from 'node:events';
import { Queue, Worker } from 'bullmq';
import type { Job, JobsOptions } from 'bullmq';
import { Redis } from 'ioredis';
import { openPages } from '../variants/pages.js';
import type { WantedPage } from '../variants/pages.js';
import { CONNECTIONS_AT_ONCE } from '../variants/task.js';
import type { OpenVariant, VariantTask } from '../variants/task.js';

interface PageJob extends WantedPage {
  /** Names the pull, so that a page of it is never queued twice. */
  readonly pull: string;
}

const RETRIED: JobsOptions = { attempts: 10, backoff: { type: 'exponential', delay: 1_000 } };

/** One page at once: each queues the next. Else the first queues all others. */
export async function open(task: VariantTask): Promise<OpenVariant> {
  const chained = task.pagesAtOnce === 1;
  const pages = await openPages(task.pageSourceUrl, task.databaseUrl);
  const connection = new Redis(task.redisUrl, { maxRetriesPerRequest: null });
  const queue = new Queue<PageJob>(task.name, { connection, defaultJobOptions: RETRIED });
  const concurrency = task.connections.length > 1 ? CONNECTIONS_AT_ONCE : task.pagesAtOnce;

  const worker = new Worker<PageJob>(task.name, pullPage, { connection, concurrency });
  worker.on('error', () => undefined);
  await worker.waitUntilReady();

  async function pullPage({ data }: Job<PageJob>): Promise<void> {
    const totalPages = await pages.pull(data);
    const { page } = data;
    if (chained) {
      if (page < totalPages) await queue.addBulk([toJob({ ...data, page: page + 1 })]);
    } else if (page === 1 && totalPages > 1) {
      const others = Array.from({ length: totalPages - 1 }, (_, index) => toJob({ ...data, page: index + 2 }));
      await queue.addBulk(others);
    }
  }

  async function untilDrained(): Promise<void> {
    for (;;) {
      const completed = once(worker, 'completed');
      if ((await queue.getJobCountByTypes('waiting', 'active', 'delayed', 'prioritized')) === 0) return;
      await completed;
    }
  }

  let pulls = 0;
  return {
    async pull(incremental) {
      pulls += 1;
      const jobs = task.connections.map(async (connectionId) => {
        const pull = incremental ? `incremental-${pulls}` : 'full';
        return toJob({ connectionId, page: 1, pull, since: await pages.since(connectionId, incremental) });
      });
      await queue.addBulk(await Promise.all(jobs));
      await untilDrained();
    },
    async close() {
      await worker.close();
      await queue.close();
      connection.disconnect();
      await pages.close();
    },
  };
}

function toJob(data: PageJob) {
  const { connectionId, page, pull } = data;
  return { name: 'page', data, opts: { jobId: `${connectionId}/${pull}/${page}` } };
}
