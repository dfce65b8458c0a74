/** No engine at all: fetch a page, write it, next. What stops it makes it begin anew. */
import { openPages, forEachAtOnce } from './pages.js';
import { CONNECTIONS_AT_ONCE } from './task.js';
import type { OpenVariant, VariantTask } from './task.js';

/** Where several pages are pulled at once, those behind the first are, in no order. */
export async function open(task: VariantTask): Promise<OpenVariant> {
  const pages = await openPages(task.pageSourceUrl, task.databaseUrl);

  async function pullConnection(connectionId: string, incremental: boolean): Promise<void> {
    const since = await pages.since(connectionId, incremental);
    const totalPages = await pages.pull({ connectionId, page: 1, since });
    const others = Array.from({ length: Math.max(0, totalPages - 1) }, (_, index) => index + 2);
    await forEachAtOnce(others, task.pagesAtOnce, (page) => pages.pull({ connectionId, page, since }));
  }

  return {
    pull: (incremental) =>
      forEachAtOnce(task.connections, CONNECTIONS_AT_ONCE, (connectionId) => pullConnection(connectionId, incremental)),
    close: () => pages.close(),
  };
}
