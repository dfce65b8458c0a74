/**
 * The HTTP edge to Maesn: one request, one answer, no retry (Temporal retries). Every answer becomes data or a
 * `MaesnError` of the error guide; only the caller's own cancellation passes through as it is.
 */
import { classifyStatus } from '../spec/error-guide.js';
import type { FailureType } from '../spec/error-guide.js';
import { parseRetryAfter } from '../spec/retry.js';
import { readBody } from './body.js';
import type { Body } from './body.js';
import {
  parseErrorBody,
  parseListAnswer,
  parseRecordAnswer,
  parseTaskAnswer,
  parseWriteAnswer,
  parseWriteTaskAnswer,
} from './envelope.js';
import { parseAccountKey, parseLoginUrl, parseWebhook } from './integration.js';
import type { ListAnswer, TaskAnswer, WriteAnswer, WriteTaskAnswer } from './envelope.js';
import { MaesnError } from './failure.js';
import type { MaesnFailure } from './failure.js';

export interface MaesnClientOptions {
  readonly baseUrl: string;
  /** `X-API-KEY`: identifies the integrator. */
  readonly apiKey: string;
  readonly timeoutMs: number;
  readonly maxResponseBytes: number;
  /** A cheap authorised call that tells whether a login is alive. */
  readonly probePath: string;
  readonly fetch?: typeof globalThis.fetch;
}

export type Query = Readonly<Record<string, string | number | undefined>>;

export interface MaesnRequest {
  readonly path: string;
  readonly query?: Query;
  /** `X-ACCOUNT-KEY`: identifies the end user in one target system. */
  readonly accountKey: string;
  readonly signal?: AbortSignal;
}

export interface MaesnWriteRequest extends MaesnRequest {
  readonly method: 'POST' | 'PUT' | 'PATCH' | 'DELETE';
  /** Sent as JSON, or as a form; absent: there is no body. */
  readonly content?: Readonly<Record<string, unknown>> | FormData | undefined;
  /** Whether the answer may be a task. */
  readonly mayBeTask: boolean;
}

/** A request for a page on which an end user signs in. */
export interface LoginRequest {
  readonly targetSystem: string;
  /** `POST`: the newer one, with which Maesn also posts the account key to `webhookCallbackUrl`. */
  readonly method: 'GET' | 'POST';
  readonly callbackUrl: string;
  readonly cancelCallbackUrl: string;
  readonly webhookCallbackUrl?: string | undefined;
  readonly companyId?: string | undefined;
  readonly includeSignature?: boolean | undefined;
}

export interface AccountRequest {
  readonly targetSystem: string;
  /** API key, user name, password, base URL: as the target system wants. */
  readonly credentials: Readonly<Record<string, unknown>>;
}

export interface WebhookRequest {
  readonly callbackUrl: string;
  readonly eventType: string;
  readonly resource: string;
}

export interface Webhook {
  readonly id: string;
  readonly secret: string;
  readonly expiresDate: Date | null;
}

export interface MaesnClient {
  /** The URL of a page on which an end user signs in. */
  loginUrl(request: LoginRequest): Promise<string>;
  /** The account key of a system that has no login page. */
  createAccount(request: AccountRequest): Promise<string>;
  /** Has Maesn call us when something of a kind happens, until the subscription expires. */
  createWebhook(webhook: WebhookRequest, request: Omit<MaesnRequest, 'path'>): Promise<Webhook>;
  deleteWebhook(webhookId: string, request: Omit<MaesnRequest, 'path'>): Promise<void>;
  /** One page of a collection, or the task that will hold it. */
  list(request: MaesnRequest): Promise<ListAnswer>;
  /** Where a task stands that a list answered with. */
  task(taskId: string, request: Omit<MaesnRequest, 'path'>): Promise<TaskAnswer>;
  /** Writes once. Where it throws, `failure` tells whether anything can have been applied; see `spec/write-steps.ts`. */
  write(request: MaesnWriteRequest): Promise<WriteAnswer>;
  /** Where a task stands that a write answered with. */
  writeTask(taskId: string, request: Omit<MaesnRequest, 'path'>): Promise<WriteTaskAnswer>;
  /** One record by its path. */
  record(request: MaesnRequest): Promise<Readonly<Record<string, unknown>>>;
  /** How long a request may take: after that nothing of it is under way here. */
  readonly timeoutMs: number;
  /** What `probe` asks for. */
  readonly probePath: string;
  /** Resolves when Maesn accepts the account key. */
  probe(request: Omit<MaesnRequest, 'path'>): Promise<void>;
}

