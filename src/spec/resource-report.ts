/** What is reported of a resource: by the Workflow as it goes on, and by the Activity that has pulled all of a cycle. Pure. */
import type { PullResourceResult, ResourceReport, UnsupportedResource } from '../workflows/messages.js';

export const NOTHING_YET: ResourceReport = {
  status: 'waiting',
  pages: 0,
  records: 0,
  flagged: 0,
  retries: 0,
  reauthorizations: 0,
};

/** Of how many pages; `undefined`: nobody knows, or it is a look for changes that has found nothing, and read one page of none. */
export function pagesInAll({
  pages = 0,
  totalPages,
}: Partial<Pick<ResourceReport, 'pages' | 'totalPages'>>): number | undefined {
  return totalPages === undefined || totalPages < pages ? undefined : totalPages;
}

export function reportPulled(before: ResourceReport, result: PullResourceResult): ResourceReport {
  const { done, held: _held, task: _task, ...counts } = result;
  const retries = before.retries + result.retries;
  return { ...before, ...counts, retries, ...(done ? { status: 'completed' } : {}) };
}

/** It need not be asked for. */
export function reportSkipped({ type, status, checkedAt, recheckAt }: UnsupportedResource): ResourceReport {
  const message = `Not offered: answered ${status ?? type} on ${checkedAt}. Asked again on ${recheckAt}.`;
  return { ...NOTHING_YET, status: 'unsupported', failure: { type, message } };
}
