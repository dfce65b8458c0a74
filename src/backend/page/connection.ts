import { html } from 'hono/html';
import type { ConnectionHold, Event, Incident, JournalEntry, ResourceStatus, SyncStatus, Write } from '../../client.js';
import { keysOf } from '../../spec/table.js';
import { showActions } from './actions.js';
import { showIncidents } from './incidents.js';
import { showAge, showMoment, toWords } from './layout.js';
import type { Markup } from './layout.js';
import { reportsOf, showResources, showWarnings } from './resources.js';
import { showBadge, showSummary } from './state.js';
import { showWrites } from './writes.js';

export interface ConnectionPage {
  readonly status: SyncStatus;
  readonly journal: readonly JournalEntry[];
  readonly events: readonly Event[];
  readonly resources: readonly ResourceStatus[];
  /** Those that are open. */
  readonly incidents: readonly Incident[];
  /** Newest first. */
  readonly writes: readonly Write[];
  readonly undecided: readonly Write[];
  readonly temporalUi: string | undefined;
}

export function showConnection(page: ConnectionPage, now: Date): Markup {
  const { status, journal, events, resources, incidents, writes, undecided, temporalUi } = page;
  const { connection, holds } = status;
  const concerning = incidents.filter(
    ({ targetSystem }) => targetSystem === null || targetSystem === connection.targetSystem,
  );
  return html`
    ${showIncidents(concerning, now)}
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
    ${showResources(status, now)} ${showFailures(status)} ${showWrites(writes, undecided, now)}
    ${showWarnings(resources)} ${showJournal(journal)} ${showEvents(events)}
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

function showFailures(status: SyncStatus): Markup | '' {
  const reports = reportsOf(status);
  const failed = keysOf(reports).flatMap((name) => {
    const failure = reports[name]?.failure;
    // What is not offered says so in its row.
    return failure === undefined || status.notOffered[name] !== undefined ? [] : [{ name, failure }];
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
      <ol class="log" tabindex="0" aria-labelledby="journal">
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
      <ol class="log" tabindex="0" aria-labelledby="events">
        ${events.map(({ createdAt, type, deliveredAt, attempts, lastError, incidentId }) => {
          const tried = attempts === 0 ? 'not delivered' : `tried ${attempts} times: it ${lastError ?? ''}`;
          const waiting = incidentId === null ? tried : `not delivered: told as incident ${incidentId}`;
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
