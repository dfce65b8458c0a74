/** Errors as `application/problem+json` (RFC 9457): what went wrong, and which field. */
import { z } from '@hono/zod-openapi';
import type { Context } from 'hono';
import { HTTPException } from 'hono/http-exception';
import type { ContentfulStatusCode } from 'hono/utils/http-status';
import { MaesnSyncError } from '../client.js';
import type { ErrorCode, InputIssue } from '../client.js';

export const PROBLEM_STATUSES: Readonly<Record<ErrorCode, ContentfulStatusCode>> = {
  InvalidInput: 400,
  LoginIncomplete: 400,
  WebhookRefused: 401,
  ConnectionNotFound: 404,
  RecordNotFound: 404,
  EventNotFound: 404,
  WriteNotFound: 404,
  KeyReused: 422,
  LoginUnknown: 404,
  WebhookUnknown: 404,
  ConnectionExists: 409,
  SyncNotRunning: 409,
  Refused: 409,
  NotConfigured: 409,
  LoginUsed: 410,
  LoginExpired: 410,
  // Not 502: nothing is broken; Maesn does not do what it was asked.
  MaesnRefused: 424,
  Unavailable: 503,
};

export const problem = z
  .object({
    type: z.literal('about:blank'),
    title: z.string(),
    status: z.number().int(),
    detail: z.string(),
    /** For programs: what went wrong. */
    code: z.string(),
    requestId: z.string().optional(),
    errors: z.array(z.object({ field: z.string(), message: z.string() })).optional(),
  })
  .meta({ id: 'Problem' });

export interface ProblemInput {
  readonly status: ContentfulStatusCode;
  readonly title: string;
  readonly detail: string;
  readonly code: string;
  readonly errors?: readonly InputIssue[] | undefined;
  readonly headers?: Readonly<Record<string, string>>;
}

export function toProblem(c: Context, { headers = {}, errors, ...about }: ProblemInput): Response {
  const requestId: unknown = c.get('requestId');
  const body = { type: 'about:blank', ...about, requestId, ...(errors === undefined ? {} : { errors }) };
  return c.body(JSON.stringify(body), about.status, { 'Content-Type': 'application/problem+json', ...headers });
}

/** The rest of the body stays unread, so the connection ends with the answer. */
export function tooLarge(c: Context, maxBytes: number): Response {
  return toProblem(c, {
    status: 413,
    title: 'Too large',
    detail: `At most ${maxBytes} bytes.`,
    code: 'TooLarge',
    headers: { Connection: 'close' },
  });
}

const RETRY_AFTER_S = '10';

/** Every error that leaves a handler; `undefined`: not one that callers may be told of. */
export function errorToProblem(c: Context, error: unknown): Response | undefined {
  if (error instanceof MaesnSyncError) {
    const { code, message, issues } = error;
    const errors = issues.length === 0 ? undefined : issues;
    const headers = code === 'Unavailable' ? { 'Retry-After': RETRY_AFTER_S } : {};
    return toProblem(c, {
      status: PROBLEM_STATUSES[code],
      title: toTitle(code),
      detail: message,
      code,
      errors,
      headers,
    });
  }
  if (error instanceof HTTPException) {
    const { status, message } = error;
    // What Hono itself refuses: JSON that is none, for example.
    return toProblem(c, { status, title: 'The request cannot be read', detail: message, code: 'InvalidInput' });
  }
  return undefined;
}

/** `ConnectionNotFound` -> `Connection not found` */
export function toTitle(code: string): string {
  const words = code.replace(/(?!^)[A-Z]/g, (letter) => ` ${letter.toLowerCase()}`);
  return words.charAt(0).toUpperCase() + words.slice(1);
}
