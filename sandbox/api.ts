/** Maesn's API: the keys, the collections, the tasks, and the faults that come in between. */
import { setTimeout } from 'node:timers/promises';
import { Hono } from 'hono';
import type { MiddlewareHandler } from 'hono';
import { RESOURCE_NAMES, resourceRow } from '../src/spec/resources.js';
import { answerCall, toResponse } from './answer-call.js';
import type { SandboxEnv } from './answer-call.js';
import { toBadRequest, toError, toSuccess } from './envelope.js';
import { answerList, answerTask } from './lists.js';
import type { Registry } from './registry.js';
import { addWriteRoutes } from './write-routes.js';

export interface ApiOptions {
  readonly registry: Registry;
  readonly apiKey: string;
  readonly latencyMs: number;
  readonly now: () => Date;
}

export function createApi({ registry, apiKey, latencyMs, now }: ApiOptions): Hono<SandboxEnv> {
  const api = new Hono<SandboxEnv>();
  const integratorOnly = requireApiKey(apiKey);
  const endUserOnly = requireAccountKey(registry);

  api.get('/health', () => toResponse({ status: 200, body: { status: 'ok' } }));
  api.use('/auth/*', integratorOnly);
  api.use('/accounting/*', integratorOnly, endUserOnly);
  api.use('/user/*', integratorOnly, endUserOnly);
  api.use('/webhooks/*', integratorOnly, endUserOnly);

  addWriteRoutes(api, now);
  for (const resource of RESOURCE_NAMES) {
    const path = resourceRow(resource).path.replace('{parent}', ':parent');
    api.get(path, async (context) => {
      context.get('entry').resource = resource;
      if (latencyMs > 0) await setTimeout(latencyMs, undefined, { ref: false });
      return answerCall(context, resource, (call) =>
        answerList({ ...call, resource, parentKey: context.req.param('parent') }),
      );
    });
    api.all(path, () => toResponse(toError(405)));
  }

  api.get('/accounting/asyncTask/:taskId', (context) => {
    const taskId = context.req.param('taskId');
    context.get('entry').taskId = taskId;
    return answerCall(context, 'asyncTask', (call) => answerTask({ ...call, taskId, now: now() }));
  });
  api.get('/accounting/profile', (context) =>
    answerCall(context, 'profile', ({ account }) =>
      toSuccess({ companyName: account.name, targetSystem: account.targetSystem }),
    ),
  );
  api.get('/user/user-info', (context) =>
    answerCall(context, 'userInfo', ({ account }) =>
      toSuccess({ id: account.name, account_id: account.name, family_name: 'Krüger', name: 'Anna' }),
    ),
  );
  addWebhooks(api);
  return api;
}

/** The subscriptions of an account. Their secret is told once, when they are made. */
function addWebhooks(api: Hono<SandboxEnv>): void {
  api.get('/webhooks', (context) =>
    answerCall(context, 'webhooks', ({ account }) =>
      toSuccess(account.webhooks.map(({ secret: _secret, ...webhook }) => webhook)),
    ),
  );
  api.post('/webhooks', async (context) => {
    const given: unknown = await context.req.json().catch(() => undefined);
    return answerCall(context, 'webhooks', ({ account }) => {
      const webhook = account.subscriptions.create(given);
      return typeof webhook === 'string' ? toBadRequest(webhook) : { ...toSuccess(webhook), status: 201 };
    });
  });
  api.delete('/webhooks/:id', (context) =>
    answerCall(context, 'webhooks', ({ account }) =>
      account.subscriptions.delete(context.req.param('id')) ? toSuccess(null) : toError(404),
    ),
  );
}

function requireApiKey(apiKey: string): MiddlewareHandler<SandboxEnv> {
  return async (context, next) => {
    if (context.req.header('x-api-key') !== apiKey) return toResponse(toError(403));
    return next();
  };
}

function requireAccountKey(registry: Registry): MiddlewareHandler<SandboxEnv> {
  return async (context, next) => {
    const { account, opens } = registry.open(context.req.header('x-account-key'));
    if (account === undefined) return toResponse(toError(401));
    context.get('entry').account = account.name;
    if (!opens) return toResponse(toError(401));
    context.set('account', account);
    account.busy += 1;
    context.get('entry').running = account.busy + account.tasks.running(polledTask(context.req.path));
    try {
      return await next();
    } finally {
      account.busy -= 1;
    }
  };
}

/** Whoever asks for a task is not a second one beside it. */
function polledTask(path: string): string | undefined {
  return /^\/accounting\/asyncTask\/(.+)$/.exec(path)?.[1];
}
