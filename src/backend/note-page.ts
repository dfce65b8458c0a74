/** A page that says one thing, to an end user or to somebody who has to sign in. Without scripts. */
import type { Context } from 'hono';
import { html } from 'hono/html';
import type { HtmlEscapedString } from 'hono/utils/html';
import type { ContentfulStatusCode } from 'hono/utils/http-status';

export interface NotePage {
  readonly title: string;
  readonly text: string;
  readonly status?: ContentfulStatusCode;
  readonly form?: HtmlEscapedString | Promise<HtmlEscapedString>;
}

export const NOTE_STYLE = `
:root { color-scheme: light dark; font: 1rem/1.5 system-ui, sans-serif; }
body { max-width: 28rem; margin: 20vh auto 2rem; padding: 0 1.25rem; }
h1 { font-size: 1.375rem; line-height: 1.25; }
label { display: grid; gap: 0.25rem; }
input, button { font: inherit; padding: 0.5rem 0.75rem; border: 1px solid #7a808a; border-radius: 0.5rem; }
button { margin-top: 0.75rem; cursor: pointer; }
:focus-visible { outline: 3px solid #4c8dff; outline-offset: 2px; }
`;

export function toNotePage(c: Context, { title, text, status = 200, form }: NotePage) {
  c.header('Cache-Control', 'no-store');
  c.header(
    'Content-Security-Policy',
    "default-src 'none'; style-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
  );
  return c.html(
    html`<!doctype html>
      <html lang="en">
        <head>
          <meta charset="utf-8" />
          <meta name="viewport" content="width=device-width, initial-scale=1" />
          <title>${title}</title>
          <link rel="stylesheet" href="/note.css" />
        </head>
        <body>
          <main>
            <h1>${title}</h1>
            <p>${text}</p>
            ${form ?? ''}
          </main>
        </body>
      </html>`,
    status,
  );
}
