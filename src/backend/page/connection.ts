import { html } from 'hono/html';
import type { ConnectionHold, Event, JournalEntry, ResourceReport, SyncStatus } from '../../client.js';
import { keysOf } from '../../spec/table.js';
import type { Resource } from '../../spec/resources.js';
import { showActions } from './actions.js';
import { showAge, showMoment, toWords } from './layout.js';
import type { Markup } from './layout.js';
import { showBadge, showSummary } from './state.js';

export interface ConnectionPage {
  readonly status: SyncStatus;
  readonly journal: readonly JournalEntry[];
  readonly events: readonly Event[];
  readonly temporalUi: string | undefined;
}

export function showConnection({ status, journal, events, temporalUi }: ConnectionPage, now: Date): Markup {
  const { connection, holds } = status;
  return html`
    <section class="card top" aria-labelledby="state">
      <h1 id="state">${connection.connectionId} <span class="quiet">${connection.targetSystem}</span></h1>
      ${showBadge(status)}
      <p class="summary">${showSummary(status)}</p>
      ${holds.length === 0 ? '' : showHolds(holds, now)} ${showWords(status)} ${showActions(status)}
      ${
        temporalUi === undefined
          ? ''
          : html`<p><a href="${temporalUi}" rel="noreferrer">This Workflow in the Temporal UI</a></p>`
      }
    </section>
    ${showResources(status, now)} ${showFailures(status)} ${showJournal(journal)} ${showEvents(events)}
  `;
}

function showHolds(holds: readonly ConnectionHold[], now: Date): Markup {
  return html`
    <h2>What holds it</h2>
    <ul>
      ${holds.map(
        ({ kind, placedBy, reason, since }) =>
          html`<li>
            <b>${toWords(kind)}</b>: ${reason} <span class="quiet">${placedBy}, ${showAge(since, now)}</span>
          </li>`,
      )}
    </ul>
  `;
}

/** What Maesn said to the request that is tried again. */
function showWords({ retry }: SyncStatus): Markup | '' {
  if (retry?.errors === undefined && retry?.downstreamErrors === undefined) return '';
  return html`<pre tabindex="0" aria-label="What Maesn said">
${toJson({ errors: retry.errors, downstreamErrors: retry.downstreamErrors })}</pre>`;
}

/** While nothing is under way, what the last cycle did. */
function reportsOf({ state, resources, lastReport }: SyncStatus): SyncStatus['resources'] {
  return state === 'Idle' && lastReport !== undefined ? { ...resources, ...lastReport.resources } : resources;
}

function showResources(status: SyncStatus, now: Date): Markup | '' {
  const reports = reportsOf(status);
  const { connectionId } = status.connection;
  const names = [...new Set([...keysOf(reports), ...keysOf(status.freshness)])];
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
            ${names.map((name) => showResource(connectionId, name, reports[name], status.freshness[name]?.asOf, now))}
          </tbody>
        </table>
      </div>
    </section>
  `;
}

function showResource(
  connectionId: string,
  name: Resource,
  report: ResourceReport | undefined,
  asOf: Date | undefined,
  now: Date,
): Markup {
  const { status = 'waiting', pages = 0, totalPages, records = 0, flagged = 0, retries = 0 } = report ?? {};
  const progress =
    totalPages === undefined
      ? html`${pages}`
      : html`<progress value="${pages}" max="${Math.max(1, totalPages)}" aria-label="${name}"></progress> ${pages} of
          ${totalPages}`;
  return html`
    <tr>
      <th scope="row"><a href="/ui/connections/${connectionId}/records/${name}">${name}</a></th>
      <td>${status}</td>
      <td class="progress">${progress}</td>
      <td class="number">${records}</td>
      <td class="number">${flagged}</td>
      <td class="number">${retries}</td>
      <td>${asOf === undefined ? '' : showAge(asOf, now)}</td>
    </tr>
  `;
}

function showFailures(status: SyncStatus): Markup | '' {
  const reports = reportsOf(status);
  const failed = keysOf(reports).flatMap((name) => {
    const failure = reports[name]?.failure;
    return failure === undefined ? [] : [{ name, failure }];
  });
  if (failed.length === 0) return '';
  return html`
    <section class="card" aria-labelledby="failures">
      <h2 id="failures">What the last run could not do</h2>
      ${failed.map(({ name, failure: { message, errors, downstreamErrors, validationErrors } }) => {
        const said = { errors, downstreamErrors, validationErrors };
        const words = Object.values(said).some((entries) => entries !== undefined);
        return html`<h3>${name}</h3>
          <p>${message}</p>
          ${words ? html`<pre tabindex="0" aria-label="What Maesn said about ${name}">${toJson(said)}</pre>` : ''}`;
      })}
    </section>
  `;
}

function showJournal(entries: readonly JournalEntry[]): Markup {
  return html`
    <section class="card" aria-labelledby="journal">
      <h2 id="journal">Journal</h2>
      <ol class="log">
        ${entries.map(
          ({ at, actor, action, detail }) =>
            html`<li>
              <time datetime="${at.toISOString()}">${showMoment(at)}</time>
              <span><b>${actor}</b> ${toWords(action)} <span class="quiet">${showDetail(detail)}</span></span>
            </li>`,
        )}
      </ol>
    </section>
  `;
}

function showEvents(events: readonly Event[]): Markup | '' {
  if (events.length === 0) return '';
  return html`
    <section class="card" aria-labelledby="events">
      <h2 id="events">Told to your application</h2>
      <ol class="log">
        ${events.map(({ createdAt, type, deliveredAt, attempts, lastError }) => {
          const waiting = attempts === 0 ? 'not delivered' : `tried ${attempts} times: it ${lastError ?? ''}`;
          return html`<li>
            <time datetime="${createdAt.toISOString()}">${showMoment(createdAt)}</time>
            <span
              ><b>${type}</b>
              <span class="quiet"
                >${deliveredAt === null ? waiting : `delivered on ${showMoment(deliveredAt)}`}</span
              ></span
            >
          </li>`;
        })}
      </ol>
    </section>
  `;
}

function showDetail(detail: JournalEntry['detail']): string {
  return Object.entries(detail)
    .filter(([, value]) => typeof value === 'string' || typeof value === 'number')
    .map(([name, value]) => `${name}: ${String(value)}`)
    .join(', ');
}

function toJson(value: object): string {
  return JSON.stringify(value, undefined, 2);
}
