/** What is known of resources, and of what happens to many connections at once. */
import { idParam, incidentPage, incidentsQuery, resourceList, resourceParams } from '../schemas.js';
import { clientOf, createApi, createRoute, json, problems, toJson } from './define.js';
import type { Api, RouteOptions } from './define.js';

export function createResourceRoutes(options: RouteOptions): Api {
  return createApi()
    .openapi(
      createRoute({
        method: 'get',
        path: '/connections/{id}/resources',
        operationId: 'listResources',
        summary: 'What is known of each resource: whether it is offered, how fresh it is, what Maesn warned of',
        tags: ['Resources'],
        request: { params: idParam },
        responses: { 200: json('All of them', resourceList), ...problems('InvalidInput', 'ConnectionNotFound') },
      }),
      async (c) => {
        const items = await clientOf(c, options).resources(c.req.valid('param').id);
        return c.json(toJson(resourceList, { items }), 200);
      },
    )
    .openapi(
      createRoute({
        method: 'post',
        path: '/connections/{id}/resources/{resource}/recheck',
        operationId: 'recheckResource',
        summary: 'Ask again for a resource that is not offered',
        description: 'At once where a sync runs that has it, else when the next one does.',
        tags: ['Resources'],
        request: { params: resourceParams },
        responses: {
          202: { description: 'It will be asked for' },
          ...problems('InvalidInput', 'ConnectionNotFound', 'Refused'),
        },
      }),
      async (c) => {
        const { id, resource } = c.req.valid('param');
        await clientOf(c, options).recheckResource(id, resource);
        return c.body(null, 202);
      },
    )
    .openapi(
      createRoute({
        method: 'get',
        path: '/incidents',
        operationId: 'listIncidents',
        summary: 'What happened to many connections at once, newest first',
        tags: ['Events'],
        request: { query: incidentsQuery },
        responses: { 200: json('A page of them', incidentPage), ...problems('InvalidInput') },
      }),
      async (c) => {
        const { open = false, before, limit = 100 } = c.req.valid('query');
        const items = await clientOf(c, options).incidents({ open, beforeId: before, limit });
        const next = !open && items.length === limit ? String(items.at(-1)?.id) : undefined;
        return c.json(toJson(incidentPage, { items, next }), 200);
      },
    );
}
