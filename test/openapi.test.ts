/** The comparison with Maesn's API document, on a document that says exactly what our tables say, and on altered ones. */
import { describe, expect, it } from 'vitest';
import { differences, openApi } from '../scripts/openapi-differences.js';
import type { OpenApi } from '../scripts/openapi-differences.js';
import { writeApi, writeDifferences } from '../scripts/write-differences.js';
import { columnsOf } from '../src/spec/columns.js';
import type { ColumnType } from '../src/spec/columns.js';
import { RESOURCE_NAMES, resourceRow } from '../src/spec/resources.js';
import type { Resource } from '../src/spec/resources.js';
import { WRITE_OPERATIONS, writeRow } from '../src/spec/writes.js';

const TYPES: Readonly<Record<ColumnType, string>> = {
  text: 'string',
  timestamp: 'string',
  date: 'string',
  numeric: 'number',
  boolean: 'boolean',
  json: 'array',
};

function toSchema(resource: Resource) {
  const properties: Record<string, { type: string; properties?: Record<string, unknown> }> = {};
  for (const { path, type } of columnsOf(resource)) {
    const [first, inner] = path;
    if (inner === undefined) properties[first] = { type: TYPES[type] };
    else
      properties[first] = {
        type: 'object',
        properties: { ...properties[first]?.properties, [inner]: { type: TYPES[type] } },
      };
  }
  return { type: 'object', properties };
}

/** As Maesn writes it: the envelope by reference, and the list beside it. */
function document(
  alter: (paths: Record<string, { parameters: string[]; schema: ReturnType<typeof toSchema> }>) => void = () =>
    undefined,
): OpenApi {
  const lists = Object.fromEntries(
    RESOURCE_NAMES.map((resource) => {
      const { path, paged, incremental } = resourceRow(resource);
      const parameters = [...(paged ? ['page', 'limit'] : []), ...(incremental ? ['lastModifiedAt'] : []), 'companyId'];
      return [path.replace('{parent}', '{id}'), { parameters, schema: toSchema(resource) }];
    }),
  );
  alter(lists);
  const paths = Object.entries(lists).map(([path, { parameters, schema }]) => {
    const list = {
      allOf: [{ $ref: '#/components/schemas/Base' }, { properties: { data: { type: 'array', items: schema } } }],
    };
    const answer = { content: { 'application/json': { schema: list } } };
    return [
      path,
      { get: { parameters: parameters.map((name) => ({ name, in: 'query' })), responses: { 200: answer } } },
    ];
  });
  return openApi.parse({
    paths: Object.fromEntries(paths),
    components: { schemas: { Base: { properties: { data: { type: 'object' }, meta: { type: 'object' } } } } },
  });
}

describe('the comparison with Maesn’s document', () => {
  it('finds nothing where both say the same', () => {
    expect(differences(document())).toEqual([]);
  });

  it.each([
    ['a list that is gone', 'units: no such list: /accounting/units', (lists) => delete lists['/accounting/units']],
    [
      'a list that is new',
      'not ours: /accounting/loans',
      (lists) => (lists['/accounting/loans'] = { parameters: [], schema: toSchema('units') }),
    ],
    ['paging that is gone', 'units: is not paged', (lists) => lists['/accounting/units']?.parameters.splice(0, 1)],
    [
      'a filter that is new',
      'units: lastModifiedAt: understood',
      (lists) => lists['/accounting/units']?.parameters.push('lastModifiedAt'),
    ],
    ['a key that is gone', 'units: no field id', (lists) => delete lists['/accounting/units']?.schema.properties['id']],
    [
      'a field that is gone',
      'units: column code: not documented',
      (lists) => delete lists['/accounting/units']?.schema.properties['code'],
    ],
    [
      'a field that is new',
      'units: field factor: no column',
      (lists) =>
        ((lists['/accounting/units'] ?? { schema: toSchema('units') }).schema.properties['factor'] = {
          type: 'number',
        }),
    ],
    [
      'another type',
      'units: column code: documented as number, here text',
      (lists) =>
        ((lists['/accounting/units'] ?? { schema: toSchema('units') }).schema.properties['code'] = { type: 'number' }),
    ],
  ] as const satisfies [
    string,
    string,
    (
      | NonNullable<Parameters<typeof document>[0]>
      | ((lists: Parameters<NonNullable<Parameters<typeof document>[0]>>[0]) => unknown)
    ),
  ][])('names %s', (_name, difference, alter) => {
    const altered = document((lists) => void alter(lists));
    expect(differences(altered)).toContain(difference);
  });
});

describe('the comparison of writes', () => {
  type Operation = { requestBody?: { content: Record<string, { schema: { properties: Record<string, unknown> } }> } };

  function writes(alter: (operations: Record<string, Record<string, Operation>>) => void = () => undefined) {
    const paths: Record<string, Record<string, Operation>> = {};
    for (const name of WRITE_OPERATIONS) {
      const { method, path, body, part, files, lookUp } = writeRow(name);
      const key = lookUp?.by === 'list' ? lookUp.naturalKey?.field : undefined;
      const binary = { type: 'string', format: 'binary' };
      const properties = {
        ...(key === undefined || part !== undefined ? {} : { [key]: { type: 'string' } }),
        ...(part === undefined ? {} : { [part]: { type: 'object' } }),
        ...(files === undefined ? {} : { [files.field]: files.several ? { type: 'array', items: binary } : binary }),
      };
      const type = body === 'form' ? 'multipart/form-data' : 'application/json';
      const content = { [type]: { schema: { properties } } };
      paths[path] = { ...paths[path], [method.toLowerCase()]: body === 'none' ? {} : { requestBody: { content } } };
    }
    alter(paths);
    return writeDifferences(writeApi.parse({ paths, components: { schemas: {} } }));
  }

  it('finds none where there are none', () => {
    expect(writes()).toEqual([]);
  });

  it('names what is missing, what is new, and what is sent otherwise', () => {
    const found = writes((paths) => {
      delete paths['/accounting/payments'];
      paths['/accounting/gifts'] = { post: {} };
      paths['/webhooks'] = { post: {} };
      paths['/accounting/items'] = {
        post: { requestBody: { content: { 'multipart/form-data': { schema: { properties: {} } } } } },
      };
      const file = { type: 'string', format: 'binary' };
      paths['/accounting/files'] = {
        post: { requestBody: { content: { 'multipart/form-data': { schema: { properties: { scan: file } } } } } },
      };
    });
    expect(found).toEqual([
      'createFile: file: not documented as files',
      'createFile: files scan: not ours',
      'createItem: body: documented as form, here json',
      'createItem: no field itemNumber',
      'createPayment: no such operation: POST /accounting/payments',
      'not ours: POST /accounting/gifts',
    ]);
  });
});
