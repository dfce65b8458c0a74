/** What is photographed, each as an operator would come to it. */
import type { Service } from '../../src/service.js';
import { reauthorizeConnectionId, syncConnectionId } from '../../src/workflows/messages.js';
import type { TestBrowser } from '../../test/support/browser.js';
import { waitFor } from '../../test/support/wait.js';

export async function takeScreenshots(browser: TestBrowser, service: Service): Promise<void> {
  const { page } = await browser.open({ viewport: { width: 1_280, height: 800 } });
  const ui = service.temporalUiUrl;
  if (ui === undefined) throw new Error('there is no Temporal UI: unset TEMPORAL_ADDRESS');

  async function take(name: string, url: string, sees: string): Promise<void> {
    // The UI asks for news without end: it never becomes idle.
    await page.goto(url, { waitUntil: 'load' });
    // What a Workflow says of itself is Markdown, which the UI shows in a frame of its own.
    await waitFor(`${name} shows ${sees}`, async () => {
      const texts = await Promise.all(
        page.frames().map((frame) =>
          frame
            .locator('body')
            .innerText()
            .catch(() => ''),
        ),
      );
      return texts.some((text) => text.includes(sees));
    });
    await browser.screenshot(page, name);
    console.log(`docs/screenshots/${name}.png`);
  }
  const listOf = (query: string) => `${ui}/namespaces/default/workflows?query=${encodeURIComponent(query)}`;
  async function workflow(workflowId: string, tab: string): Promise<string> {
    const { runId } = await service.temporal.workflow.getHandle(workflowId).describe();
    return `${ui}/namespaces/default/workflows/${encodeURIComponent(workflowId)}/${runId}/${tab}`;
  }
  const sync = syncConnectionId;

  await take('temporal-retrying', listOf("MaesnState = 'Retrying'"), 'sync/acme');
  await take('temporal-stuck-retry', await workflow(sync('acme'), 'user-metadata'), 'Who must act');
  await take('temporal-pending-activity', await workflow(sync('acme'), 'pending-activities'), 'Last Failure');
  await take('temporal-timeline', await workflow(sync('acme'), 'timeline'), 'invoices of acme');
  await take('temporal-incident', await workflow(sync('eiche-ug'), 'user-metadata'), 'Part of incident');
  await take(
    'temporal-awaiting-reauthorization-list',
    listOf("MaesnState = 'AwaitingReauthorization'"),
    'sync/linden-bau',
  );
  const reauthorization = await workflow(reauthorizeConnectionId('linden-bau'), 'user-metadata');
  await take('temporal-awaiting-reauthorization', reauthorization, 'must sign in again');
  await take('temporal-waiting', await workflow(sync('pinnow-it'), 'user-metadata'), 'Waiting');
  await take('temporal-paused', await workflow(sync('nord-logistik'), 'user-metadata'), 'month-end closing');
  await take('temporal-held', await workflow(sync('oste-druck'), 'user-metadata'), 'Held');
  await take('temporal-undecided', await workflow('write/quast-bau/order-4711', 'user-metadata'), 'A person must say');
  await take('page-incident', `${service.url}/ui`, 'acme');
}
