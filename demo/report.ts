/** The end of the demo: what was done, and whether it is all there. */
import { isDeepStrictEqual } from 'node:util';
import Table from 'cli-table3';
import type { Sandbox, SandboxAccount } from '../sandbox/index.js';
import type { Resource, SyncStatus } from '../src/client.js';
import { keysOf } from '../src/spec/table.js';
import { createTargetSystems } from '../src/spec/target-systems.js';
import type { Store } from '../src/store/index.js';

export interface ReportInput {
  readonly status: SyncStatus;
  readonly sandbox: Sandbox;
  readonly account: SandboxAccount;
  readonly store: Store;
  readonly connectionId: string;
}

/** Prints the report. `false`: something is not as it must be. */
export async function printReport({ status, sandbox, account, store, connectionId }: ReportInput): Promise<boolean> {
  const table = new Table({
    head: ['resource', 'status', 'pages', 'records', 'flagged', 'retries', 'waits', 'in sandbox', 'in store', 'same'],
    colAligns: ['left', 'left', 'right', 'right', 'right', 'right', 'right', 'right', 'right', 'left'],
    style: { head: [], border: [], compact: true },
  });
  let inSandbox = 0;
  let inStore = 0;
  let duplicates = 0;
  let allSame = status.state === 'Completed';
  for (const resource of keysOf(status.resources)) {
    const report = status.resources[resource];
    if (report === undefined) continue;
    const there = account.records(resource).map(canonical);
    const here = (await readAll(store, connectionId, resource)).map(canonical);
    const same = isDeepStrictEqual(there.toSorted(), here.toSorted());
    inSandbox += there.length;
    inStore += here.length;
    duplicates += here.length - new Set(here).size;
    allSame &&= same;
    const { pages, records, flagged, retries, reauthorizations } = report;
    const counts = [pages, records, flagged, retries, reauthorizations, there.length, here.length];
    table.push([resource, report.status, ...counts, same ? 'yes' : 'NO']);
  }
  console.log(`\n${table.toString()}\n`);

  const requests = sandbox.requests.filter(({ account: name }) => name === account.name);
  const isRefused = ({ status: code }: (typeof requests)[number]) => code === 401;
  const refusals = requests.filter(isRefused);
  const inFlight = createTargetSystems().requestsInFlight(account.targetSystem);
  const parked = refusals[0]?.resource;
  const parkedAtPage = parked === undefined ? undefined : status.resources[parked]?.parkedAtPage;
  // Nothing before that page is asked for again, and that page is.
  const pagesAfter = requests
    .slice(requests.findLastIndex(isRefused) + 1)
    .flatMap(({ resource, page, lastModifiedAt }) =>
      // What has changed since the walk began is asked for at its end.
      resource === parked && lastModifiedAt === undefined ? [Number(page)] : [],
    );
  const firstPage = Math.min(...pagesAfter);

  const checks: readonly (readonly [text: string, holds: boolean])[] = [
    [
      `${inSandbox} records in the sandbox, ${inStore} in the store, every one the same`,
      allSame && inSandbox === inStore,
    ],
    [`${duplicates} duplicates`, duplicates === 0],
    [
      `parked at page ${parkedAtPage} of ${parked}; first page asked for after reauthorisation: ${firstPage}`,
      parkedAtPage !== undefined && firstPage === parkedAtPage,
    ],
    [
      `${refusals.length} requests with the revoked key, of at most ${inFlight} in flight`,
      refusals.length >= 1 && refusals.length <= inFlight,
    ],
    [`${requests.length} requests in all`, true],
  ];
  for (const [text, holds] of checks) console.log(`${holds ? '✓' : '✗'} ${text}`);
  return checks.every(([, holds]) => holds);
}

async function readAll(store: Store, connectionId: string, resource: Resource): Promise<unknown[]> {
  const records = await store.records.list({ connectionId, resource, limit: 1_000_000 });
  return records.map(({ record }) => record);
}

/** As text in which the order of fields does not count: jsonb does not keep it. */
function canonical(record: unknown): string {
  return JSON.stringify(record, (_name, value: unknown) =>
    typeof value === 'object' && value !== null && !Array.isArray(value)
      ? Object.fromEntries(Object.entries(value).toSorted(([a], [b]) => (a < b ? -1 : 1)))
      : value,
  );
}
