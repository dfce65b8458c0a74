import { clientOf, createApi, createRoute, json, problems, toJson, body } from './define.js';
import type { Api, RouteOptions } from './define.js';
import {
  connection,
  connectionPage,
  connectionsQuery,
  idParam,
  journalPage,
  journalQuery,
  newConnection,
} from '../schemas.js';

const tags = ['Connections'];

export function createConnectionRoutes(options: RouteOptions): Api {
  return createApi()
    .openapi(
      createRoute({
        method: 'get',
        path: '/connections',
        operationId: 'listConnections',
        summary: 'All connections, in order of id',
        tags,
        request: { query: connectionsQuery },
        responses: { 200: json('A page of them', connectionPage), ...problems('InvalidInput') },
      }),
      async (c) => {
        const { after, limit = 50 } = c.req.valid('query');
        const items = await clientOf(c, options).connections({
          afterId: after,
          limit,
        });
        const next = items.length === limit ? items.at(-1)?.connectionId : undefined;
        return c.json(toJson(connectionPage, { items, next }), 200);
      },
    )
    .openapi(
      createRoute({
        method: 'post',
        path: '/connections',
        operationId: 'addConnection',
        summary: 'Add a connection: what one account key opens',
        description: 'Without `accountKey`, ask for a login with `authorize`.',
        tags,
        request: { body: body(newConnection) },
        responses: { 201: json('Added', connection), ...problems('InvalidInput', 'ConnectionExists') },
      }),
      async (c) => {
        const added = await clientOf(c, options).addConnection(c.req.valid('json'));
        return c.json(toJson(connection, added), 201, { Location: `/connections/${added.connectionId}` });
      },
    )
    .openapi(
      createRoute({
        method: 'get',
        path: '/connections/{id}',
        operationId: 'getConnection',
        summary: 'One connection',
        tags,
        request: { params: idParam },
        responses: { 200: json('The connection', connection), ...problems('InvalidInput', 'ConnectionNotFound') },
      }),
      async (c) => c.json(toJson(connection, await clientOf(c, options).connection(c.req.valid('param').id)), 200),
    )
    .openapi(
      createRoute({
        method: 'delete',
        path: '/connections/{id}',
        operationId: 'removeConnection',
        summary: 'End its Workflows and delete it, its key and all of its records',
        tags,
        request: { params: idParam },
        responses: { 204: { description: 'Removed' }, ...problems('InvalidInput', 'ConnectionNotFound') },
      }),
      async (c) => {
        await clientOf(c, options).removeConnection(c.req.valid('param').id);
        return c.body(null, 204);
      },
    )
    .openapi(
      createRoute({
        method: 'get',
        path: '/connections/{id}/journal',
        operationId: 'readJournal',
        summary: 'Who did what, newest first; also of a connection that was removed',
        tags,
        request: { params: idParam, query: journalQuery },
        responses: { 200: json('A page of entries', journalPage), ...problems('InvalidInput') },
      }),
      async (c) => {
        const { before, limit = 100 } = c.req.valid('query');
        const items = await clientOf(c, options).journal(c.req.valid('param').id, {
          beforeId: before,
          limit,
        });
        const next = items.length === limit ? String(items.at(-1)?.id) : undefined;
        return c.json(toJson(journalPage, { items, next }), 200);
      },
    );
}
