/** What is written through Maesn, each thing once. */
import { MAX_WRITE_MIB } from '../body-limits.js';
import {
  idParam,
  idempotencyHeader,
  newWrite,
  newWriteBatch,
  resolveWrite,
  writeBatchParams,
  writeBatchReport,
  writePage,
  writeParams,
  writeStatus,
  writesOfConnectionQuery,
  writesQuery,
} from '../schemas.js';
import type { Write } from '../../client.js';
import { MAX_BATCH } from '../../client/write-inputs.js';
import { body, clientOf, createApi, createRoute, json, problems, toJson } from './define.js';
import type { Api, RouteOptions } from './define.js';

const tags = ['Writes'];

export function createWriteRoutes(options: RouteOptions): Api {
  return createApi()
    .openapi(
      createRoute({
        method: 'get',
        path: '/writes',
        operationId: 'listWrites',
        summary:
          'What was to be written, of all connections, newest first; `state=undecided`: what a person must decide',
        tags,
        request: { query: writesQuery },
        responses: { 200: json('A page of them', writePage), ...problems('InvalidInput') },
      }),
      async (c) => {
        const { state, before, limit = 50 } = c.req.valid('query');
        const items = await clientOf(c, options).writes({ ...inState(state), beforeId: before, limit });
        return c.json(toPage(items, limit), 200);
      },
    )
    .openapi(
      createRoute({
        method: 'get',
        path: '/connections/{id}/writes',
        operationId: 'listConnectionWrites',
        summary: 'What was to be written, of one connection, newest first',
        tags,
        request: { params: idParam, query: writesOfConnectionQuery },
        responses: { 200: json('A page of them', writePage), ...problems('InvalidInput', 'ConnectionNotFound') },
      }),
      async (c) => {
        const connectionId = c.req.valid('param').id;
        const { batch, state, before, limit = 50 } = c.req.valid('query');
        const wanted = { connectionId, batchId: batch, ...inState(state), beforeId: before, limit };
        return c.json(toPage(await clientOf(c, options).writes(wanted), limit), 200);
      },
    )
    .openapi(
      createRoute({
        method: 'post',
        path: '/connections/{id}/writes',
        operationId: 'write',
        summary: 'Have something created, changed or deleted, once for each `Idempotency-Key`',
        description: `The same key again is the same write, running or ended. At most ${MAX_WRITE_MIB} MiB, with the files in it.`,
        tags,
        request: { params: idParam, headers: idempotencyHeader, body: body(newWrite) },
        responses: {
          200: json('It has ended already', writeStatus),
          202: json('It will be written; `Location` is where it tells how far it is', writeStatus),
          ...problems('InvalidInput', 'ConnectionNotFound', 'KeyReused'),
        },
      }),
      async (c) => {
        const { id } = c.req.valid('param');
        const key = c.req.valid('header')['Idempotency-Key'];
        const asked = await clientOf(c, options).write(id, { idempotencyKey: key, ...c.req.valid('json') });
        const location = { Location: `/connections/${id}/writes/${key}` };
        return c.json(toJson(writeStatus, asked), asked.state === 'ended' ? 200 : 202, location);
      },
    )
    .openapi(
      createRoute({
        method: 'get',
        path: '/connections/{id}/writes/{key}',
        operationId: 'getWrite',
        summary: 'How far a write is, or what became of it, with what Maesn answered',
        tags,
        request: { params: writeParams },
        responses: {
          200: json('The write', writeStatus),
          ...problems('InvalidInput', 'ConnectionNotFound', 'WriteNotFound'),
        },
      }),
      async (c) => {
        const { id, key } = c.req.valid('param');
        return c.json(toJson(writeStatus, await clientOf(c, options).writeStatus(id, key)), 200);
      },
    )
    .openapi(
      createRoute({
        method: 'post',
        path: '/connections/{id}/writes/{key}/cancel',
        operationId: 'cancelWrite',
        summary: 'End a write that was not sent yet; one that may have been applied becomes undecided',
        tags,
        request: { params: writeParams },
        responses: {
          202: { description: 'It was told' },
          ...problems('InvalidInput', 'ConnectionNotFound', 'WriteNotFound', 'Refused'),
        },
      }),
      async (c) => {
        const { id, key } = c.req.valid('param');
        await clientOf(c, options).cancelWrite(id, key);
        return c.body(null, 202);
      },
    )
    .openapi(
      createRoute({
        method: 'post',
        path: '/connections/{id}/writes/{key}/resolve',
        operationId: 'resolveWrite',
        summary: 'Say what became of a write that is undecided',
        description:
          '`not_applied`: it is sent again. `abandon`: it is let be, applied or not. With `sends`, refused when it was sent again since.',
        tags,
        request: { params: writeParams, body: body(resolveWrite) },
        responses: {
          200: json('Decided', writeStatus),
          ...problems('InvalidInput', 'ConnectionNotFound', 'WriteNotFound', 'Refused'),
        },
      }),
      async (c) => {
        const { id, key } = c.req.valid('param');
        const resolved = await clientOf(c, options).resolveWrite(id, key, c.req.valid('json'));
        return c.json(toJson(writeStatus, resolved), 200);
      },
    )
    .openapi(
      createRoute({
        method: 'post',
        path: '/connections/{id}/write-batches',
        operationId: 'writeBatch',
        summary: 'Have many things written, some at a time: all of them are taken, or none',
        description: `Up to ${MAX_BATCH} in ${MAX_WRITE_MIB} MiB. The same \`batchId\` with the same writes again is the same batch.`,
        tags,
        request: { params: idParam, body: body(newWriteBatch) },
        responses: {
          202: json('They will be written; `Location` is where it tells how far they are', writeBatchReport),
          ...problems('InvalidInput', 'ConnectionNotFound', 'KeyReused'),
        },
      }),
      async (c) => {
        const { id } = c.req.valid('param');
        const batch = c.req.valid('json');
        const report = await clientOf(c, options).writeMany(id, batch);
        return c.json(report, 202, { Location: `/connections/${id}/write-batches/${batch.batchId}` });
      },
    )
    .openapi(
      createRoute({
        method: 'get',
        path: '/connections/{id}/write-batches/{batchId}',
        operationId: 'getWriteBatch',
        summary: 'How many of a batch are where; which they are, the list of writes says with `batch`',
        tags,
        request: { params: writeBatchParams },
        responses: {
          200: json('The counts', writeBatchReport),
          ...problems('InvalidInput', 'ConnectionNotFound', 'WriteNotFound'),
        },
      }),
      async (c) => {
        const { id, batchId } = c.req.valid('param');
        return c.json(await clientOf(c, options).writeBatchStatus(id, batchId), 200);
      },
    );
}

function inState(state: Write['state'] | undefined): { readonly states?: readonly Write['state'][] } {
  return state === undefined ? {} : { states: [state] };
}

function toPage(items: readonly Write[], limit: number) {
  const next = items.length === limit ? String(items.at(-1)?.id) : undefined;
  return toJson(writePage, { items, next });
}
