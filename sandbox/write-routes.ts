/** The paths under which records are written, and found by their key. */
import type { Context, Hono } from 'hono';
import { WRITE_OPERATIONS, pathParameters, writeRow } from '../src/spec/writes.js';
import type { WriteOperation } from '../src/spec/writes.js';
import { answerCall, toResponse } from './answer-call.js';
import type { SandboxEnv } from './answer-call.js';
import { refuseBooks } from './lists.js';
import { toError, toSuccess } from './envelope.js';
import type { MaesnFields } from './records/context.js';
import { answerWrite, find } from './writes.js';

export function addWriteRoutes(api: Hono<SandboxEnv>, now: () => Date): void {
  const found = new Set<string>();
  for (const operation of WRITE_OPERATIONS) {
    const { method, path, resource, lookUp } = writeRow(operation);
    const pattern = path.replaceAll(/\{(\w+)\}/g, ':$1');
    api.on(method, pattern, async (context) => {
      context.get('entry').operation = operation;
      const body = await readBody(context, operation);
      return answerCall(context, operation, ({ account, params }) => {
        const call = { account, operation, parameters: parametersOf(context, operation), body, now: now() };
        return refuseBooks(account, params) ?? answerWrite(call);
      });
    });
    if (lookUp?.by !== 'path' || resource === null || found.has(path)) continue;
    found.add(path);
    api.get(pattern, async (context) =>
      answerCall(context, resource, ({ account, params }) => {
        const refused = refuseBooks(account, params);
        if (refused !== undefined) return refused;
        const record = find({ account, operation, parameters: parametersOf(context, operation) });
        return record === undefined ? toError(404) : toSuccess(record);
      }),
    );
  }
  for (const path of found) api.all(path.replaceAll(/\{(\w+)\}/g, ':$1'), () => toResponse(toError(405)));
}

function parametersOf(context: Context<SandboxEnv>, operation: WriteOperation): Readonly<Record<string, string>> {
  return Object.fromEntries(pathParameters(operation).map((name) => [name, context.req.param(name) ?? '']));
}

async function readBody(context: Context<SandboxEnv>, operation: WriteOperation): Promise<MaesnFields | undefined> {
  const { body: kind } = writeRow(operation);
  if (kind === 'none') return {};
  if (kind === 'json') return toObject(await context.req.json().catch(() => undefined));
  const form = await context.req.parseBody({ all: true }).catch(() => undefined);
  return form && Object.fromEntries(Object.entries(form).map(([name, value]) => [name, toValue(value)]));
}

/** In a form, an object is JSON text, and a file its name. */
function toValue(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(toValue);
  if (value instanceof File) return value.name;
  if (typeof value !== 'string' || !/^\s*[[{]/.test(value)) return value;
  try {
    return JSON.parse(value);
  } catch {
    return value;
  }
}

function toObject(value: unknown): MaesnFields | undefined {
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? { ...value } : undefined;
}
