/**
 * The HTTP edge to Maesn: one request, one answer, no retry (Temporal retries). Every answer becomes data or a
 * `MaesnError` of the error guide; only the caller's own cancellation passes through as it is.
 */
import { classifyStatus } from '../spec/error-guide.js';
import type { FailureType } from '../spec/error-guide.js';
import { parseRetryAfter } from '../spec/retry.js';
import { readBody } from './body.js';
import { parseErrorBody, parseListAnswer, parseTaskAnswer } from './envelope.js';
import type { ListAnswer, TaskAnswer } from './envelope.js';
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

export interface MaesnClient {
  /** One page of a collection, or the task that will hold it. */
  list(request: MaesnRequest): Promise<ListAnswer>;
  /** Where a task stands that a list answered with. */
  task(taskId: string, request: Omit<MaesnRequest, 'path'>): Promise<TaskAnswer>;
  /** Resolves when Maesn accepts the account key. */
  probe(request: Omit<MaesnRequest, 'path'>): Promise<void>;
}

export function createMaesnClient(options: MaesnClientOptions): MaesnClient {
  const fetch = options.fetch ?? globalThis.fetch;

  async function get(request: MaesnRequest): Promise<unknown> {
    const name = `GET ${request.path}`;
    const fail = (type: FailureType, reason: string, more: Partial<MaesnFailure> = {}) =>
      new MaesnError({ type, request: name, reason, ...more });
    const timeout = AbortSignal.timeout(options.timeoutMs);
    const signal = request.signal === undefined ? timeout : AbortSignal.any([request.signal, timeout]);

    let response: Response;
    let body: string | undefined;
    try {
      response = await fetch(toUrl(options.baseUrl, request), {
        headers: { 'X-API-KEY': options.apiKey, 'X-ACCOUNT-KEY': request.accountKey, Accept: 'application/json' },
        // A redirect is an answer that is not the envelope; following it would send both keys to another host.
        redirect: 'manual',
        signal,
      });
      body = await readBody(response, options.maxResponseBytes);
    } catch (error) {
      request.signal?.throwIfAborted();
      if (timeout.aborted) throw fail('NoResponse', `did not answer within ${options.timeoutMs / 1000} s`);
      throw fail('NoResponse', `got no answer: ${networkReason(error)}`);
    }

    const { status } = response;
    const retryAfterMs = parseRetryAfter(response.headers.get('retry-after'), Date.now());
    const about = { status, ...(retryAfterMs === undefined ? {} : { retryAfterMs }) };
    if (!response.ok) {
      // Maesn may quote what it was sent: no key may travel on in a failure.
      const quoted = (body ?? '')
        .replaceAll(options.apiKey, '[API key]')
        .replaceAll(request.accountKey, '[account key]');
      throw fail(classifyStatus(status), `answered ${status}`, { ...about, ...parseErrorBody(parseJson(quoted)) });
    }
    if (body === undefined) {
      throw fail(
        'InvalidResponse',
        `answered more than ${options.maxResponseBytes} bytes (MAESN_MAX_RESPONSE_BYTES)`,
        about,
      );
    }
    const json = parseJson(body);
    if (json === undefined) throw fail('InvalidResponse', `answered ${status} with ${describeBody(body)}`, about);
    return json;
  }

  async function getParsed<T>(request: MaesnRequest, parse: (json: unknown) => T | undefined): Promise<T> {
    const parsed = parse(await get(request));
    if (parsed !== undefined) return parsed;
    throw new MaesnError({
      type: 'InvalidResponse',
      request: `GET ${request.path}`,
      reason: 'answered JSON that is not the envelope expected here',
      status: 200,
    });
  }

  return {
    list: (request) => getParsed(request, parseListAnswer),
    task: (taskId, request) =>
      getParsed({ ...request, path: `/accounting/asyncTask/${encodeURIComponent(taskId)}` }, parseTaskAnswer),
    probe: async (request) => {
      await get({ ...request, path: options.probePath });
    },
  };
}

function toUrl(baseUrl: string, request: MaesnRequest): URL {
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
