import { html } from 'hono/html';
import type { Incident, SyncStatus, Write } from '../../client.js';
import { showIncidents } from './incidents.js';
import { showAge, toShown } from './layout.js';
import type { Markup } from './layout.js';
import { showBadge, showSummary } from './state.js';
import { showUndecided } from './writes.js';

export const PAGE_SIZE = 50;

export interface ListPage {
  /** Up to `PAGE_SIZE`, and one more where others follow. */
  readonly statuses: readonly SyncStatus[];
  /** Those that are open. */
  readonly incidents: readonly Incident[];
  /** Writes of which a person must say what became of them. */
  readonly undecided: readonly Write[];
}

export function showList({ statuses, incidents, undecided }: ListPage, now: Date): Markup {
  if (statuses.length === 0) {
    return html`<p class="empty">
      There is no connection yet. Add one below, or with <code>POST /connections</code>.
    </p>`;
  }
  const { shown, last } = toShown(statuses, PAGE_SIZE);
  return html`
    ${showIncidents(incidents, now)} ${showUndecided(undecided)}
    <ul class="connections">
      ${shown.map((status) => showRow(status, now))}
    </ul>
    ${
      last === undefined
        ? ''
        : html`<p><a href="/ui?after=${encodeURIComponent(last.connection.connectionId)}">More connections</a></p>`
    }
  `;
}

function showRow(status: SyncStatus, now: Date): Markup {
  const { connectionId, targetSystem } = status.connection;
  const oldest = Object.values(status.freshness).toSorted((a, b) => a.asOf.getTime() - b.asOf.getTime())[0];
  return html`
    <li id="row-${connectionId}">
      <div class="name">
        <a href="/ui/connections/${connectionId}">${connectionId}</a> <span class="quiet">${targetSystem}</span>
      </div>
      ${showBadge(status)}
      <p>${showSummary(status)}</p>
      <p class="quiet">${oldest === undefined ? 'never synced' : html`as of ${showAge(oldest.asOf, now)}`}</p>
    </li>
  `;
}

export function showAddForm(): Markup {
  return html`
    <details class="card">
      <summary>Add a connection</summary>
      <form method="post" action="/ui/connections" class="fields">
        <label>Connection id <input name="connectionId" required pattern="[A-Za-z0-9][A-Za-z0-9._:\\-]{0,99}" /></label>
        <label>Target system <input name="targetSystem" required pattern="[a-z0-9][a-z0-9\\-]{0,99}" /></label>
        <button>Add</button>
      </form>
    </details>
  `;
}
