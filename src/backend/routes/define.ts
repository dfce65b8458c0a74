/** What all routes have in common. */
import { OpenAPIHono, createRoute } from '@hono/zod-openapi';
import type { RouteConfig, z } from '@hono/zod-openapi';
import type { Context } from 'hono';
import { MaesnSyncError } from '../../client.js';
import type { ErrorCode, MaesnSync } from '../../client.js';
import type { BackendEnv } from '../access.js';
import { PROBLEM_STATUSES, errorToProblem, problem } from '../problem.js';

export interface RouteOptions {
  readonly sync: MaesnSync;
  /** The Workflow in the Temporal UI, where there is one. */
  readonly toTemporalUi: (workflowId: string) => string | undefined;
}

export type Api = OpenAPIHono<BackendEnv>;

/** An API whose requests are refused with a problem that names every wrong field. */
export function createApi(): Api {
  return new OpenAPIHono<BackendEnv>({
    defaultHook: (result, c) => {
      if (result.success) return undefined;
      const issues = result.error.issues.map(({ path, message }) => ({
        field: path.join('.') || result.target,
        message,
      }));
      const detail = issues.map(({ field, message }) => `${field}: ${message}`).join('; ');
      return errorToProblem(c, new MaesnSyncError('InvalidInput', detail, { issues }));
    },
  });
}

/** Who asks; the journal has their name. */
export function clientOf(c: Context<BackendEnv>, { sync }: RouteOptions): MaesnSync {
  return sync.as(c.get('actor'));
}

type Responses = RouteConfig['responses'];

/** The answers of a route that are problems: those of the client it calls, and those that any route can give. */
export function problems(...codes: readonly ErrorCode[]): Responses {
  const statuses = new Map<number, string[]>([
    [401, ['Unauthorized']],
    [403, ['Forbidden']],
    [413, ['TooLarge']],
    [415, ['UnsupportedMediaType']],
    [429, ['TooManyRequests']],
    [503, ['Unavailable']],
  ]);
  for (const code of codes) {
    const status = PROBLEM_STATUSES[code];
    statuses.set(status, [...(statuses.get(status) ?? []), code]);
  }
  return Object.fromEntries(
    [...statuses].map(([status, names]) => [
      status,
      { description: names.join(', '), content: { 'application/problem+json': { schema: problem } } },
    ]),
  );
}

export function json<Schema extends z.ZodType>(description: string, schema: Schema) {
  return { description, content: { 'application/json': { schema } } };
}

export function body<Schema extends z.ZodType>(schema: Schema, required = true) {
  return { required, content: { 'application/json': { schema } } };
}

/** A value as its schema says it looks in JSON: what the schema does not name is left out. */
export function toJson<Schema extends z.ZodType>(schema: Schema, value: unknown): z.output<Schema> {
  return schema.parse(JSON.parse(JSON.stringify(value)));
}

export { createRoute };
