/** The HTTP API of a running backend, as the commands call it. */
import { setTimeout as sleep } from 'node:timers/promises';
import { z } from 'zod';
import {
  connection,
  connectionPage,
  eventPage,
  incidentPage,
  journalPage,
  login,
  record,
  recordPage,
  resourceList,
  retryingTargetSystem,
  startedSync,
  syncPage,
  syncStatus,
  writePage,
  writeStatus,
} from '../backend/schemas.js';
import { httpUrl, localUrl } from '../config.js';
import type { Config } from '../config.js';
import { connectionId } from '../client/inputs.js';
import { idempotencyKey } from '../client/write-inputs.js';
import { CommandError } from './process.js';
import type { ExitCode } from './process.js';

/** A backend that takes longer is as good as none. */
const TIMEOUT_MS = 60_000;

/** Where the backend is, and who asks; of every command that asks one. */
export const API_ARGS = {
  url: { type: 'string', description: 'Where the backend is. Default: MAESN_SYNC_URL, else this machine' },
  token: { type: 'string', description: 'Bearer token. Better in MAESN_SYNC_TOKEN: other users see arguments' },
  json: { type: 'boolean', description: 'Print what the HTTP API answers, as JSON' },
} as const;

interface ApiArgs {
  readonly url?: string | undefined;
  readonly token?: string | undefined;
}

const problem = z.looseObject({ status: z.number(), detail: z.string(), code: z.string() });

/** What the backend has answered in place of what was asked for. */
export class Refusal extends CommandError {
  readonly status: number;
  /** Of one that asks too often. */
  readonly retryAfterMs: number | undefined;
  constructor(message: string, { status, headers }: Pick<Response, 'status' | 'headers'>) {
    super(message, toExitCode(status));
    this.status = status;
    this.retryAfterMs = status === 429 ? Number(headers.get('retry-after') ?? 1) * 1_000 : undefined;
  }
}

interface Ask {
  readonly query?: Query;
  readonly content?: object;
  readonly headers?: Readonly<Record<string, string>>;
  /** One that says something, too, besides 2xx. */
  readonly orStatus?: number;
}

type Query = Readonly<Record<string, string | number | undefined>>;

export type Api = ReturnType<typeof createApi>;

