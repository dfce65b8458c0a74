import { html } from 'hono/html';
import type { Incident } from '../../client.js';
import { incidentRule } from '../../spec/incidents.js';
import { showAge } from './layout.js';
import type { Markup } from './layout.js';

/** Every button is a form, and works without scripts. */
function showRetry(targetSystem: string): Markup {
  return html`<form method="post" action="/ui/retry-now" class="actions">
    <input type="hidden" name="targetSystem" value="${targetSystem}" />
    <button aria-label="Retry now: ${targetSystem}">Retry all of them now, over ten minutes</button>
  </form>`;
}

/** What concerns many connections at once, above everything else. */
export function showIncidents(incidents: readonly Incident[], now: Date): Markup | '' {
  if (incidents.length === 0) return '';
  return html`${incidents.map(({ id, kind, targetSystem, connections, openedAt }) => {
    const { what, advice } = incidentRule(kind);
    return html`<div class="message bad" id="incident-${id}">
      <b>Incident ${id}: ${what}${targetSystem === null ? '' : html` (${targetSystem})`}.</b> ${advice}
      <span class="quiet">${connections} connections, since ${showAge(openedAt, now)}.</span>
      ${kind === 'target_system_failing' && targetSystem !== null ? showRetry(targetSystem) : ''}
    </div>`;
  })}`;
}
