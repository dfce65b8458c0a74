/** What Maesn wraps every answer in: `{ meta, data, errors, rawData }`, read as tolerantly as it is documented. */
import { z } from 'zod';
import { listedTexts } from './listed-texts.js';
import type { Listed } from './listed-texts.js';

/** No more than Postgres counts. */
const count = z.int32().nonnegative().optional().catch(undefined);

const pagination = z
  .object({ total: count, perPage: count, currentPage: count, totalPages: count })
  .optional()
  .catch(undefined);

const meta = z
  .object({ pagination, warnings: z.array(z.string()).optional().catch(undefined) })
  .optional()
  .catch(undefined);

const envelope = z.object({ data: z.unknown(), meta });

/** Where a list stands: all counts may be missing, and then nothing is claimed about them. */
export type Pagination = z.infer<typeof pagination>;

const list = z.array(z.unknown());

const startedTask = z.object({ taskId: z.string().min(1) });

const task = z.object({
  status: z.string().nullish(),
  responseData: z.unknown(),
});

/** One page of a list, or the task that will hold it. */
export type ListAnswer =
  | (Listed & {
      readonly kind: 'page';
      readonly pagination: Pagination;
      readonly warnings: readonly string[];
    })
  | { readonly kind: 'task'; readonly taskId: string };

/** `body`: what `json` was parsed from. `undefined`: not an envelope that holds a list. */
export function parseListAnswer(json: unknown, body: Buffer): ListAnswer | undefined {
  const parsed = envelope.safeParse(json);
  if (!parsed.success) return undefined;
  const { data, meta: about } = parsed.data;
  const records = list.safeParse(data);
  if (records.success) return toPage(records.data, about, listedTexts(body));
  const started = startedTask.safeParse(data);
  return started.success ? { kind: 'task', taskId: started.data.taskId } : undefined;
}

export type TaskAnswer =
  | { readonly kind: 'running' }
  | { readonly kind: 'failed'; readonly status: string }
  | Extract<ListAnswer, { kind: 'page' }>;

const FINISHED = new Set(['FINISHED', 'SUCCESS', 'PARTIAL_SUCCESS']);
const FAILED = new Set(['FAILED', 'CANCELLED_SUCCESSFULLY', 'DELETED']);

/** `undefined`: not a task, or one that finished without a list. A status that is null or unknown is still running. */
export function parseTaskAnswer(json: unknown): TaskAnswer | undefined {
  const parsed = envelope.safeParse(json);
  if (!parsed.success) return undefined;
  const answer = task.safeParse(parsed.data.data);
  if (!answer.success) return undefined;
  const { status, responseData } = answer.data;
  if (typeof status === 'string' && FAILED.has(status)) return { kind: 'failed', status };
  if (typeof status !== 'string' || !FINISHED.has(status)) return { kind: 'running' };
  const records = list.safeParse(responseData);
  return records.success ? toPage(records.data, parsed.data.meta) : undefined;
}

function toPage(
  records: readonly unknown[],
  about: z.infer<typeof meta>,
  texts: Listed['texts'] = [],
): Extract<ListAnswer, { kind: 'page' }> {
  return {
    kind: 'page',
    records,
    texts: texts.length === records.length ? texts : [],
    pagination: about?.pagination,
    warnings: about?.warnings ?? [],
  };
}

/** What a write is answered with: what was written, as far as it is told, or the task that will write it. */
export type WriteAnswer =
  { readonly kind: 'written'; readonly data: unknown } | { readonly kind: 'task'; readonly taskId: string };

/** `undefined`: not an envelope. `mayBeTask`: records can have a `taskId` of their own that means nothing. */
export function parseWriteAnswer(json: unknown, mayBeTask: boolean): WriteAnswer | undefined {
  const parsed = envelope.safeParse(json);
  if (!parsed.success) return undefined;
  const { data } = parsed.data;
  const started = mayBeTask ? startedTask.safeParse(data) : undefined;
  return started?.success === true ? { kind: 'task', taskId: started.data.taskId } : { kind: 'written', data };
}

/** Where the task of a write stands. */
export interface WriteTaskAnswer {
  /** As Maesn says it; `null`: it does not say. */
  readonly status: string | null;
  /** What was written, or what the task says of each item. */
  readonly data: unknown;
  /** What the task tells, in its own words. */
  readonly information: unknown;
}

export function parseWriteTaskAnswer(json: unknown): WriteTaskAnswer | undefined {
  const parsed = envelope.safeParse(json);
  if (!parsed.success) return undefined;
  const answer = writeTask.safeParse(parsed.data.data);
  if (!answer.success) return undefined;
  const { status, responseData, information } = answer.data;
  return { status: status ?? null, data: responseData ?? null, information: information ?? null };
}

const writeTask = z.object({
  status: z.string().nullish(),
  responseData: z.unknown(),
  information: z.unknown(),
});

/** One record by its path. `undefined`: not an envelope that holds an object. */
export function parseRecordAnswer(json: unknown): Readonly<Record<string, unknown>> | undefined {
  const parsed = envelope.safeParse(json);
  if (!parsed.success) return undefined;
  // Some answers hold a list of one.
  const data: unknown = Array.isArray(parsed.data.data) ? parsed.data.data[0] : parsed.data.data;
  return record.safeParse(data).data;
}

const record = z.record(z.string(), z.unknown());

const entries = z.array(z.unknown()).min(1).optional().catch(undefined);

/** The parts of an error answer that say what went wrong. Whatever is not there, or not an array, is left out. */
const errorBody = z.object({ errors: entries, downstreamErrors: entries, validationErrors: entries });

export function parseErrorBody(json: unknown): Partial<z.infer<typeof errorBody>> {
  const parsed = errorBody.safeParse(json);
  return parsed.success ? parsed.data : {};
}
