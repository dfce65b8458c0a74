/** The sandbox seen by a person: which accounts there are, what was asked of them, and a way to take a login away. */
import { Hono } from 'hono';
import { html } from 'hono/html';
import { DEFAULT_RESOURCES } from '../src/spec/resources.js';
import type { OpenAccount } from './account.js';
import type { SandboxEnv } from './answer-call.js';
import { toPage } from './html.js';
import type { Registry } from './registry.js';
import type { LoggedRequest } from './request-log.js';

const SHOWN_REQUESTS = 50;

export function createStatusPage(registry: Registry, requests: readonly LoggedRequest[]): Hono<SandboxEnv> {
  const page = new Hono<SandboxEnv>();

  page.get('/sandbox', () =>
    toPage({
      title: 'Sandbox',
      body: html`
        <p class="quiet">
          Invented books behind Maesn’s API. Take a login away and watch what happens. <a href="/sandbox">Reload</a>
        </p>
        ${showAccounts(registry.accounts)} ${showRequests(requests.slice(-SHOWN_REQUESTS).toReversed())}
      `,
    }),
  );

  page.post('/sandbox/revoke', async (context) => {
    const { account } = await context.req.parseBody();
    const found = typeof account === 'string' ? registry.byName(account) : undefined;
    if (found === undefined) return toPage({ title: 'There is no such account', status: 404, body: html`` });
    found.revoke();
    return context.redirect('/sandbox', 303);
  });

  return page;
}

function showAccounts(accounts: readonly OpenAccount[]) {
  const rows = accounts.map(
    (account) => html`
      <tr>
        <th scope="row">${account.name}</th>
        <td>${account.targetSystem}</td>
        <td>${countsOf(account)}</td>
        <td>${account.revoked ? 'revoked' : 'signed in'}</td>
        <td>${account.revoked ? '' : showRevoke(account)}</td>
      </tr>
    `,
  );
  return html`
    <div class="scroll" role="region" aria-label="Accounts" tabindex="0">
      <table>
        <caption>
          Accounts
        </caption>
        <thead>
          <tr>
            <th scope="col">Name</th>
            <th scope="col">Target system</th>
            <th scope="col">Records</th>
            <th scope="col">Login</th>
            <th scope="col">Action</th>
          </tr>
        </thead>
        <tbody>
          ${rows}
        </tbody>
      </table>
    </div>
  `;
}

function showRevoke({ name }: OpenAccount) {
  return html`
    <form method="post" action="/sandbox/revoke">
      <input type="hidden" name="account" value="${name}" />
      <button aria-label="Revoke the login of ${name}">Revoke</button>
    </form>
  `;
}

function countsOf(account: OpenAccount): string {
  const counts = DEFAULT_RESOURCES.map((resource) => ({ resource, count: account.count(resource) }));
  const held = counts.filter(({ count }) => count > 0).map(({ resource, count }) => `${count} ${resource}`);
  return held.length === 0 ? 'none' : held.join(', ');
}

function showRequests(requests: readonly LoggedRequest[]) {
  const rows = requests.map(
    ({ time, account, method, path, page, status, fault }) => html`
      <tr>
        <td><time datetime="${time}">${time.slice(11, 23)}</time></td>
        <td>${account ?? ''}</td>
        <td>${method} ${path}${page === undefined ? '' : ` page ${page}`}</td>
        <td>${status ?? 'no answer'}</td>
        <td>${fault ?? ''}</td>
      </tr>
    `,
  );
  return html`
    <div class="scroll" role="region" aria-label="Requests" tabindex="0">
      <table>
        <caption>
          The last ${SHOWN_REQUESTS} requests, newest first
        </caption>
        <thead>
          <tr>
            <th scope="col">Time (UTC)</th>
            <th scope="col">Account</th>
            <th scope="col">Request</th>
            <th scope="col">Answer</th>
            <th scope="col">Fault</th>
          </tr>
        </thead>
        <tbody>
          ${rows}
        </tbody>
      </table>
    </div>
  `;
}
