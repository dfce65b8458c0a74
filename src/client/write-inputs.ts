/** What callers may say of writes. */
import { z } from 'zod';
import { WRITE_OPERATIONS, pathParameters, writeRow } from '../spec/writes.js';
import { RESOLUTIONS, WRITE_STATES } from '../store/index.js';

/** It becomes part of a Workflow's id, so it holds nothing that is secret. */
export const idempotencyKey = z
  .string()
  .regex(
    /^[A-Za-z0-9][A-Za-z0-9._:-]{0,199}$/,
    'must be 1 to 200 letters, digits and ._:- and begin with a letter or digit',
  );

export const writeOperation = z.enum(WRITE_OPERATIONS, {
  error: 'must be an operation such as "createInvoice"; docs/writes.md lists them',
});

const parameter = z.string().min(1, 'must not be empty').max(500);

const file = z.strictObject({
  filename: z.string().min(1).max(255),
  contentType: z.string().min(1).max(255).optional(),
  base64: z.base64(),
});

export const writeBody = z.record(z.string(), z.unknown());

export const writeInput = z
  .strictObject({
    idempotencyKey,
    operation: writeOperation,
    parameters: z.record(z.string(), parameter).default({}),
    body: writeBody.default({}),
  })
  .superRefine(({ operation, parameters, body }, context) => {
    const say = (path: string[], message: string) => context.addIssue({ code: 'custom', path, message });
    const wanted = pathParameters(operation);
    for (const name of wanted)
      if (parameters[name] === undefined) say(['parameters', name], `is needed for ${operation}`);
    for (const name of Object.keys(parameters)) {
      if (!wanted.includes(name)) say(['parameters', name], `is none of ${operation}`);
    }
    const { body: kind, files } = writeRow(operation);
    const isEmpty = Object.keys(body).length === 0;
    if (kind === 'none' && !isEmpty) say(['body'], `${operation} takes none`);
    if (kind !== 'none' && isEmpty) say(['body'], `is needed for ${operation}`);
    const given = files === undefined ? undefined : body[files.field];
    if (files === undefined || given === undefined) return;
    const parsed = (files.several ? z.array(file) : file).safeParse(given);
    for (const issue of parsed.error?.issues ?? []) {
      say(['body', files.field, ...issue.path.map(String)], issue.message);
    }
  });

export const resolveWriteInput = z.strictObject({ decision: z.enum(RESOLUTIONS) });

export const listWritesOptions = z.strictObject({
  connectionId: z.string().optional(),
  states: z.array(z.enum(WRITE_STATES)).min(1).optional(),
  beforeId: z.int().positive().optional(),
  limit: z.int().min(1).max(200).default(50),
});

export const MAX_BATCH = 10_000;

export const writeBatchInput = z.strictObject({
  batchId: idempotencyKey,
  writes: z
    .array(writeInput)
    .min(1, 'must not be empty')
    .max(MAX_BATCH, `must be at most ${MAX_BATCH}`)
    .superRefine((all, context) => {
      const seen = new Set<string>();
      for (const [index, { idempotencyKey: key }] of all.entries()) {
        if (seen.has(key))
          context.addIssue({ code: 'custom', path: [index, 'idempotencyKey'], message: `${key} comes twice` });
        seen.add(key);
      }
    }),
});
