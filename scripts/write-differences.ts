/** What Maesn's API document says of writes, and where our table says something else. */
import { z } from 'zod';
import { WRITE_OPERATIONS, writeRow } from '../src/spec/writes.js';
import type { WriteRow } from '../src/spec/writes.js';

const METHODS = ['post', 'put', 'patch', 'delete'] as const;

interface Property {
  readonly format?: string | undefined;
  readonly items?: Property | undefined;
}

const property: z.ZodType<Property> = z.lazy(() =>
  z.object({ format: z.string().optional(), items: property.optional() }),
);

const schema = z.object({
  $ref: z.string().optional(),
  properties: z.record(z.string(), property).optional(),
});

const operation = z.object({
  requestBody: z.object({ content: z.record(z.string(), z.object({ schema: schema.optional() })) }).optional(),
});

export const writeApi = z.object({
  paths: z.record(
    z.string(),
    z.object({
      post: operation.optional(),
      put: operation.optional(),
      patch: operation.optional(),
      delete: operation.optional(),
    }),
  ),
  components: z.object({ schemas: z.record(z.string(), schema) }),
});

type Schema = z.infer<typeof schema>;

/** What the document says of one operation, in the words of our table. */
interface Documented {
  readonly body: WriteRow['body'];
  readonly fields: Readonly<Record<string, Property>>;
}

/** A line for each; none where both say the same. What is not under `/accounting/` is not about books. */
export function writeDifferences({ paths, components }: z.infer<typeof writeApi>): string[] {
  const documented = new Map<string, Documented>();
  for (const [path, methods] of Object.entries(paths)) {
    if (!path.startsWith('/accounting/')) continue;
    for (const method of METHODS) {
      const found = methods[method];
      if (found !== undefined) documented.set(`${method.toUpperCase()} ${path}`, toDocumented(found));
    }
  }

  function resolve(given: Schema | undefined): Schema {
    if (given?.$ref === undefined) return given ?? {};
    return resolve(components.schemas[given.$ref.replace('#/components/schemas/', '')]);
  }

  function toDocumented({ requestBody }: z.infer<typeof operation>): Documented {
    const [type, content] = Object.entries(requestBody?.content ?? {})[0] ?? [];
    if (type === undefined) return { body: 'none', fields: {} };
    const fields = resolve(content?.schema).properties ?? {};
    return { body: type === 'multipart/form-data' ? 'form' : 'json', fields };
  }

  const ours = WRITE_OPERATIONS.map((name) => {
    const row = writeRow(name);
    return { name, row, key: `${row.method} ${row.path}` };
  });
  return [
    ...ours.flatMap(({ name, row, key }) => {
      const found = documented.get(key);
      if (found === undefined) return [`${name}: no such operation: ${key}`];
      return ofOperation(row, found).map((difference) => `${name}: ${difference}`);
    }),
    ...[...documented.keys()].filter((key) => !ours.some((one) => one.key === key)).map((key) => `not ours: ${key}`),
  ];
}

function ofOperation(row: WriteRow, { body, fields }: Documented): string[] {
  const { part, files, lookUp } = row;
  const naturalKey = lookUp?.by === 'list' ? lookUp.naturalKey?.field : undefined;
  const isOfFiles = (name: string) => isFile(fields[name]) || isFile(fields[name]?.items);
  return [
    ...(row.body === body ? [] : [`body: documented as ${body}, here ${row.body}`]),
    ...(part === undefined || part in fields ? [] : [`no field ${part}`]),
    ...(files === undefined || isOfFiles(files.field) ? [] : [`${files.field}: not documented as files`]),
    ...(files === undefined || (fields[files.field]?.items !== undefined) === files.several
      ? []
      : [`${files.field}: ${files.several ? 'one file alone' : 'several files'}`]),
    ...Object.keys(fields)
      .filter((name) => isOfFiles(name) && name !== files?.field)
      .map((name) => `files ${name}: not ours`),
    // Of a form, what the record holds is a schema of its own.
    ...(naturalKey === undefined || part !== undefined || naturalKey in fields ? [] : [`no field ${naturalKey}`]),
  ];
}

function isFile(given: Property | undefined): boolean {
  return given?.format === 'binary';
}
