import { html } from 'hono/html';
import type { Incident } from '../../client.js';
import { incidentRule } from '../../spec/incidents.js';
import { showAge } from './layout.js';
import type { Markup } from './layout.js';

/** What concerns many connections at once, above everything else. */
export function showIncidents(incidents: readonly Incident[], now: Date): Markup | '' {
  if (incidents.length === 0) return '';
  return html`${incidents.map(({ id, kind, targetSystem, connections, openedAt }) => {
    const { what, advice } = incidentRule(kind);
    return html`<p class="message bad" id="incident-${id}">
      <b>Incident ${id}: ${what}${targetSystem === null ? '' : html` (${targetSystem})`}.</b> ${advice}
      <span class="quiet">${connections} connections, since ${showAge(openedAt, now)}.</span>
    </p>`;
  })}`;
}
