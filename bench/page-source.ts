/**
 * Maesn for the benchmark, in a process of its own, as fast as can be: pages of invoices made beforehand, into which only
 * the ids are written. What it answers, and after how long, is set by `POST /bench`, which also counts from 0 again.
 */
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { json } from 'node:stream/consumers';
import { setTimeout as sleep } from 'node:timers/promises';
import { createRecordSource } from '../sandbox/records/generators.js';
import { PAGE_LIMIT } from '../src/spec/resources.js';
import { serve } from './child-process.js';
import { now } from './clock.js';
import { REFUSED_KEY, pageSourceSettings } from './page-source-client.js';
import type { PageSourceFigures, PageSourceSettings } from './page-source-client.js';

const TEMPLATES = 100;
/** The last group of an id is its record's number. */
const ID_DIGITS = 12;

interface Template {
  readonly body: Buffer;
  /** Where the number of each record is written, and where each record ends. */
  readonly places: readonly { readonly digits: number; readonly end: number }[];
}

const templates = createTemplates();
let settings: PageSourceSettings = { records: 0, delayMs: 0 };
let requests = 0;
let pages = new Set<string>();
let firstAt = new Map<string, number>();

const server = createServer((request, response) => void answer(request, response).catch(() => response.destroy()));
server.keepAliveTimeout = 60_000;
server.listen(0, '127.0.0.1');
await once(server, 'listening');

serve({
  url: () => {
    const address = server.address();
    if (address === null || typeof address === 'string') throw new Error('the page source listens on no port');
    return `http://127.0.0.1:${address.port}`;
  },
});

async function answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
  const { pathname, searchParams } = new URL(request.url ?? '/', 'http://localhost');
  if (pathname === '/bench') return answerBench(request, response);
  requests += 1;
  const accountKey = String(request.headers['x-account-key']);
  if (settings.delayMs > 0) await sleep(settings.delayMs);
  if (accountKey.startsWith(REFUSED_KEY)) return sendJson(response, 401, { meta: null, data: null, errors: [] });
  if (pathname !== '/accounting/invoices') return sendJson(response, 200, { meta: {}, data: {}, errors: null });
  if (!firstAt.has(accountKey)) firstAt.set(accountKey, now());
  const page = Number(searchParams.get('page') ?? 1);
  pages.add(JSON.stringify([accountKey, page, searchParams.get('lastModifiedAt')]));
  send(response, 200, toPage(page, searchParams.has('lastModifiedAt') ? 0 : settings.records));
}

async function answerBench(request: IncomingMessage, response: ServerResponse): Promise<void> {
  if (request.method === 'POST') {
    settings = pageSourceSettings.parse(await json(request));
    requests = 0;
    pages = new Set();
    firstAt = new Map();
  }
  const figures: PageSourceFigures = { requests, pages: pages.size, firstAt: Object.fromEntries(firstAt) };
  sendJson(response, 200, figures);
}

function toPage(page: number, total: number): Buffer {
  const offset = (page - 1) * PAGE_LIMIT;
  const count = Math.max(0, Math.min(PAGE_LIMIT, total - offset));
  const pagination = { total, perPage: PAGE_LIMIT, currentPage: page, totalPages: Math.ceil(total / PAGE_LIMIT) };
  const head = `{"meta":{"pagination":${JSON.stringify(pagination)}},"data":[`;
  return Buffer.concat([
    Buffer.from(head),
    toRecords(page, offset, count),
    Buffer.from('],"errors":null,"rawData":null}'),
  ]);
}

function toRecords(page: number, offset: number, count: number): Buffer {
  const template = templates[(page - 1) % TEMPLATES];
  const last = template?.places[count - 1];
  if (template === undefined || last === undefined) return Buffer.alloc(0);
  const body = Buffer.from(template.body.subarray(0, last.end));
  for (const [index, { digits }] of template.places.slice(0, count).entries()) {
    body.write((offset + index).toString(16).padStart(ID_DIGITS, '0'), digits, 'latin1');
  }
  return body;
}

function createTemplates(): Template[] {
  const source = createRecordSource('bench', 'Bench');
  return Array.from({ length: TEMPLATES }, (_, template) => {
    const parts: Buffer[] = [];
    const places: { digits: number; end: number }[] = [];
    let end = 0;
    for (let index = 0; index < PAGE_LIMIT; index += 1) {
      const record = source.record('invoices', template * PAGE_LIMIT + index);
      const text = Buffer.from((index === 0 ? '' : ',') + JSON.stringify(record));
      const id = String(record['invoiceId']);
      const digits = end + text.indexOf(id) + id.length - ID_DIGITS;
      end += text.length;
      places.push({ digits, end });
      parts.push(text);
    }
    return { body: Buffer.concat(parts), places };
  });
}

function sendJson(response: ServerResponse, status: number, content: unknown): void {
  send(response, status, Buffer.from(JSON.stringify(content)));
}

function send(response: ServerResponse, status: number, body: Buffer): void {
  response.writeHead(status, { 'content-type': 'application/json; charset=utf-8', 'content-length': body.length });
  response.end(body);
}
