/** A state at a glance: a word, a shape and a colour, so that none of the three is needed. */
import { html } from 'hono/html';
import type { SyncStatus } from '../../client.js';
import type { Markup } from './layout.js';

const BADGES = {
  Syncing: ['●', 'busy', 'Syncing'],
  Retrying: ['↻', 'warn', 'Retrying'],
  Waiting: ['↻', 'warn', 'Waiting'],
  AwaitingReauthorization: ['!', 'bad', 'Must sign in'],
  Paused: ['‖', 'held', 'Paused'],
  Held: ['‖', 'held', 'Held'],
  Idle: ['✓', 'good', 'Up to date'],
  Failing: ['✕', 'bad', 'Failing'],
  Completed: ['✓', 'good', 'Completed'],
  Failed: ['✕', 'bad', 'Failed'],
  Cancelled: ['○', 'quiet', 'Cancelled'],
  Terminated: ['○', 'quiet', 'Terminated'],
  NotStarted: ['○', 'quiet', 'Not started'],
  NotConnected: ['○', 'quiet', 'Not connected'],
  Unknown: ['?', 'warn', 'No Worker'],
} as const;

type Badge = keyof typeof BADGES;

export function badgeOf({ state, retry, connection, holds, failedCycles = 0 }: SyncStatus): Badge {
  if (state === 'Paused' || state === 'Held') return state;
  if (retry !== undefined) return 'Retrying';
  if (connection.status === 'not_connected' && state === 'NotStarted') return 'NotConnected';
  if (holds.some(({ kind }) => kind === 'reauthorization')) return 'AwaitingReauthorization';
  return state === 'Idle' && failedCycles > 0 ? 'Failing' : state;
}

export function showBadge(status: SyncStatus): Markup {
  const [shape, tone, word] = BADGES[badgeOf(status)];
  return html`<span class="badge ${tone}"><span aria-hidden="true">${shape}</span> ${word}</span>`;
}

/** The summary, in which the time until the next attempt counts down. */
export function showSummary({ summary, retry }: SyncStatus): Markup {
  if (retry === undefined) return html`${summary}`;
  const [before, wait, after] = split(summary);
  return html`${before}<time data-countdown="${retry.nextAttemptAt.toISOString()}">${wait}</time>${after}`;
}

function split(summary: string): readonly [string, string, string] {
  const found = /^(?<before>.*next attempt in )(?<wait>[^.]*)(?<after>.*)$/s.exec(summary)?.groups;
  return [found?.['before'] ?? summary, found?.['wait'] ?? '', found?.['after'] ?? ''];
}
