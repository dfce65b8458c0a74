/** What the HTTP API takes and gives; the OpenAPI document is made of these, and the commands read answers with them. */
import { z } from '@hono/zod-openapi';
import {
  accountKey,
  addConnectionInput,
  connectionId,
  credentials,
  eventIds,
  moment,
  decideDeletesOptions,
  pauseOptions,
  recordKey,
  resourceName,
  retryTargetSystemOptions,
  startSyncOptions,
} from '../client/inputs.js';
import {
  idempotencyKey,
  newWrite as newWriteInput,
  quotedIdempotencyKey,
  resolveWriteInput,
  writeBatchInput,
} from '../client/write-inputs.js';
import { INCIDENT_KINDS } from '../spec/incidents.js';
import { RESOURCE_NAMES } from '../spec/resources.js';
import { WRITE_OPERATIONS } from '../spec/writes.js';
import {
  CONNECTION_STATUSES,
  EVENT_TYPES,
  HOLD_KINDS,
  JOURNAL_ACTIONS,
  WRITE_OUTCOMES,
  WRITE_STATES,
} from '../store/index.js';

const time = z.iso.datetime().meta({ example: '2026-11-23T07:31:00.000Z' });
const count = z.number().int().min(0);
const entries = z.array(z.unknown()).optional();

export const idParam = z.object({ id: connectionId.meta({ param: { name: 'id', in: 'path' }, example: 'acme' }) });
export const resourceParams = idParam.extend({
  resource: resourceName.meta({ param: { name: 'resource', in: 'path' } }),
});
export const recordParams = resourceParams.extend({ key: recordKey.meta({ param: { name: 'key', in: 'path' } }) });
export const writeParams = idParam.extend({
  key: idempotencyKey.meta({ param: { name: 'key', in: 'path' }, example: 'order-4711' }),
});
export const writeBatchParams = idParam.extend({
  batchId: idempotencyKey.meta({ param: { name: 'batchId', in: 'path' }, example: 'invoices-2026-11' }),
});
export const idempotencyHeader = z.object({
  'Idempotency-Key': quotedIdempotencyKey.meta({
    description: 'Your own, one for each thing that is to be written once. The same key is the same write.',
    example: '"order-4711"',
  }),
});

/** A whole number in a query, where everything is text. */
const queryInt = (min: number, max: number) =>
  z
    .string()
    .regex(/^\d{1,16}$/, 'must be a whole number')
    .transform(Number)
    .pipe(z.number().int().min(min).max(max));
const queryIntDoc = (minimum: number, maximum: number, byDefault?: number) => ({
  type: 'integer' as const,
  minimum,
  maximum,
  ...(byDefault === undefined ? {} : { default: byDefault }),
});
const queryFlag = z.enum(['true', 'false']).transform((text) => text === 'true');

export const connectionsQuery = z.strictObject({
  after: connectionId.optional().meta({ description: 'From behind this id: `next` of the page before.' }),
  limit: queryInt(1, 200)
    .optional()
    .meta(queryIntDoc(1, 200, 50)),
});
export const recordsQuery = z.strictObject({
  after: recordKey.optional().meta({ description: 'From behind this key: `next` of the page before.' }),
  limit: queryInt(1, 1_000)
    .optional()
    .meta(queryIntDoc(1, 1_000, 100)),
  modifiedSince: z.iso
    .datetime({ offset: true })
    .transform((text) => new Date(text))
    .pipe(moment)
    .optional()
    .meta({ type: 'string', format: 'date-time' }),
  includeDeleted: queryFlag.optional().meta({ type: 'boolean', default: false }),
});
export const journalQuery = z.strictObject({
  before: queryInt(1, Number.MAX_SAFE_INTEGER).optional().meta(queryIntDoc(1, Number.MAX_SAFE_INTEGER)),
  limit: queryInt(1, 1_000)
    .optional()
    .meta(queryIntDoc(1, 1_000, 100)),
});
export const eventsQuery = z.strictObject({
  after: queryInt(0, Number.MAX_SAFE_INTEGER)
    .optional()
    .meta(queryIntDoc(0, Number.MAX_SAFE_INTEGER, 0)),
  limit: queryInt(1, 1_000)
    .optional()
    .meta(queryIntDoc(1, 1_000, 100)),
  connectionId: connectionId.optional(),
});

export const incidentsQuery = z.strictObject({
  open: queryFlag.optional().meta({ type: 'boolean', default: false, description: 'Those that are not over alone.' }),
  before: queryInt(1, Number.MAX_SAFE_INTEGER).optional().meta(queryIntDoc(1, Number.MAX_SAFE_INTEGER)),
  limit: queryInt(1, 1_000)
    .optional()
    .meta(queryIntDoc(1, 1_000, 100)),
});

