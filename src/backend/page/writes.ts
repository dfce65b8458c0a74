/** What was to be written, and, where nobody knows what became of it, what a person can say. */
import { html } from 'hono/html';
import type { Write } from '../../client.js';
import { showAge, toWords } from './layout.js';
import type { Markup } from './layout.js';

export const WRITES_SHOWN = 20;
/** More of them are not counted. */
export const UNDECIDED_COUNTED = 200;

/** A word, a shape and a colour. */
const STATES = {
  waiting: ['○', 'quiet'],
  sending: ['●', 'busy'],
  unknown: ['?', 'warn'],
  task: ['●', 'busy'],
  undecided: ['!', 'bad'],
  applied: ['✓', 'good'],
  partly_applied: ['!', 'warn'],
  refused: ['✕', 'bad'],
  abandoned: ['○', 'quiet'],
  cancelled: ['○', 'quiet'],
  ended: ['○', 'quiet'],
} as const satisfies Record<Write['state'] | NonNullable<Write['outcome']>, readonly [shape: string, tone: string]>;

/** `undecided`: all of them that are shown, whether or not they are among the newest. */
export function showWrites(newest: readonly Write[], undecided: readonly Write[], now: Date): Markup | '' {
  const others = newest.filter(({ state }) => state !== 'undecided');
  const writes = [...undecided, ...others].slice(0, Math.max(WRITES_SHOWN, undecided.length));
  if (writes.length === 0) return '';
  return html`
    <section class="card" aria-labelledby="writes">
      <h2 id="writes">Writes</h2>
      <div class="scroll" role="region" aria-labelledby="writes" tabindex="0">
        <table>
          <thead>
            <tr>
              <th scope="col">Key</th>
              <th scope="col">Operation</th>
              <th scope="col">State</th>
              <th scope="col">Since</th>
              <th scope="col">Why</th>
            </tr>
          </thead>
          <tbody>
            ${writes.map((write) => showWrite(write, now))}
          </tbody>
        </table>
      </div>
    </section>
  `;
}

function showWrite(write: Write, now: Date): Markup {
  const { id, idempotencyKey, operation, state, outcome, changedAt, because } = write;
  const [shape, tone] = STATES[outcome ?? state];
  return html`
    <tr id="write-${id}">
      <th scope="row">${idempotencyKey}</th>
      <td>${operation}</td>
      <td>
        <span class="badge ${tone}"><span aria-hidden="true">${shape}</span> ${toWords(outcome ?? state)}</span>
      </td>
      <td>${showAge(changedAt, now)}</td>
      <td class="words">${because ?? ''} ${state === 'undecided' ? showDecision(write) : ''}</td>
    </tr>
  `;
}

const DECISIONS = [
  ['applied', 'Applied', ''],
  ['not-applied', 'Not applied, send again', 'danger'],
  ['abandoned', 'Let it be', ''],
] as const;

function showDecision({ connectionId, idempotencyKey, sends }: Write): Markup {
  return html`
    <div class="actions">
      ${DECISIONS.map(
        ([name, label, kind]) => html`
          <form method="post" action="/ui/connections/${connectionId}/write-${name}">
            <input type="hidden" name="sends" value="${sends}" />
            <button class="${kind}" name="key" value="${idempotencyKey}" aria-label="${label}: ${idempotencyKey}">
              ${label}
            </button>
          </form>
        `,
      )}
    </div>
  `;
}

/** Of all connections, above the list. */
export function showUndecided(undecided: readonly Write[]): Markup | '' {
  if (undecided.length === 0) return '';
  const counts = new Map<string, number>();
  for (const { connectionId } of undecided) counts.set(connectionId, (counts.get(connectionId) ?? 0) + 1);
  const total = `${undecided.length}${undecided.length === UNDECIDED_COUNTED ? ' or more' : ''}`;
  return html`
    <p class="message bad" id="undecided">
      <b>${undecided.length === 1 ? '1 write is' : `${total} writes are`} undecided.</b> Nobody has said what became of
      ${undecided.length === 1 ? 'it' : 'them'}; somebody must look:
      ${[...counts].map(
        ([connectionId, count], index) =>
          html`${index === 0 ? '' : ', '}<a href="/ui/connections/${connectionId}#writes">${connectionId}</a>
            (${count})`,
      )}
    </p>
  `;
}
