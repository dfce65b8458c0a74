/** What was synced, and what the application is told. */
import {
  eventPage,
  eventsQuery,
  record,
  recordPage,
  recordParams,
  recordsQuery,
  replay,
  resourceParams,
} from '../schemas.js';
import { body, clientOf, createApi, createRoute, json, problems, toJson } from './define.js';
import type { Api, RouteOptions } from './define.js';

export function createDataRoutes(options: RouteOptions): Api {
  return createApi()
    .openapi(
      createRoute({
        method: 'get',
        path: '/connections/{id}/resources/{resource}/records',
        operationId: 'listRecords',
        summary: 'The records of a resource, in order of key',
        tags: ['Records'],
        request: { params: resourceParams, query: recordsQuery },
        responses: { 200: json('A page of them', recordPage), ...problems('InvalidInput', 'ConnectionNotFound') },
      }),
      async (c) => {
        const { id, resource } = c.req.valid('param');
        const { after, limit = 100, modifiedSince, includeDeleted } = c.req.valid('query');
        const wanted = { afterKey: after, limit, modifiedSince, includeDeleted };
        const items = await clientOf(c, options).records(id, resource, wanted);
        const next = items.length === limit ? items.at(-1)?.key : undefined;
        return c.json(toJson(recordPage, { items, next }), 200);
      },
    )
    .openapi(
      createRoute({
        method: 'get',
        path: '/connections/{id}/resources/{resource}/records/{key}',
        operationId: 'getRecord',
        summary: 'One record, also when it is deleted',
        tags: ['Records'],
        request: { params: recordParams },
        responses: {
          200: json('The record', record),
          ...problems('InvalidInput', 'ConnectionNotFound', 'RecordNotFound'),
        },
      }),
      async (c) => {
        const { id, resource, key } = c.req.valid('param');
        return c.json(toJson(record, await clientOf(c, options).record(id, resource, key)), 200);
      },
    )
    .openapi(
      createRoute({
        method: 'get',
        path: '/events',
        operationId: 'listEvents',
        summary: 'What the application is told, oldest first',
        tags: ['Events'],
        request: { query: eventsQuery },
        responses: { 200: json('A page of them', eventPage), ...problems('InvalidInput') },
      }),
      async (c) => {
        const { after = 0, limit = 100, connectionId } = c.req.valid('query');
        const items = await clientOf(c, options).events({
          afterId: after,
          limit,
          connectionId,
        });
        const next = items.length === limit ? String(items.at(-1)?.id) : undefined;
        return c.json(toJson(eventPage, { items, next }), 200);
      },
    )
    .openapi(
      createRoute({
        method: 'post',
        path: '/events/replay',
        operationId: 'replayEvents',
        summary: 'Deliver events once more, under the same ids',
        tags: ['Events'],
        request: { body: body(replay) },
        responses: {
          202: json('They will be delivered', eventPage),
          ...problems('InvalidInput', 'EventNotFound', 'NotConfigured'),
        },
      }),
      async (c) => {
        const items = await clientOf(c, options).replayEvents(c.req.valid('json').ids);
        return c.json(toJson(eventPage, { items }), 202);
      },
    );
}
