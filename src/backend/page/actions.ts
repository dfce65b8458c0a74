/** What can be pressed, given how a sync is doing; every button is a form, and works without scripts. */
import { html } from 'hono/html';
import type { SyncStatus } from '../../client.js';
import type { Markup } from './layout.js';

const ENDED = new Set<SyncStatus['state']>(['NotStarted', 'Completed', 'Failed', 'Cancelled', 'Terminated']);

export function showActions({ connection, state, retry, holds }: SyncStatus): Markup {
  const path = `/ui/connections/${connection.connectionId}`;
  const isPaused = holds.some(({ kind }) => kind === 'paused');
  const isGuarded = holds.some(({ kind }) => kind === 'delete_guard');
  const needsLogin = connection.status !== 'active';
  const runs = !ENDED.has(state);
  return html`
    <div class="actions">
      ${needsLogin ? button(`${path}/reconnect`, connection.keyVersion === 0 ? 'Connect' : 'Reconnect', 'primary') : ''}
      ${retry === undefined ? '' : button(`${path}/retry`, 'Retry now', needsLogin ? '' : 'primary')}
      ${isPaused ? button(`${path}/resume`, 'Resume', 'primary') : ''} ${isGuarded ? showDecision(path) : ''}
      ${state === 'Idle' ? button(`${path}/now`, 'Sync now') : ''} ${runs ? '' : showStart(path)}
      ${isPaused ? '' : showPause(path)} ${needsLogin ? '' : button(`${path}/reconnect`, 'Reconnect')}
      ${runs ? showCancel(path) : ''}
    </div>
  `;
}

function button(action: string, label: string, kind = ''): Markup {
  return html`<form method="post" action="${action}"><button class="${kind}">${label}</button></form>`;
}

function showDecision(path: string): Markup {
  return html`${button(`${path}/delete-gone`, 'Delete what is gone', 'danger')}
  ${button(`${path}/keep-gone`, 'Keep it')}`;
}

function showStart(path: string): Markup {
  return html`
    <details id="start">
      <summary>Start a sync</summary>
      <form method="post" action="${path}/start" class="fields">
        <label>Resources <input name="resources" placeholder="all, or: invoices, customers" /></label>
        <label>Every <input name="every" placeholder="once, or: 15 minutes" /></label>
        <button class="primary">Start</button>
      </form>
    </details>
  `;
}

function showPause(path: string): Markup {
  return html`
    <details id="pause">
      <summary>Pause</summary>
      <form method="post" action="${path}/pause" class="fields">
        <label>Reason <input name="reason" required maxlength="500" /></label>
        <button class="primary">Pause</button>
      </form>
    </details>
  `;
}

function showCancel(path: string): Markup {
  return html`
    <details id="cancel">
      <summary>Cancel</summary>
      <form method="post" action="${path}/cancel" class="fields">
        <p>The sync ends after the page in flight. What is in the store stays; the next sync goes on from there.</p>
        <button class="danger">Cancel the sync</button>
      </form>
    </details>
  `;
}
