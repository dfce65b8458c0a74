/** Pages without scripts and without anything from elsewhere. */
import { html, raw } from 'hono/html';
import type { HtmlEscapedString } from 'hono/utils/html';

export type Markup = HtmlEscapedString | Promise<HtmlEscapedString>;

const STYLE = `
:root { color-scheme: light dark; --line: #8a8f98; --quiet: #565b64; --accent: #0b57d0; --on-accent: #fff; }
@media (prefers-color-scheme: dark) { :root { --quiet: #b3b8c2; --accent: #8ab4f8; --on-accent: #10151f; } }
body { font: 1rem/1.5 system-ui, sans-serif; max-width: 64rem; margin: 2rem auto; padding: 0 1rem; }
main.narrow { max-width: 28rem; margin: 0 auto; }
h1 { font-size: 1.5rem; } h2 { font-size: 1.125rem; }
p.quiet, td.quiet { color: var(--quiet); }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; width: 100%; font-size: 0.875rem; }
th, td { text-align: start; padding: 0.375rem 0.75rem 0.375rem 0; border-bottom: 1px solid var(--line); vertical-align: top; }
caption { text-align: start; font-weight: 600; padding-bottom: 0.5rem; }
fieldset { border: 1px solid var(--line); border-radius: 0.5rem; padding: 0.75rem 1rem; }
label { display: flex; gap: 0.5rem; padding: 0.375rem 0; }
button { font: inherit; padding: 0.5rem 1rem; border-radius: 0.5rem; border: 1px solid var(--line); cursor: pointer; }
button.primary { background: var(--accent); color: var(--on-accent); border-color: var(--accent); }
:focus-visible { outline: 3px solid var(--accent); outline-offset: 2px; }
form p { display: flex; gap: 0.75rem; }
`;

export interface PageOptions {
  readonly title: string;
  readonly body: Markup;
  readonly status?: number;
  readonly narrow?: boolean;
}

export async function toPage({ title, body, status = 200, narrow = false }: PageOptions): Promise<Response> {
  const page = await html`<!doctype html>
    <html lang="en">
      <head>
        <meta charset="utf-8" />
        <meta name="viewport" content="width=device-width, initial-scale=1" />
        <title>${title}</title>
        <style>
          ${raw(STYLE)}
        </style>
      </head>
      <body>
        <main class="${narrow ? 'narrow' : 'wide'}">
          <h1>${title}</h1>
          ${body}
        </main>
      </body>
    </html>`;
  return new Response(page.toString(), {
    status,
    headers: {
      'content-type': 'text/html; charset=utf-8',
      'cache-control': 'no-store',
      // No `form-action`: browsers apply it to redirects too, and signing in redirects to the caller.
      'content-security-policy':
        "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; frame-ancestors 'none'",
    },
  });
}
