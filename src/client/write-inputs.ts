/** What callers may say of writes: of each operation exactly what it takes, so that the HTTP document can say the same. */
import { z } from 'zod';
import { WRITE_OPERATIONS, pathParameters, writeRow } from '../spec/writes.js';
import type { WriteOperation, WriteRow } from '../spec/writes.js';
import { RESOLUTIONS, WRITE_STATES } from '../store/index.js';
import type { WriteBody } from '../store/index.js';

const KEY = '[A-Za-z0-9][A-Za-z0-9._:-]{0,199}';
const KEY_RULE = 'must be 1 to 200 letters, digits and ._:- and begin with a letter or digit';

/** It becomes part of a Workflow's id, so it holds nothing that is secret. */
export const idempotencyKey = z.string().regex(new RegExp(`^${KEY}$`), KEY_RULE);

/** The same as a header: the string in double quotes of RFC 8941; without them it is taken too. */
export const quotedIdempotencyKey = z
  .string('is needed: a key of your own for each thing that is to be written once')
  .regex(new RegExp(`^(?:"${KEY}"|${KEY})$`), KEY_RULE)
  .transform((text) => text.replaceAll('"', ''));

const OPERATION_RULE = 'must be an operation such as "createInvoice"; docs/writes.md lists them';

export const writeOperation = z.enum(WRITE_OPERATIONS, OPERATION_RULE);

const needed = (what: string) => (issue: { readonly input: unknown }) => (issue.input === undefined ? what : undefined);

/** A segment of a path, in which `.` and `..` would lead to another one. */
const parameter = z
  .string({ error: needed('is needed') })
  .min(1)
  .max(500)
  // oxlint-disable-next-line no-control-regex -- NUL is what Postgres cannot hold
  .regex(/^(?!\.\.?$)[^\u0000]*$/, 'must not be "." or "..", nor contain NUL')
  .refine((text) => text.isWellFormed(), 'must be well-formed Unicode');

const BASE64 = /^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/;

const file = z.strictObject({
  filename: z.string().min(1).max(255),
  contentType: z.string().min(1).max(255).optional(),
  base64: z.base64().meta({ pattern: BASE64.source, contentEncoding: 'base64' }),
});

function parametersOf(names: readonly string[]): z.ZodType<Readonly<Record<string, string>>> {
  const fields = z.strictObject(Object.fromEntries(names.map((name) => [name, parameter])), {
    error: needed(`is needed: ${names.join(', ')}`),
  });
  return names.length === 0 ? fields.default({}) : fields;
}

function bodyOf({ body, files }: WriteRow): z.ZodType<WriteBody> {
  if (body === 'none') return z.strictObject({}).default({});
  const field = files?.several === true ? z.array(file) : file;
  return z
    .looseObject(files === undefined ? {} : { [files.field]: field.optional() }, { error: needed('is needed') })
    .refine((fields) => Object.keys(fields).length > 0, 'must not be empty')
    .meta({ minProperties: 1, description: 'As Maesn documents it for the operation.' });
}

/** Operations that take the same are one entry. */
function createShapes() {
  const alike = new Map<string, WriteOperation[]>();
  for (const operation of WRITE_OPERATIONS) {
    const { body, files } = writeRow(operation);
    const shape = JSON.stringify([pathParameters(operation), body, files]);
    alike.set(shape, [...(alike.get(shape) ?? []), operation]);
  }
  return [...alike.values()].flatMap((operations) => {
    const [operation] = operations;
    if (operation === undefined) return [];
    return z.strictObject({
      operation: z.enum(operations),
      parameters: parametersOf(pathParameters(operation)),
      body: bodyOf(writeRow(operation)),
    });
  });
}

function oneOf<Shape extends z.core.$ZodTypeDiscriminable>(shapes: readonly Shape[]) {
  const [first, ...others] = shapes;
  if (first === undefined) throw new Error('there are no operations');
  return z.discriminatedUnion('operation', [first, ...others], {
    error: ({ code }) => (code === 'invalid_union' ? OPERATION_RULE : undefined),
  });
}

const SHAPES = createShapes();

/** What is to be written, without its key. */
export const newWrite = oneOf(SHAPES);

export const writeInput = oneOf(SHAPES.map((shape) => shape.extend({ idempotencyKey })));

export const resolveWriteInput = z.strictObject({
  decision: z.enum(RESOLUTIONS),
  // As many as the store can count.
  sends: z
    .int()
    .min(0)
    .max(2 ** 31 - 1)
    .optional(),
});

export const listWritesOptions = z.strictObject({
  connectionId: z.string().optional(),
  batchId: idempotencyKey.optional(),
  states: z.array(z.enum(WRITE_STATES)).min(1).optional(),
  beforeId: z.int().positive().optional(),
  limit: z.int().min(1).max(200).default(50),
});

export const MAX_BATCH = 10_000;

export const writeBatchInput = z.strictObject({
  batchId: idempotencyKey,
  writes: z.array(writeInput).min(1, 'must not be empty').max(MAX_BATCH, `must be at most ${MAX_BATCH}`),
});
