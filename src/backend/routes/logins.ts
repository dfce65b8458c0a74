import { connection, idParam, login, newCredentials, newKey } from '../schemas.js';
import { body, clientOf, createApi, createRoute, json, problems, toJson } from './define.js';
import type { Api, RouteOptions } from './define.js';

const tags = ['Connecting and reconnecting'];
const request = { params: idParam };

export function createLoginRoutes(options: RouteOptions): Api {
  return createApi()
    .openapi(
      createRoute({
        method: 'post',
        path: '/connections/{id}/authorize',
        operationId: 'authorize',
        summary: 'Ask Maesn for a page on which the end user signs in (again)',
        description: 'Send the end user to `loginUrl`. It can be used once, and comes back to us.',
        tags,
        request,
        responses: {
          200: json('The page', login),
          ...problems('InvalidInput', 'ConnectionNotFound', 'MaesnRefused', 'NotConfigured'),
        },
      }),
      async (c) => c.json(toJson(login, await clientOf(c, options).authorize(c.req.valid('param').id)), 200),
    )
    .openapi(
      createRoute({
        method: 'post',
        path: '/connections/{id}/credentials',
        operationId: 'connectWithCredentials',
        summary: 'Connect a system that has no login page',
        tags,
        request: { ...request, body: body(newCredentials) },
        responses: {
          200: json('Connected', connection),
          ...problems('InvalidInput', 'ConnectionNotFound', 'MaesnRefused', 'NotConfigured'),
        },
      }),
      async (c) => {
        const connected = await clientOf(c, options).connectWithCredentials(
          c.req.valid('param').id,
          c.req.valid('json'),
        );
        return c.json(toJson(connection, connected), 200);
      },
    )
    .openapi(
      createRoute({
        method: 'post',
        path: '/connections/{id}/reauthorized',
        operationId: 'reauthorized',
        summary: 'The end user has signed in again elsewhere: hand over the account key, new or the same',
        description: 'It is stored, then probed; what waits goes on once Maesn has accepted it.',
        tags,
        request: { ...request, body: body(newKey) },
        responses: { 200: json('Stored', connection), ...problems('InvalidInput', 'ConnectionNotFound') },
      }),
      async (c) => {
        const { accountKey } = c.req.valid('json');
        const connected = await clientOf(c, options).reauthorized(c.req.valid('param').id, accountKey);
        return c.json(toJson(connection, connected), 200);
      },
    );
}
