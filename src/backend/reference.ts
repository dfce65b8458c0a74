/** The API as an OpenAPI document, and a page on which people read and try it. */
import { readFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { OpenAPIHono } from '@hono/zod-openapi';
import { html } from 'hono/html';
import type { Api } from './routes/define.js';

const ASSETS = {
  'swagger-ui-bundle.js': 'text/javascript; charset=utf-8',
  'swagger-ui.css': 'text/css; charset=utf-8',
} as const;

const START = `window.addEventListener('load', () => SwaggerUIBundle({ url: '/openapi.json', dom_id: '#reference' }));`;

export interface ReferenceOptions {
  readonly version: string;
  readonly publicUrl: string;
  /** Whether callers need a token. */
  readonly secured: boolean;
}

export function openApiDocument(api: Api, { version, publicUrl, secured }: ReferenceOptions) {
  if (secured) {
    api.openAPIRegistry.registerComponent('securitySchemes', 'token', {
      type: 'http',
      scheme: 'bearer',
      description: 'One of MAESN_SYNC_TOKENS.',
    });
  }
  return api.getOpenAPI31Document({
    openapi: '3.1.0',
    info: {
      title: 'maesn-sync',
      version,
      description:
        'Connections, their syncs, their logins, their records, and what is written. Errors are RFC 9457 problems.',
      license: { name: 'MIT', url: 'https://opensource.org/license/mit' },
    },
    servers: [{ url: publicUrl }],
    ...(secured ? { security: [{ token: [] }] } : {}),
  });
}

export function createReference(document: object) {
  const app = new OpenAPIHono();

  app.get('/openapi.json', (c) => c.json(document));

  app.get('/reference', (c) => {
    c.header(
      'Content-Security-Policy',
      // Swagger UI sets styles of its own and draws its icons from data.
      "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; connect-src 'self'; base-uri 'none'; frame-ancestors 'none'",
    );
    return c.html(
      html`<!doctype html>
        <html lang="en">
          <head>
            <meta charset="utf-8" />
            <meta name="viewport" content="width=device-width, initial-scale=1" />
            <title>maesn-sync: HTTP API</title>
            <link rel="stylesheet" href="/reference/swagger-ui.css" />
            <script src="/reference/swagger-ui-bundle.js"></script>
            <script src="/reference/start.js"></script>
          </head>
          <body>
            <main id="reference"></main>
          </body>
        </html>`,
    );
  });

  app.get('/reference/start.js', (c) => c.body(START, 200, { 'Content-Type': ASSETS['swagger-ui-bundle.js'] }));
  for (const [file, type] of Object.entries(ASSETS)) {
    app.get(`/reference/${file}`, async (c) => {
      c.header('Cache-Control', 'public, max-age=86400');
      return c.body(await readFile(assetPath(file)), 200, { 'Content-Type': type });
    });
  }
  return app;
}

/** The build copies them beside this file; in the sources they are where npm has put them. */
function assetPath(file: string): string {
  if (!import.meta.url.endsWith('.ts')) return fileURLToPath(new URL(`./assets/${file}`, import.meta.url));
  return fileURLToPath(import.meta.resolve(`swagger-ui-dist/${file}`));
}