export const writesQuery = z.strictObject({
  state: z.enum(WRITE_STATES).optional(),
  before: queryInt(1, Number.MAX_SAFE_INTEGER).optional().meta(queryIntDoc(1, Number.MAX_SAFE_INTEGER)),
  limit: queryInt(1, 200)
    .optional()
    .meta(queryIntDoc(1, 200, 50)),
});

export const writesOfConnectionQuery = writesQuery.extend({ batch: idempotencyKey.optional() });

export const newConnection = addConnectionInput.meta({ id: 'NewConnection' });
export const startSync = startSyncOptions.meta({ id: 'StartSync' });
export const retryTargetSystem = retryTargetSystemOptions.meta({ id: 'RetryTargetSystem' });
export const retryingTargetSystem = z
  .object({ workflowId: z.string(), waiting: count.meta({ description: 'How many will be told.' }) })
  .meta({ id: 'RetryingTargetSystem' });
export const pauseSync = pauseOptions.meta({ id: 'PauseSync' });
export const decideDeletes = decideDeletesOptions.meta({ id: 'DecideDeletes' });
export const newKey = z.strictObject({ accountKey }).meta({ id: 'NewAccountKey' });
export const newCredentials = credentials.meta({ id: 'Credentials', minProperties: 1 });
export const newWrite = newWriteInput.meta({ id: 'NewWrite' });
export const newWriteBatch = writeBatchInput.meta({ id: 'NewWriteBatch' });
export const resolveWrite = resolveWriteInput.meta({ id: 'ResolveWrite' });
export const replay = z.strictObject({ ids: eventIds }).meta({ id: 'ReplayEvents' });

export const connection = z
  .object({
    connectionId: z.string(),
    targetSystem: z.string(),
    companyId: z.string().nullable(),
    environmentName: z.string().nullable(),
    fiscalYearStartDate: z.string().nullable(),
    status: z.enum(CONNECTION_STATUSES),
    keyVersion: count,
    awaitingSince: time.nullable(),
    createdAt: time,
  })
  .meta({ id: 'Connection' });

export const startedSync = z
  .object({ workflowId: z.string(), runId: z.string(), alreadyRunning: z.boolean() })
  .meta({ id: 'StartedSync' });

const resourceReport = z
  .object({
    status: z.enum(['waiting', 'syncing', 'completed', 'unsupported', 'failed']),
    pages: count,
    records: count,
    flagged: count,
    totalPages: count.optional(),
    passes: count.optional().meta({
      description: 'How often the list was read, because it changed meanwhile; the counts are those of the last time.',
    }),
    verified: z.boolean().optional().meta({
      description: 'Of a walk that has ended: whether every record that was listed all the while is in the store.',
    }),
    deleted: count.optional().meta({ description: 'Records that were found to be gone, and marked as deleted.' }),
    retries: count,
    reauthorizations: count,
    parkedAtPage: count.optional(),
    failure: z
      .object({
        type: z.string(),
        message: z.string(),
        errors: entries,
        downstreamErrors: entries,
        validationErrors: entries,
      })
      .optional(),
  })
  .meta({ id: 'ResourceReport' });

const reports = z.partialRecord(z.enum(RESOURCE_NAMES), resourceReport);

export const syncStatus = z
  .object({
    connection,
    workflowId: z.string(),
    runId: z.string().optional(),
    state: z.enum([
      'NotStarted',
      'Idle',
      'Syncing',
      'Retrying',
      'Waiting',
      'AwaitingReauthorization',
      'Paused',
      'Held',
      'Unknown',
      'Completed',
      'Failed',
      'Cancelled',
      'Terminated',
    ]),
    since: time.optional(),
    summary: z.string(),
    holds: z.array(
      z.object({
        kind: z.enum([...HOLD_KINDS, 'reauthorization']),
        placedBy: z.string(),
        reason: z.string(),
        since: time,
      }),
    ),
    resource: z.enum(RESOURCE_NAMES).optional(),
    cycle: count.optional(),
    nextCycleAt: time.optional(),
    failedCycles: count
      .optional()
      .meta({ description: 'In a row, that brought nothing: with each, the next is later.' }),
    retry: z
      .object({
        type: z.string(),
        message: z.string(),
        status: count.optional(),
        resource: z.string().optional(),
        page: count.optional(),
        failures: count,
        nextAttemptAt: time,
        errors: entries,
        downstreamErrors: entries,
        incidentId: count.optional().meta({ description: 'What explains it, and concerns others too.' }),
      })
      .optional(),
    failure: z.object({ type: z.string(), message: z.string() }).optional(),
    resources: reports,
    lastReport: z.object({ startedAt: time, endedAt: time, resources: reports }).optional(),
    freshness: z.partialRecord(z.enum(RESOURCE_NAMES), z.object({ asOf: time })),
    notOffered: z
      .partialRecord(
        z.enum(RESOURCE_NAMES),
        z.object({ type: z.string(), status: count.optional(), checkedAt: time, recheckAt: time }),
      )
      .meta({ description: 'What the target system does not offer; not asked for until `recheckAt`.' }),
    temporalUi: z.url().optional().meta({ description: 'The Workflow in the Temporal UI.' }),
  })
  .meta({ id: 'SyncStatus' });