export function createMaesnClient(options: MaesnClientOptions): MaesnClient {
  const fetch = options.fetch ?? globalThis.fetch;

  /** The body of an answer that is none of the guide's failures. */
  async function send(request: SentRequest): Promise<{ readonly status: number; readonly body: Body }> {
    const { method, path, accountKey, content } = request;
    const name = `${method} ${path}`;
    const fail = (type: FailureType, reason: string, more: Partial<MaesnFailure> = {}) =>
      new MaesnError({ type, request: name, reason, ...more });
    const timeout = AbortSignal.timeout(options.timeoutMs);
    const signal = request.signal === undefined ? timeout : AbortSignal.any([request.signal, timeout]);

    let response: Response;
    let body: Body | undefined;
    try {
      response = await fetch(toUrl(options.baseUrl, request), {
        method,
        headers: {
          'X-API-KEY': options.apiKey,
          ...(accountKey === undefined ? {} : { 'X-ACCOUNT-KEY': accountKey }),
          Accept: 'application/json, text/html;q=0.5',
          // Of a form, `fetch` knows the boundary.
          ...(content === undefined || content instanceof FormData ? {} : { 'Content-Type': 'application/json' }),
        },
        ...(content === undefined ? {} : { body: content instanceof FormData ? content : JSON.stringify(content) }),
        // A redirect is an answer that is not the envelope; following it would send both keys to another host.
        redirect: 'manual',
        signal,
      });
      body = await readBody(response, options.maxResponseBytes);
    } catch (error) {
      request.signal?.throwIfAborted();
      if (timeout.aborted) throw fail('NoResponse', `did not answer within ${options.timeoutMs / 1000} s`);
      const reason = networkReason(error);
      throw fail('NoResponse', `got no answer: ${reason}`, { neverSent: NEVER_CONNECTED.has(reason) });
    }

    const { status } = response;
    const retryAfterMs = parseRetryAfter(response.headers.get('retry-after'), Date.now());
    const about = { status, ...(retryAfterMs === undefined ? {} : { retryAfterMs }) };
    if (!response.ok) {
      // Maesn may quote what it was sent: no key may travel on in a failure.
      const quoted = withoutKeys(body?.text ?? '', accountKey);
      throw fail(classifyStatus(status), `answered ${status}`, { ...about, ...parseErrorBody(parseJson(quoted)) });
    }
    if (body === undefined) {
      throw fail(
        'InvalidResponse',
        `answered more than ${options.maxResponseBytes} bytes (MAESN_MAX_RESPONSE_BYTES)`,
        about,
      );
    }
    return { status, body };
  }

  function withoutKeys(text: string, accountKey: string | undefined): string {
    const withoutApiKey = text.replaceAll(options.apiKey, '[API key]');
    return accountKey === undefined ? withoutApiKey : withoutApiKey.replaceAll(accountKey, '[account key]');
  }

  /** The same holds for what Maesn warns of. */
  function quote<Answer extends ListAnswer | TaskAnswer>(
    answer: Answer,
    { accountKey }: { readonly accountKey: string },
  ): Answer {
    if (answer.kind !== 'page') return answer;
    return { ...answer, warnings: answer.warnings.map((warning) => withoutKeys(warning, accountKey)) };
  }

  async function sendForJson(request: SentRequest): Promise<{ readonly json: unknown; readonly bytes: Buffer }> {
    const { status, body } = await send(request);
    const json = parseJson(body.text);
    if (json !== undefined) return { json, bytes: body.bytes };
    throw invalid(request, `answered ${status} with ${describeBody(body.text)}`, status);
  }

  async function sendAndParse<T>(
    request: SentRequest,
    parse: (json: unknown, bytes: Buffer) => T | undefined,
  ): Promise<T> {
    const { json, bytes } = await sendForJson(request);
    const parsed = parse(json, bytes);
    if (parsed !== undefined) return parsed;
    throw invalid(request, 'answered JSON that is not the envelope expected here');
  }

  return {
    list: async (request) => quote(await sendAndParse({ method: 'GET', ...request }, parseListAnswer), request),
    task: async (taskId, request) => {
      const path = `/accounting/asyncTask/${encodeURIComponent(taskId)}`;
      return quote(await sendAndParse({ method: 'GET', ...request, path }, parseTaskAnswer), request);
    },
    write: ({ mayBeTask, ...request }) => sendAndParse(request, (json) => parseWriteAnswer(json, mayBeTask)),
    writeTask: (taskId, request) => {
      const path = `/accounting/asyncTask/${encodeURIComponent(taskId)}`;
      return sendAndParse({ method: 'GET', ...request, path }, parseWriteTaskAnswer);
    },
    record: (request) => sendAndParse({ method: 'GET', ...request }, parseRecordAnswer),
    timeoutMs: options.timeoutMs,
    probePath: options.probePath,
    probe: async (request) => {
      await sendForJson({ method: 'GET', ...request, path: options.probePath });
    },

    async loginUrl({ targetSystem, method, includeSignature, ...urls }) {
      const path = `/auth/${encodeURIComponent(targetSystem)}`;
      const { callbackUrl, webhookCallbackUrl, ...rest } = urls;
      const request: SentRequest =
        method === 'GET'
          ? {
              method,
              path,
              query: { callbackUrl, ...rest, include_signature: includeSignature === true ? 'true' : undefined },
            }
          : { method, path, content: { callBackUrl: callbackUrl, webhookCallbackUrl, ...rest, includeSignature } };
      const { body } = await send(request);
      const url = parseLoginUrl(body.text);
      if (url === undefined) throw invalid(request, 'answered something that is not the URL of a login page');
      return url;
    },

    createAccount: ({ targetSystem, credentials }) =>
      sendAndParse(
        { method: 'POST', path: `/auth/accounts/${encodeURIComponent(targetSystem)}`, content: credentials },
        parseAccountKey,
      ),

    createWebhook: (webhook, request) =>
      sendAndParse({ method: 'POST', ...request, path: '/webhooks', content: webhook }, parseWebhook),

    async deleteWebhook(webhookId, request) {
      await send({ method: 'DELETE', ...request, path: `/webhooks/${encodeURIComponent(webhookId)}` });
    },
  };
}

