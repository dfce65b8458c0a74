/** DBOS Transact: a workflow a connection, a step a page, its state in Postgres. */
import { DBOS } from '@dbos-inc/dbos-sdk';
import { forEachAtOnce, openPages } from '../variants/pages.js';
import { CONNECTIONS_AT_ONCE } from '../variants/task.js';
import type { OpenVariant, VariantTask } from '../variants/task.js';

/** Steps are started together, and waited for together: DBOS wants their order to be the same each time. */
export async function open(task: VariantTask): Promise<OpenVariant> {
  const { pagesAtOnce } = task;
  const pages = await openPages(task.pageSourceUrl, task.databaseUrl);

  const pullPage = (connectionId: string, page: number, since: string | undefined) =>
    DBOS.runStep(() => pages.pull({ connectionId, page, since }), {
      name: 'pullPage',
      retriesAllowed: true,
      maxAttempts: 10,
    });

  async function pullPages(connectionId: string, since: string | undefined): Promise<void> {
    const totalPages = await pullPage(connectionId, 1, since);
    for (let page = 2; page <= totalPages; page += pagesAtOnce) {
      const together = Array.from({ length: Math.min(pagesAtOnce, totalPages - page + 1) }, (_, index) =>
        pullPage(connectionId, page + index, since),
      );
      await Promise.all(together);
    }
  }

  DBOS.setConfig({
    name: 'bench',
    systemDatabaseUrl: task.systemDatabaseUrl,
    logLevel: 'error',
    runAdminServer: false,
  });
  const pullConnection = DBOS.registerWorkflow(pullPages, { name: 'pullConnection' });
  await DBOS.launch();

  let pulls = 0;
  return {
    pull(incremental) {
      pulls += 1;
      const pull = incremental ? `incremental-${pulls}` : 'full';
      return forEachAtOnce(task.connections, CONNECTIONS_AT_ONCE, async (connectionId) => {
        const workflowID = `${task.name}/${connectionId}/${pull}`;
        const since = await pages.since(connectionId, incremental);
        const handle = await DBOS.startWorkflow(pullConnection, { workflowID })(connectionId, since);
        await handle.getResult();
      });
    },
    async close() {
      await DBOS.shutdown();
      await pages.close();
    },
  };
}