export const resource = z
  .object({
    resource: z.enum(RESOURCE_NAMES),
    offered: z.boolean().nullable().meta({ description: 'As it last answered; null: it has not answered yet.' }),
    reason: z.object({ type: z.string(), status: count.optional() }).nullable(),
    checkedAt: time.nullable(),
    recheckAt: time.nullable().meta({ description: 'Until then it is not asked for.' }),
    asOf: time.nullable(),
    warnings: z
      .array(z.object({ text: z.string(), count, firstAt: time, lastAt: time }))
      .meta({ description: 'What Maesn warned of, newest first. May quote a record.' }),
  })
  .meta({ id: 'Resource' });

export const resourceList = z.object({ items: z.array(resource) }).meta({ id: 'ResourceList' });

export const incident = z
  .object({
    id: count,
    kind: z.enum(INCIDENT_KINDS),
    targetSystem: z.string().nullable().meta({ description: 'null: all that is asked.' }),
    openedAt: time,
    lastSeenAt: time,
    closedAt: time.nullable(),
    connections: count.meta({ description: 'How many it concerned at once, at most.' }),
  })
  .meta({ id: 'Incident' });

export const login = z.object({ loginUrl: z.url(), expiresAt: time }).meta({ id: 'Login' });

export const record = z
  .object({
    key: z.string(),
    record: z.unknown().meta({ description: 'As Maesn gave it.' }),
    modifiedAt: time.nullable(),
    problems: z.array(z.string()).nullable(),
    syncedAt: time,
    deletedAt: time.nullable(),
  })
  .meta({ id: 'Record' });

export const write = z
  .object({
    id: count.meta({ description: 'Grows: the order in which they came.' }),
    connectionId: z.string(),
    idempotencyKey: z.string(),
    operation: z.enum(WRITE_OPERATIONS),
    parameters: z.record(z.string(), z.string()),
    state: z.enum(WRITE_STATES).meta({
      description:
        'unknown: it may have been applied, and is looked up. task: Maesn carries it out. undecided: a person must say.',
    }),
    outcome: z.enum(WRITE_OUTCOMES).nullable().meta({ description: 'Of one that has ended.' }),
    sends: count,
    firstSentAt: time.nullable(),
    sentAt: time.nullable(),
    taskId: z.string().nullable(),
    taskSince: time.nullable(),
    resource: z.enum(RESOURCE_NAMES).nullable().meta({ description: 'What it has created or changed.' }),
    recordKey: z.string().nullable(),
    because: z.string().nullable().meta({ description: 'Why it was refused, or cannot be decided.' }),
    batchId: z.string().nullable().meta({ description: 'Of many that were asked for in one call: which.' }),
    createdAt: time,
    changedAt: time,
  })
  .meta({ id: 'Write' });

export const writeStatus = write
  .extend({
    answer: z.unknown().optional().meta({ description: 'What Maesn answered in the end, whole. May hold a record.' }),
  })
  .meta({ id: 'WriteStatus' });

export const writeBatchReport = z
  .object({
    total: count,
    unstarted: count,
    running: count,
    undecided: count.meta({ description: 'A person must say what became of them.' }),
    ...Object.fromEntries(WRITE_OUTCOMES.map((outcome) => [outcome, count])),
  })
  .meta({ id: 'WriteBatchReport' });

export const event = z
  .object({
    id: count,
    type: z.enum(EVENT_TYPES),
    connectionId: z.string().nullable().meta({ description: 'null: of no single connection.' }),
    data: z.record(z.string(), z.unknown()),
    createdAt: time,
    deliveredAt: time.nullable(),
    attempts: count,
    lastError: z.string().nullable(),
    incidentId: count.nullable().meta({ description: 'What explains it and was told in its place.' }),
  })
  .meta({ id: 'Event' });

export const journalEntry = z
  .object({
    id: count,
    connectionId: z.string(),
    at: time,
    actor: z.string(),
    action: z.enum(JOURNAL_ACTIONS),
    detail: z.record(z.string(), z.unknown()),
  })
  .meta({ id: 'JournalEntry' });

const pageOf = <Item extends z.ZodType>(name: string, item: Item) =>
  z
    .object({
      items: z.array(item),
      next: z.string().optional().meta({ description: 'Where the next page begins; absent on the last one.' }),
    })
    .meta({ id: name });

export const connectionPage = pageOf('ConnectionPage', connection);
export const syncPage = pageOf('SyncPage', syncStatus);
export const recordPage = pageOf('RecordPage', record);
export const writePage = pageOf('WritePage', write);
export const eventPage = pageOf('EventPage', event);
export const incidentPage = pageOf('IncidentPage', incident);
export const journalPage = pageOf('JournalPage', journalEntry);
