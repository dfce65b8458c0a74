import { html } from 'hono/html';
import type { StoredRecord } from '../../client.js';
import { showAge, toShown } from './layout.js';
import type { Markup } from './layout.js';

export const RECORDS_A_PAGE = 50;

export interface RecordsPage {
  readonly connectionId: string;
  readonly resource: string;
  /** Up to `RECORDS_A_PAGE`, and one more where others follow. */
  readonly records: readonly StoredRecord[];
}

/** What the store holds of a resource, in order of key. */
export function showRecords({ connectionId, resource, records }: RecordsPage, now: Date): Markup {
  const path = `/ui/connections/${connectionId}`;
  const { shown, last } = toShown(records, RECORDS_A_PAGE);
  return html`
    <section class="card" aria-labelledby="records">
      <h1 id="records">
        ${resource} <span class="quiet">of <a href="${path}">${connectionId}</a></span>
      </h1>
      ${shown.length === 0 ? html`<p class="empty">There are no records here.</p>` : ''}
      ${shown.map(
        ({ key, record, modifiedAt, syncedAt, problems, deletedAt }) => html`
          <details class="record">
            <summary>
              <code>${key}</code>
              <span class="quiet"
                >${modifiedAt === null ? '' : html`modified ${showAge(modifiedAt, now)},`} stored
                ${showAge(syncedAt, now)}${deletedAt === null ? '' : ', deleted'}${
                  problems === null ? '' : `, flagged: ${problems.join(', ')}`
                }</span
              >
            </summary>
            <pre tabindex="0">${JSON.stringify(record, undefined, 2)}</pre>
          </details>
        `,
      )}
      ${
        last === undefined
          ? ''
          : html`<p><a href="${path}/records/${resource}?after=${encodeURIComponent(last.key)}">More records</a></p>`
      }
    </section>
  `;
}
