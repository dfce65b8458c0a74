import { continueAsNew, proxyActivities } from '@temporalio/workflow';
import type { PageActivities, PullByPageInput } from './activity-per-page.js';

const { pullPage } = proxyActivities<PageActivities>({ startToCloseTimeout: '1 minute' });

/** Keeps each history far below Temporal's limit of 51,200 events. */
const PAGES_PER_RUN = 500;

export async function pullByPage({ connectionId, since, page }: PullByPageInput): Promise<void> {
  for (let next = page; next < page + PAGES_PER_RUN; next += 1) {
    const { totalPages } = await pullPage({ connectionId, since, page: next });
    if (next >= totalPages) return;
  }
  await continueAsNew<typeof pullByPage>({ connectionId, since, page: page + PAGES_PER_RUN });
}