interface SentRequest extends Omit<MaesnRequest, 'accountKey'> {
  readonly method: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE';
  readonly accountKey?: string;
  /** Sent as JSON, or as the form that it is. */
  readonly content?: object | undefined;
}

/** What the network says when it could not connect: nothing has been sent then. */
const NEVER_CONNECTED: ReadonlySet<string> = new Set([
  'ECONNREFUSED',
  'ENOTFOUND',
  'EAI_AGAIN',
  'EHOSTUNREACH',
  'ENETUNREACH',
]);

function invalid({ method, path }: SentRequest, reason: string, status = 200): MaesnError {
  return new MaesnError({ type: 'InvalidResponse', request: `${method} ${path}`, reason, status });
}

function toUrl(baseUrl: string, request: SentRequest): URL {
  const url = new URL(baseUrl.replace(/\/$/, '') + request.path);
  for (const [name, value] of Object.entries(request.query ?? {})) {
    if (value !== undefined) url.searchParams.set(name, String(value));
  }
  return url;
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** What a body is that is not JSON. Never a part of it: it may hold records. */
function describeBody(body: string): string {
  if (body.trim() === '') return 'an empty body';
  return /^\s*</.test(body) ? 'a web page instead of JSON' : 'text that is not JSON';
}

/** `fetch` wraps what happened on the network in a TypeError that says only "fetch failed". */
function networkReason(error: unknown): string {
  const cause: unknown = error instanceof Error ? error.cause : undefined;
  // Of its own codes (UND_ERR_...) the message says more; of the system's (ECONNREFUSED), the code.
  if (cause instanceof Error && 'code' in cause && /^E[A-Z_]+$/.test(String(cause.code))) return String(cause.code);
  if (cause instanceof Error) return cause.message;
  return error instanceof Error ? error.message : 'unknown network error';
}
