/** The shell of every page, and what they are made of. Everything that is not markup of ours is escaped. */
import type { Context } from 'hono';
import { html } from 'hono/html';
import type { HtmlEscapedString } from 'hono/utils/html';
import type { ContentfulStatusCode } from 'hono/utils/http-status';

export type Markup = HtmlEscapedString | Promise<HtmlEscapedString>;

/**
 * Nothing from elsewhere, nothing inline. `form-action` stays open to redirects: pressing Reconnect leads to the login page
 * of an accounting system, and browsers hold a form to this also where its answer redirects.
 */
const POLICY =
  "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self'; base-uri 'none'; frame-ancestors 'none'";

export interface PageOptions {
  readonly title: string;
  /** Changes while it is looked at: sent anew by `stream` when it does. */
  readonly live: Markup;
  /** Stays as it is. */
  readonly still?: Markup | undefined;
  readonly stream?: string | undefined;
  readonly message?: { readonly text: string; readonly bad: boolean } | undefined;
  readonly status?: ContentfulStatusCode;
  /** Whether there is somebody to sign out. */
  readonly signedIn: boolean;
}

export function toPage(c: Context, { title, live, still, stream, message, status = 200, signedIn }: PageOptions) {
  c.header('Content-Security-Policy', POLICY);
  c.header('Cache-Control', 'no-store');
  return c.html(
    html`<!doctype html>
      <html lang="en">
        <head>
          <meta charset="utf-8" />
          <meta name="viewport" content="width=device-width, initial-scale=1" />
          <meta name="color-scheme" content="light dark" />
          <title>${title} · maesn-sync</title>
          <link rel="stylesheet" href="/ui/assets/page.css" />
          <script type="module" src="/ui/assets/page.js"></script>
        </head>
        <body>
          <a class="skip" href="#main">Skip to the content</a>
          <header>
            <a class="brand" href="/ui">maesn-sync</a>
            <nav aria-label="Pages"><a href="/ui">Connections</a> <a href="/reference">HTTP API</a></nav>
            ${signedIn ? html`<form method="post" action="/sign-out"><button class="plain">Sign out</button></form>` : ''}
          </header>
          <main id="main" tabindex="-1">
            ${
              message === undefined
                ? ''
                : html`<p class="message ${message.bad ? 'bad' : 'good'}" role="${message.bad ? 'alert' : 'status'}">
                    ${message.text}
                  </p>`
            }
            <p id="lost" class="message bad" role="status" hidden>
              The connection to maesn-sync is lost; what you see is from before. Trying again…
            </p>
            <div id="live" data-stream="${stream ?? ''}">${live}</div>
            ${still ?? ''}
          </main>
        </body>
      </html>`,
    status,
  );
}

/** Of a list that was read with one more than the page shows: `last` is the one behind which there are others. */
export function toShown<Item>(read: readonly Item[], size: number) {
  const shown = read.slice(0, size);
  return { shown, last: read.length > size ? shown.at(-1) : undefined };
}

const AGES: readonly (readonly [ms: number, unit: Intl.RelativeTimeFormatUnit])[] = [
  [86_400_000, 'day'],
  [3_600_000, 'hour'],
  [60_000, 'minute'],
];
const RELATIVE = new Intl.RelativeTimeFormat('en', { numeric: 'always' });

/** `12 minutes ago`, and the moment itself for whoever asks. */
export function showAge(time: Date, now: Date): Markup {
  const age = now.getTime() - time.getTime();
  const found = AGES.find(([least]) => age >= least);
  // Nobody needs to see seconds pass, and a page that changes every second is sent every second.
  const text = found === undefined ? 'less than a minute ago' : RELATIVE.format(-Math.floor(age / found[0]), found[1]);
  return html`<time datetime="${time.toISOString()}" title="${showMoment(time)}">${text}</time>`;
}

/** `2026-11-23 07:31:05 UTC` */
export function showMoment(time: Date): string {
  return `${time.toISOString().slice(0, 19).replace('T', ' ')} UTC`;
}

/** `reauthorization_required` -> `reauthorization required` */
export function toWords(name: string): string {
  return name.replaceAll('_', ' ');
}