export function createApi(args: ApiArgs, config: Config) {
  if (args.url !== undefined && !httpUrl.safeParse(args.url).success) {
    throw new CommandError(`--url ${args.url} must be an http or https URL, such as ${localUrl(config)}`, 2);
  }
  const base = (args.url ?? config.MAESN_SYNC_URL ?? localUrl(config)).replace(/\/$/, '');
  const token = args.token ?? config.MAESN_SYNC_TOKEN ?? config.MAESN_SYNC_TOKENS?.[0]?.token;

  async function ask(method: string, path: string, { query = {}, content, headers, orStatus }: Ask = {}) {
    const url = new URL(base + path);
    for (const [name, value] of Object.entries(query))
      if (value !== undefined) url.searchParams.set(name, String(value));
    const response = await fetch(url, {
      method,
      // Where a redirect leads, the token must not follow.
      redirect: 'manual',
      signal: AbortSignal.timeout(TIMEOUT_MS),
      headers: {
        Accept: 'application/json',
        ...(token === undefined ? {} : { Authorization: `Bearer ${token}` }),
        ...(content === undefined ? {} : { 'Content-Type': 'application/json' }),
        ...headers,
      },
      ...(content === undefined ? {} : { body: JSON.stringify(content) }),
    }).catch((error: unknown) => {
      const reason = error instanceof Error && error.cause instanceof Error ? error.cause.message : String(error);
      throw new CommandError(
        `The backend at ${base} was not reached: ${reason}. Is maesn-sync serve running? Else set MAESN_SYNC_URL.`,
        4,
      );
    });
    const text = await response.text();
    if (response.ok || response.status === orStatus) return text === '' ? undefined : parseJson(text, base);
    const told = problem.safeParse(parseJson(text, base));
    if (!told.success) throw new CommandError(`${base} answered ${response.status}; is that the backend?`, 4);
    const advice = response.status === 401 ? ' Set MAESN_SYNC_TOKEN.' : '';
    throw new Refusal(told.data.detail + advice, response);
  }

  async function get<Schema extends z.ZodType>(schema: Schema, path: string, query?: Query): Promise<z.output<Schema>> {
    return parse(schema, await ask('GET', path, query === undefined ? {} : { query }));
  }
  async function post<Schema extends z.ZodType>(
    schema: Schema,
    path: string,
    content?: object,
  ): Promise<z.output<Schema>> {
    return parse(schema, await ask('POST', path, content === undefined ? {} : { content }));
  }
  return {
    connections: (query: Query) => get(connectionPage, '/connections', query),
    connection: (id: string) => get(connection, of(id)),
    addConnection: (content: object) => post(connection, '/connections', content),
    removeConnection: (id: string) => ask('DELETE', of(id)),
    journal: (id: string, query: Query) => get(journalPage, `${of(id)}/journal`, query),
    authorize: (id: string) => post(login, `${of(id)}/authorize`),
    reauthorized: (id: string, accountKey: string) => post(connection, `${of(id)}/reauthorized`, { accountKey }),
    syncs: (query: Query) => get(syncPage, '/syncs', query),
    stuck: () => get(syncPage, '/syncs/stuck'),
    sync: (id: string) => get(syncStatus, `${of(id)}/sync`),
    startSync: (id: string, content: object) => post(startedSync, `${of(id)}/sync`, content),
    cancelSync: (id: string) => ask('DELETE', `${of(id)}/sync`),
    pauseSync: (id: string, reason: string) => ask('POST', `${of(id)}/sync/pause`, { content: { reason } }),
    resumeSync: (id: string) => ask('POST', `${of(id)}/sync/resume`),
    decideDeletes: (id: string, decision: 'delete' | 'keep') =>
      ask('POST', `${of(id)}/sync/deletes`, { content: { decision } }),
    syncNow: (id: string) => ask('POST', `${of(id)}/sync/now`),
    retryTargetSystem: (content: object) => post(retryingTargetSystem, '/retry-now', content),
    retryNow: (id: string) => ask('POST', `${of(id)}/sync/retry`),
    resources: (id: string) => get(resourceList, `${of(id)}/resources`),
    recheckResource: (id: string, resource: string) =>
      ask('POST', `${of(id)}/resources/${encodeURIComponent(resource)}/recheck`),
    incidents: (query: Query) => get(incidentPage, '/incidents', query),
    records: (id: string, resource: string, query: Query) =>
      get(recordPage, `${of(id)}/resources/${encodeURIComponent(resource)}/records`, query),
    record: (id: string, resource: string, key: string) =>
      get(record, `${of(id)}/resources/${encodeURIComponent(resource)}/records/${encodeURIComponent(key)}`),
    events: (query: Query) => get(eventPage, '/events', query),
    replayEvents: (ids: readonly number[]) => post(eventPage, '/events/replay', { ids }),
    writes: (query: Query, id?: string) => get(writePage, id === undefined ? '/writes' : `${of(id)}/writes`, query),
    addWrite: async (id: string, key: string, content: object) =>
      parse(
        writeStatus,
        await ask('POST', `${of(id)}/writes`, { content, headers: { 'Idempotency-Key': `"${key}"` } }),
      ),
    write: (id: string, key: string) => get(writeStatus, ofWrite(id, key)),
    resolveWrite: (id: string, key: string, decision: string) =>
      post(writeStatus, `${ofWrite(id, key)}/resolve`, { decision }),
    cancelWrite: (id: string, key: string) => ask('POST', `${ofWrite(id, key)}/cancel`),
    // What is missing comes with 503.
    ready: async () => parse(z.record(z.string(), z.boolean()), await ask('GET', '/readyz', { orStatus: 503 })),
  };
}

function parseJson(text: string, base: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    throw new CommandError(`${base} answered something that is not JSON; is that the backend?`, 4);
  }
}

function parse<Schema extends z.ZodType>(schema: Schema, value: unknown): z.output<Schema> {
  const parsed = schema.safeParse(value);
  if (parsed.success) return parsed.data;
  throw new CommandError(
    'The backend answers what this version of maesn-sync does not understand; use the same version.',
    4,
  );
}

function toExitCode(status: number): ExitCode {
  if (status === 404) return 3;
  if (status === 400) return 2;
  return status >= 500 ? 4 : 1;
}

/** An id such as `..` would lead to another path. */
function of(id: string): string {
  if (!connectionId.safeParse(id).success) {
    throw new CommandError(
      `${id} is not the id of a connection: letters, digits and ._:-, beginning with a letter or digit`,
      2,
    );
  }
  return `/connections/${encodeURIComponent(id)}`;
}

function ofWrite(id: string, key: string): string {
  if (!idempotencyKey.safeParse(key).success) {
    throw new CommandError(
      `${key} is not an idempotency key: letters, digits and ._:-, beginning with a letter or digit`,
      2,
    );
  }
  return `${of(id)}/writes/${encodeURIComponent(key)}`;
}

/** Whoever asks too often is told when to ask again. */
export async function patiently<Answer>(ask: () => Promise<Answer>): Promise<Answer> {
  for (;;) {
    try {
      return await ask();
    } catch (error) {
      if (!(error instanceof Refusal) || error.retryAfterMs === undefined) throw error;
      await sleep(error.retryAfterMs);
    }
  }
}
