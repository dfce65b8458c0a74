/** The resources of a connection: how far, how fresh, whether they are offered, and what Maesn warned of. */
import { html } from 'hono/html';
import type { ResourceStatus, SyncStatus } from '../../client.js';
import { pagesInAll } from '../../spec/resource-report.js';
import { keysOf } from '../../spec/table.js';
import type { Resource } from '../../spec/resources.js';
import { showAge, showMoment } from './layout.js';
import type { Markup } from './layout.js';

/** While nothing is under way, what the last cycle did. */
export function reportsOf({ state, resources, lastReport }: SyncStatus): SyncStatus['resources'] {
  return state === 'Idle' && lastReport !== undefined ? { ...resources, ...lastReport.resources } : resources;
}

export function showResources(status: SyncStatus, now: Date): Markup | '' {
  const reports = reportsOf(status);
  const names = [...new Set([...keysOf(reports), ...keysOf(status.freshness), ...keysOf(status.notOffered)])];
  if (names.length === 0) return '';
  return html`
    <section class="card" aria-labelledby="resources">
      <h2 id="resources">Resources</h2>
      <div class="scroll" role="region" aria-labelledby="resources" tabindex="0">
        <table>
          <thead>
            <tr>
              <th scope="col">Resource</th>
              <th scope="col">State</th>
              <th scope="col">Pages</th>
              <th scope="col" class="number">Records</th>
              <th scope="col" class="number">Flagged</th>
              <th scope="col" class="number">Retries</th>
              <th scope="col">As of</th>
            </tr>
          </thead>
          <tbody>
            ${names.map((name) => showResource(status, name, reports, now))}
          </tbody>
        </table>
      </div>
    </section>
  `;
}

function showResource(sync: SyncStatus, name: Resource, reports: SyncStatus['resources'], now: Date): Markup {
  const { connectionId } = sync.connection;
  const report = reports[name];
  const { pages = 0, records = 0, flagged = 0, retries = 0 } = report ?? {};
  const inAll = pagesInAll(report ?? {});
  // Where nothing is reported, nobody knows what the sync has in it.
  const status = report?.status ?? (keysOf(reports).length === 0 ? '' : 'not part of this sync');
  const isAsked = report !== undefined && report.status !== 'waiting' && report.status !== 'unsupported';
  const asOf = sync.freshness[name]?.asOf;
  const progress =
    inAll === undefined
      ? html`${pages}`
      : html`<progress value="${pages}" max="${Math.max(1, inAll)}" aria-label="${name}"></progress> ${pages} of
          ${inAll}`;
  return html`
    <tr id="resource-${name}">
      <th scope="row"><a href="/ui/connections/${connectionId}/records/${name}">${name}</a></th>
      <td>${isAsked ? status : showOffer(sync, name, status)}</td>
      <td class="progress">${progress}</td>
      <td class="number">${records}</td>
      <td class="number">${flagged}</td>
      <td class="number">${retries}</td>
      <td>${asOf === undefined ? '' : showAge(asOf, now)}</td>
    </tr>
  `;
}

function showOffer({ connection, notOffered }: SyncStatus, name: Resource, status: string): Markup | string {
  const known = notOffered[name];
  if (known === undefined) return status;
  const { connectionId, targetSystem } = connection;
  return html`not offered by ${targetSystem}; asked again on ${showMoment(known.recheckAt)}
    <form method="post" action="/ui/connections/${connectionId}/recheck">
      <input type="hidden" name="resource" value="${name}" />
      <button class="plain" aria-label="Ask again for ${name}">Ask again</button>
    </form>`;
}

export function showWarnings(resources: readonly ResourceStatus[]): Markup | '' {
  const warned = resources.filter(({ warnings }) => warnings.length > 0);
  if (warned.length === 0) return '';
  return html`
    <section class="card" aria-labelledby="warnings">
      <h2 id="warnings">What Maesn warned of</h2>
      ${warned.map(
        ({ resource, warnings }) =>
          html`<h3>${resource}</h3>
            <ul>
              ${warnings.map(
                ({ text, count, firstAt, lastAt }) =>
                  html`<li>
                    ${text}
                    <span class="quiet"
                      >${count === 1 ? 'once' : `${count} times`}, ${showMoment(firstAt)}
                      ${count === 1 ? '' : `to ${showMoment(lastAt)}`}</span
                    >
                  </li>`,
              )}
            </ul>`,
      )}
    </section>
  `;
}
