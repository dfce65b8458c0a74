/** What Maesn's API document says of the resources, and where our tables say something else. */
import { z } from 'zod';
import { columnsOf } from '../src/spec/columns.js';
import type { ColumnType } from '../src/spec/columns.js';
import { RESOURCE_NAMES, resourceRow } from '../src/spec/resources.js';
import type { Resource } from '../src/spec/resources.js';

interface Schema {
  readonly $ref?: string | undefined;
  readonly type?: string | undefined;
  readonly allOf?: readonly Schema[] | undefined;
  readonly items?: Schema | undefined;
  readonly properties?: Readonly<Record<string, Schema>> | undefined;
}

const schema: z.ZodType<Schema> = z.lazy(() =>
  z.object({
    $ref: z.string().optional(),
    type: z.string().optional(),
    allOf: z.array(schema).optional(),
    items: schema.optional(),
    properties: z.record(z.string(), schema).optional(),
  }),
);

const operation = z.object({
  parameters: z.array(z.object({ name: z.string() })).default([]),
  responses: z.record(z.string(), z.unknown()),
});

const answer = z.object({ content: z.object({ 'application/json': z.object({ schema }) }) });

export const openApi = z.object({
  paths: z.record(z.string(), z.object({ get: operation.optional() })),
  components: z.object({ schemas: z.record(z.string(), schema) }),
});

export type OpenApi = z.infer<typeof openApi>;

/** What a type of the document may be with us; its dates are strings. */
const MAY_BE: Readonly<Record<string, readonly ColumnType[]>> = {
  string: ['text', 'timestamp', 'date'],
  number: ['numeric'],
  integer: ['numeric'],
  boolean: ['boolean'],
  array: ['json'],
  object: ['json'],
};

/** A line for each; none where both say the same. */
export function differences({ paths, components }: OpenApi): string[] {
  const listed = new Map<string, Readonly<Record<string, Schema>>>();
  const parameters = new Map<string, readonly string[]>();
  for (const [path, { get }] of Object.entries(paths)) {
    const content = answer.safeParse(get?.responses['200']).data?.content['application/json'].schema;
    const data = content === undefined ? undefined : propertiesOf(content)['data'];
    const items = data === undefined ? undefined : resolve(data).items;
    if (get === undefined || items === undefined) continue;
    listed.set(anyName(path), propertiesOf(items));
    parameters.set(
      anyName(path),
      get.parameters.map(({ name }) => name),
    );
  }

  function resolve(given: Schema): Schema {
    if (given.$ref === undefined) return given;
    return resolve(components.schemas[given.$ref.replace('#/components/schemas/', '')] ?? {});
  }

  function propertiesOf(given: Schema): Readonly<Record<string, Schema>> {
    const { properties, allOf = [] } = resolve(given);
    return Object.assign({}, ...allOf.map(propertiesOf), properties);
  }

  /** The fields in the form of columns.ts: an object that names its parts is its parts. */
  function fieldsOf(properties: Readonly<Record<string, Schema>>): Map<string, string> {
    const fields = Object.entries(properties).flatMap(([name, given]): [string, string][] => {
      const { type } = resolve(given);
      const parts = Object.entries(propertiesOf(given));
      if (parts.length === 0) return [[name, type ?? 'object']];
      return parts.map(([part, inner]) => [`${name}.${part}`, resolve(inner).type ?? 'object']);
    });
    return new Map(fields);
  }

  function ofResource(resource: Resource): string[] {
    const { path, key, modified, paged, incremental } = resourceRow(resource);
    const properties = listed.get(anyName(path));
    if (properties === undefined) return [`no such list: ${path}`];
    const asks = parameters.get(anyName(path)) ?? [];
    const fields = fieldsOf(properties);
    const columns = columnsOf(resource).map(({ path: steps, type }) => ({ field: steps.join('.'), type }));
    const known = new Set(columns.map(({ field }) => field));
    return [
      ...(paged === (asks.includes('page') && asks.includes('limit')) ? [] : [paged ? 'is not paged' : 'is paged']),
      ...(incremental === asks.includes('lastModifiedAt')
        ? []
        : [`lastModifiedAt: ${incremental ? 'not understood' : 'understood'}`]),
      ...[key, modified].flatMap((field) => (field === null || fields.has(field) ? [] : [`no field ${field}`])),
      ...columns.flatMap(({ field, type }) => {
        const documented = fields.get(field);
        if (documented === undefined) return [`column ${field}: not documented`];
        return (MAY_BE[documented] ?? []).includes(type)
          ? []
          : [`column ${field}: documented as ${documented}, here ${type}`];
      }),
      ...[...fields.keys()].flatMap((field) => (known.has(field) ? [] : [`field ${field}: no column`])),
    ];
  }

  const ours = new Set(RESOURCE_NAMES.map((resource) => anyName(resourceRow(resource).path)));
  return [
    ...RESOURCE_NAMES.flatMap((resource) => ofResource(resource).map((difference) => `${resource}: ${difference}`)),
    ...[...listed.keys()]
      .filter((path) => path.startsWith('/accounting/') && !ours.has(path))
      .map((path) => `not ours: ${path}`),
  ];
}

/** However the document calls what stands in a path. */
function anyName(path: string): string {
  return path.replaceAll(/\{[^}]*\}/g, '{}');
}
