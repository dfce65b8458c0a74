/** What an end user sees of a target system: a page to sign in, and what comes of it. */
import { html } from 'hono/html';
import type { OpenAccount } from './account.js';
import { toPage } from './html.js';
import type { Markup } from './html.js';
import type { Login } from './login.js';

export function showLogin(login: Login, accounts: readonly OpenAccount[], status = 200): Promise<Response> {
  const own = accounts.filter(({ targetSystem }) => targetSystem === login.targetSystem);
  // A login that was lost is what a person most likely came to renew.
  const preselected = own.find(({ revoked }) => revoked) ?? own[0];
  return toPage({
    title: `Sign in to ${login.targetSystem}`,
    status,
    narrow: true,
    body: html`
      <p class="quiet">This is a sandbox: it stands in for the login page of a real accounting system.</p>
      ${status === 200 ? '' : html`<p role="alert">Choose one of the accounts below.</p>`}
      <form method="post">
        <fieldset>
          <legend>Which books?</legend>
          ${own.map((account) =>
            showChoice(
              account.name,
              account.revoked ? `${account.name} (login revoked)` : account.name,
              account === preselected,
            ),
          )}
          ${showChoice('', 'A new account with 25 records of everything', preselected === undefined)}
        </fieldset>
        <p>
          <button class="primary" name="action" value="signIn">Sign in</button>
          <button name="action" value="cancel" formnovalidate>Cancel</button>
        </p>
      </form>
    `,
  });
}

/** Unknown ids are shown the same: nobody learns which ones there were. */
export function showEndedLogin(): Promise<Response> {
  return toPage({
    title: 'This login page is no longer valid',
    status: 410,
    narrow: true,
    body: html`<p>
      A login page can be used once, and for a short time. Go back to where you came from and ask for a new one.
    </p>`,
  });
}

export function showOutcome(outcome: 'signed in' | 'cancelled'): Promise<Response> {
  return toPage({
    title: outcome === 'signed in' ? 'You are signed in' : 'You did not sign in',
    narrow: true,
    body: html`<p>You can close this page.</p>`,
  });
}

function showChoice(value: string, label: string, checked: boolean): Markup {
  return html`
    <label>
      <input type="radio" name="account" value="${value}" required ${checked ? 'checked' : ''} />
      <span>${label}</span>
    </label>
  `;
}
