import type { SyncStatus } from '../../client.js';
import {
  connectionsQuery,
  decideDeletes,
  idParam,
  pauseSync,
  retryTargetSystem,
  retryingTargetSystem,
  startSync,
  startedSync,
  syncPage,
  syncStatus,
} from '../schemas.js';
import { body, clientOf, createApi, createRoute, json, problems, toJson } from './define.js';
import type { Api, RouteOptions } from './define.js';

const tags = ['Syncs'];
const request = { params: idParam };

export function createSyncRoutes(options: RouteOptions): Api {
  const withLink = (status: SyncStatus) => ({ ...status, temporalUi: options.toTemporalUi(status.workflowId) });

  return createApi()
    .openapi(
      createRoute({
        method: 'get',
        path: '/syncs',
        operationId: 'listSyncs',
        summary: 'How all connections are doing, in order of id',
        tags,
        request: { query: connectionsQuery },
        responses: { 200: json('A page of them', syncPage), ...problems('InvalidInput') },
      }),
      async (c) => {
        const { after, limit = 50 } = c.req.valid('query');
        const items = await clientOf(c, options).overview({
          afterId: after,
          limit,
        });
        const next = items.length === limit ? items.at(-1)?.connection.connectionId : undefined;
        return c.json(toJson(syncPage, { items: items.map(withLink), next }), 200);
      },
    )
    .openapi(
      createRoute({
        method: 'get',
        path: '/syncs/stuck',
        operationId: 'listStuckSyncs',
        summary:
          'Every sync that has failed three times in a row or waits for minutes, waits for its end user, or is held; those that wait longest first',
        tags,
        responses: { 200: json('All of them', syncPage), ...problems() },
      }),
      async (c) => {
        const items = await clientOf(c, options).stuck();
        return c.json(toJson(syncPage, { items: items.map(withLink) }), 200);
      },
    )
    .openapi(
      createRoute({
        method: 'get',
        path: '/connections/{id}/sync',
        operationId: 'getSync',
        summary: 'What runs or waits, since when, why, and what must happen',
        tags,
        request,
        responses: { 200: json('The status', syncStatus), ...problems('InvalidInput', 'ConnectionNotFound') },
      }),
      async (c) => {
        const status = await clientOf(c, options).syncStatus(c.req.valid('param').id);
        return c.json(toJson(syncStatus, withLink(status)), 200);
      },
    )
    .openapi(
      createRoute({
        method: 'post',
        path: '/connections/{id}/sync',
        operationId: 'startSync',
        summary: 'Start the sync, or find it running: there is at most one',
        tags,
        request: { ...request, body: body(startSync, false) },
        responses: {
          200: json('It runs already, and goes on; with `every`, as asked for from its next cycle on', startedSync),
          201: json('Started', startedSync),
          ...problems('InvalidInput', 'ConnectionNotFound'),
        },
      }),
      async (c) => {
        const started = await clientOf(c, options).startSync(c.req.valid('param').id, c.req.valid('json'));
        return c.json(toJson(startedSync, started), started.alreadyRunning ? 200 : 201);
      },
    )
    .openapi(
      createRoute({
        method: 'delete',
        path: '/connections/{id}/sync',
        operationId: 'cancelSync',
        summary: 'End the sync after the page in flight; the next one goes on from there',
        tags,
        request,
        responses: {
          202: { description: 'It will end' },
          ...problems('InvalidInput', 'ConnectionNotFound', 'SyncNotRunning'),
        },
      }),
      async (c) => {
        await clientOf(c, options).cancelSync(c.req.valid('param').id);
        return c.body(null, 202);
      },
    )
    .openapi(
      createRoute({
        method: 'post',
        path: '/connections/{id}/sync/pause',
        operationId: 'pauseSync',
        summary: 'Hold the connection: nothing is asked of Maesn for it until it is resumed',
        tags,
        request: { ...request, body: body(pauseSync) },
        responses: {
          204: { description: 'Paused; a sync that runs stops after the page in flight' },
          ...problems('InvalidInput', 'ConnectionNotFound', 'Refused'),
        },
      }),
      async (c) => {
        await clientOf(c, options).pauseSync(c.req.valid('param').id, c.req.valid('json'));
        return c.body(null, 204);
      },
    )
    .openapi(
      createRoute({
        method: 'post',
        path: '/connections/{id}/sync/resume',
        operationId: 'resumeSync',
        summary: 'Lift that hold, and no other; the sync goes on at the page where it stopped',
        tags,
        request,
        responses: {
          204: { description: 'Resumed' },
          ...problems('InvalidInput', 'ConnectionNotFound', 'Refused'),
        },
      }),
      async (c) => {
        await clientOf(c, options).resumeSync(c.req.valid('param').id);
        return c.body(null, 204);
      },
    )
    .openapi(
      createRoute({
        method: 'post',
        path: '/connections/{id}/sync/deletes',
        operationId: 'decideDeletes',
        summary: 'Say whether the suspiciously many records that are not listed any more are deleted, or kept',
        tags,
        request: { ...request, body: body(decideDeletes) },
        responses: {
          204: { description: 'Decided; the sync goes on' },
          ...problems('InvalidInput', 'ConnectionNotFound', 'Refused'),
        },
      }),
      async (c) => {
        await clientOf(c, options).decideDeletes(c.req.valid('param').id, c.req.valid('json'));
        return c.body(null, 204);
      },
    )
    .openapi(
      createRoute({
        method: 'post',
        path: '/connections/{id}/sync/now',
        operationId: 'syncNow',
        summary: 'Start the next cycle of a repeating sync now',
        tags,
        request,
        responses: {
          202: { description: 'It was told' },
          ...problems('InvalidInput', 'ConnectionNotFound', 'SyncNotRunning'),
        },
      }),
      async (c) => {
        await clientOf(c, options).syncNow(c.req.valid('param').id);
        return c.body(null, 202);
      },
    )
    .openapi(
      createRoute({
        method: 'post',
        path: '/connections/{id}/sync/retry',
        operationId: 'retryNow',
        summary: 'Make a failed request that waits for its next attempt now',
        tags,
        request,
        responses: {
          202: { description: 'It was told' },
          ...problems('InvalidInput', 'ConnectionNotFound', 'Refused', 'SyncNotRunning'),
        },
      }),
      async (c) => {
        await clientOf(c, options).retryNow(c.req.valid('param').id);
        return c.body(null, 202);
      },
    )
    .openapi(
      createRoute({
        method: 'post',
        path: '/retry-now',
        operationId: 'retryTargetSystem',
        summary: 'After an outage: make now what retries of one target system, spread over a time',
        tags,
        request: { body: body(retryTargetSystem) },
        responses: {
          202: json('They will be told, one after the other', retryingTargetSystem),
          ...problems('InvalidInput', 'Refused'),
        },
      }),
      async (c) => {
        const started = await clientOf(c, options).retryTargetSystem(c.req.valid('json'));
        return c.json(toJson(retryingTargetSystem, started), 202);
      },
    );
}
