/** The tables of the store. Times are `timestamptz`; everything of a connection goes when its row goes. */
import { sql } from 'drizzle-orm';
import {
  bigint,
  boolean,
  index,
  integer,
  jsonb,
  pgSchema,
  primaryKey,
  text,
  timestamp,
  unique,
  uniqueIndex,
} from 'drizzle-orm/pg-core';
import type { IncidentKind, Outcome } from '../spec/incidents.js';
import type { PaceState } from '../spec/pace.js';
import type { Resource } from '../spec/resources.js';
import type { WriteOperation } from '../spec/writes.js';

/** A schema of its own, so that the store can live in a database that others use too. */
export const schema = pgSchema('maesn_sync');

const time = (name: string) => timestamp(name, { withTimezone: true, mode: 'date' });

/**
 * `not_connected`: there is no account key yet. `reauthorization_expired`: nobody signed in again in time. From both, the
 * next stored key makes it active; a sync that starts before opens a round of reauthorisation.
 */
export const CONNECTION_STATUSES = [
  'not_connected',
  'active',
  'awaiting_reauthorization',
  'reauthorization_expired',
] as const;

export type ConnectionStatus = (typeof CONNECTION_STATUSES)[number];

export const connections = schema.table('connections', {
  id: text().primaryKey(),
  targetSystem: text('target_system').notNull(),
  companyId: text('company_id'),
  environmentName: text('environment_name'),
  fiscalYearStartDate: text('fiscal_year_start_date'),
  status: text().$type<ConnectionStatus>().notNull().default('active'),
  /** Sealed; see sealing.ts. null: not connected yet. */
  accountKey: text('account_key'),
  /** Grows with every stored key: tells a key that was refused from one that came after it. 0: none was stored. */
  keyVersion: integer('key_version').notNull().default(1),
  /** The newest version known to be refused. */
  refusedVersion: integer('refused_version').notNull().default(0),
  /** How often this connection has had to be reauthorised. */
  reauthorizationRound: integer('reauthorization_round').notNull().default(0),
  awaitingSince: time('awaiting_since'),
  /** Whether the reauthorizeConnection Workflow has been signalled for this round. */
  announced: boolean().notNull().default(false),
  createdAt: time('created_at').notNull().defaultNow(),
});

const connectionId = () =>
  text('connection_id')
    .notNull()
    .references(() => connections.id, { onDelete: 'cascade' });

/** Workflows that stand still until their connection is reauthorised. */
export const waitingWorkflows = schema.table(
  'waiting_workflows',
  {
    connectionId: connectionId(),
    workflowId: text('workflow_id').notNull(),
    round: integer().notNull(),
    since: time('since').notNull().defaultNow(),
  },
  (table) => [primaryKey({ columns: [table.connectionId, table.workflowId] })],
);

/** Where the walk over one resource of one connection stands, and what the walk before it left behind. */
export const cursors = schema.table(
  'cursors',
  {
    connectionId: connectionId(),
    resource: text().$type<Resource>().notNull(),
    /** The run this walk belongs to; a run that asks again about a walk it has ended gets that end as the answer. */
    walkId: text('walk_id').notNull(),
    walkStartedAt: time('walk_started_at').notNull(),
    /** `lastModifiedAt` of this walk; null = a full walk. */
    walkSince: time('walk_since'),
    nextPage: integer('next_page').notNull().default(1),
    /** Of a child resource, whose pages are its parents: the key of the parent to ask next. */
    nextParent: text('next_parent'),
    totalPages: integer('total_pages'),
    totalRecords: integer('total_records'),
    pages: integer().notNull().default(0),
    records: integer().notNull().default(0),
    flagged: integer().notNull().default(0),
    completedAt: time('completed_at'),
    /** Start of the last walk that came to its end: everything modified before it is in the store. */
    watermark: time('watermark'),
    /** From 1. Pages that changed while they were read are read again, in another pass. */
    pass: integer().notNull().default(1),
    passStartedAt: time('pass_started_at').notNull().defaultNow(),
    phase: text().$type<WalkPhase>().notNull().default('pages'),
    /** Two pages of the phase have not counted the same number of records. */
    totalChanged: boolean('total_changed').notNull().default(false),
    /** SHA-256 over the keys of the pass, in order. */
    fingerprint: text(),
    /** Of the pass before. */
    previousFingerprint: text('previous_fingerprint'),
    /** Start of the last full walk that came to its end. */
    fullAt: time('full_at'),
    /** Of the last walk that came to its end: whether it has missed no record that was listed all the while. */
    verified: boolean(),
    /** Records that this walk found to be gone. */
    deleted: integer().notNull().default(0),
    /** The process whose Activity walks, or did; see `OpenDatabase`. */
    process: text(),
    /** By which Temporal knows the attempt of that Activity; null where nobody need be told of its end. */
    taskToken: text('task_token'),
  },
  (table) => [
    primaryKey({ columns: [table.connectionId, table.resource] }),
    index('cursors_attempts')
      .on(table.process)
      .where(sql`completed_at is null and task_token is not null`),
  ],
);

/**
 * `pages`: the list is read. `changes`: what has changed since the pass began is asked for, to see whether the list stood
 * still. `guarded`: all is read, and a person must say whether what is gone may be deleted.
 */
export type WalkPhase = 'pages' | 'changes' | 'guarded';

/** What the pass under way has read: a row for every group of pages that was written together. Gone when the walk ends. */
export const passPages = schema.table(
  'pass_pages',
  {
    connectionId: connectionId(),
    resource: text().$type<Resource>().notNull(),
    phase: text().$type<WalkPhase>().notNull(),
    page: integer().notNull(),
    /** As listed, also what is listed twice. */
    keys: jsonb().$type<readonly string[]>().notNull(),
    /** Of a snapshot: the records, which replace the snapshot before them together. */
    rows: jsonb().$type<readonly unknown[]>(),
  },
  (table) => [primaryKey({ columns: [table.connectionId, table.resource, table.phase, table.page] })],
);

/** The customers' books, whole, as Maesn gave them. */
export const records = schema.table(
  'records',
  {
    connectionId: connectionId(),
    resource: text().$type<Resource>().notNull(),
    key: text().notNull(),
    /** Of a child resource: the key of the record that it belongs to. */
    parentKey: text('parent_key'),
    record: jsonb().notNull(),
    modifiedAt: time('modified_at'),
    /** SHA-256 of the record as stored. */
    hash: text().notNull(),
    /** What is wrong with the record; null = nothing. A record is never dropped for being wrong. */
    problems: jsonb().$type<readonly string[]>(),
    syncedAt: time('synced_at').notNull().defaultNow(),
    /** When it came into the store for the first time. */
    addedAt: time('added_at').notNull().defaultNow(),
    /** Since when the target system does not hold it any more, as far as it has told. */
    deletedAt: time('deleted_at'),
  },
  (table) => [
    primaryKey({ columns: [table.connectionId, table.resource, table.key] }),
    index('records_children')
      .on(table.connectionId, table.resource, table.parentKey)
      .where(sql`parent_key is not null`),
  ],
);

/** How fast a connection, or we as Maesn's client, may ask; see `spec/pace.ts`. */
export const paces = schema.table('paces', {
  /** `connection/<id>`, `client/<target system>` or `errors/<id>/<endpoint>`. No foreign key: of a connection that comes back, its limits have not forgotten it. */
  scope: text().primaryKey(),
  state: jsonb().$type<PaceState>().notNull(),
});

/** Which resources a connection's target system offers, as its answers have told. */
export const capabilities = schema.table(
  'capabilities',
  {
    connectionId: connectionId(),
    resource: text().$type<Resource>().notNull(),
    supported: boolean().notNull(),
    /** Of what is not supported: the failure type, and the status that said so. Never a part of the answer. */
    reason: jsonb().$type<CapabilityReason>(),
    /** Another key may open more. */
    keyVersion: integer('key_version').notNull(),
    checkedAt: time('checked_at').notNull().defaultNow(),
    /** Until then it is not asked for; null = it is supported. */
    recheckAt: time('recheck_at'),
    /** When it was last answered; null = never. */
    offeredAt: time('offered_at'),
  },
  (table) => [primaryKey({ columns: [table.connectionId, table.resource] })],
);

export interface CapabilityReason {
  readonly type: string;
  readonly status?: number | undefined;
}

/** What Maesn warned of in answers that it gave all the same. May quote a record: shown, and sent nowhere. */
export const warnings = schema.table(
  'warnings',
  {
    connectionId: connectionId(),
    resource: text().$type<Resource>().notNull(),
    /** Cut to 500 characters. */
    text: text().notNull(),
    /** In how many answers. */
    count: integer().notNull(),
    firstAt: time('first_at').notNull().defaultNow(),
    lastAt: time('last_at').notNull().defaultNow(),
  },
  (table) => [primaryKey({ columns: [table.connectionId, table.resource, table.text] })],
);

/** What Maesn last answered for each connection: many that met the same at the same time are an incident. */
export const outcomes = schema.table(
  'outcomes',
  {
    connectionId: connectionId().primaryKey(),
    outcome: text().$type<Outcome>().notNull(),
    at: time('at').notNull().defaultNow(),
  },
  (table) => [index().on(table.at)],
);

export const incidents = schema.table(
  'incidents',
  {
    id: bigint({ mode: 'number' }).primaryKey().generatedAlwaysAsIdentity(),
    kind: text().$type<IncidentKind>().notNull(),
    /** null = all that we ask. */
    targetSystem: text('target_system'),
    openedAt: time('opened_at').notNull().defaultNow(),
    lastSeenAt: time('last_seen_at').notNull().defaultNow(),
    closedAt: time('closed_at'),
    /** How many connections it concerned at once, at most. */
    connections: integer().notNull(),
    /** Whether the application has been told of it as it stands. */
    announced: boolean().notNull().default(false),
  },
  (table) => [
    // One of a kind at a time.
    uniqueIndex('incidents_open')
      .on(table.kind, sql`coalesce(${table.targetSystem}, '')`)
      .where(sql`closed_at is null`),
  ],
);

/** What the application must be told, in the order in which it happened: the outbox of its webhook. */
export const events = schema.table(
  'events',
  {
    id: bigint({ mode: 'number' }).primaryKey().generatedAlwaysAsIdentity(),
    /** null = of no single connection: an incident. */
    connectionId: text('connection_id').references(() => connections.id, { onDelete: 'cascade' }),
    type: text().$type<EventType>().notNull(),
    /** Names the occasion, so that one occasion is one event however often the Activity that tells it is tried. */
    occasion: text().notNull(),
    /** Ids, counts and times; never a key, never a record. */
    data: jsonb().$type<EventData>().notNull().default({}),
    createdAt: time('created_at').notNull().defaultNow(),
    /** null = the application has not taken it yet. */
    deliveredAt: time('delivered_at'),
    attempts: integer().notNull().default(0),
    /** Why the last attempt failed. */
    lastError: text('last_error'),
    /** What explains it and was told in its place: listed, not delivered. */
    incidentId: bigint('incident_id', { mode: 'number' }),
  },
  (table) => [
    unique().on(table.connectionId, table.type, table.occasion),
    uniqueIndex('events_of_no_connection')
      .on(table.type, table.occasion)
      .where(sql`connection_id is null`),
    index('events_undelivered')
      .on(table.connectionId, table.id)
      .where(sql`delivered_at is null`),
  ],
);

export type EventData = Readonly<Record<string, unknown>>;

export const EVENT_TYPES = [
  'connection.reauthorization_required',
  'connection.reauthorization_reminder',
  'connection.reauthorized',
  'connection.reauthorization_expired',
  'sync.started',
  'sync.completed',
  'sync.failed',
  'sync.stuck',
  'sync.deletes_withheld',
  'incident.opened',
  'incident.closed',
  'write.ended',
  'write.undecided',
  'write_batch.ended',
] as const;

export type EventType = (typeof EVENT_TYPES)[number];

/**
 * What keeps a connection from running, besides its login. `paused` is placed and lifted by people, each of the others
 * only by the part of maesn-sync that knows when it is over.
 */
export const HOLD_KINDS = ['paused', 'incident', 'delete_guard', 'quota'] as const;

export type HoldKind = (typeof HOLD_KINDS)[number];

/** A connection runs while it has no row here. */
export const holds = schema.table(
  'holds',
  {
    connectionId: connectionId(),
    kind: text().$type<HoldKind>().notNull(),
    placedBy: text('placed_by').notNull(),
    reason: text().notNull(),
    since: time('since').notNull().defaultNow(),
  },
  (table) => [primaryKey({ columns: [table.connectionId, table.kind] })],
);

/** Who did what, when, and what came of it. Outlives the connection: no foreign key. */
export const journal = schema.table(
  'journal',
  {
    id: bigint({ mode: 'number' }).primaryKey().generatedAlwaysAsIdentity(),
    connectionId: text('connection_id').notNull(),
    at: time('at').notNull().defaultNow(),
    /** The name of a token, `end user`, `Maesn`, or `maesn-sync` itself. */
    actor: text().notNull(),
    action: text().$type<JournalAction>().notNull(),
    /** Ids, counts and words; never a key, never a record. */
    detail: jsonb().$type<EventData>().notNull().default({}),
    /** As with events: an occasion that is told twice is entered once. null = never told twice. */
    occasion: text(),
  },
  (table) => [unique().on(table.connectionId, table.action, table.occasion), index().on(table.connectionId, table.id)],
);

export const JOURNAL_ACTIONS = [
  'connection.added',
  'connection.removed',
  'login.asked_for',
  'login.completed',
  'login.cancelled',
  'login.failed',
  'key.stored',
  'key.refused',
  'reauthorization.required',
  'reauthorization.reminded',
  'reauthorization.settled',
  'sync.started',
  'sync.asked_for',
  'sync.retried',
  'sync.paused',
  'sync.resumed',
  'sync.cancelled',
  'deletes.withheld',
  'deletes.confirmed',
  'deletes.refused',
  'resource.recheck_asked_for',
  'webhook.login_revoked',
  'event.replayed',
  'write.asked_for',
  'write.resolved',
  'write.cancelled',
] as const;

export type JournalAction = (typeof JOURNAL_ACTIONS)[number];

/** Logins that an end user has been sent to and has not come back from. */
export const logins = schema.table('logins', {
  /** SHA-256 of the state that rides on the callback URL: who reads this table cannot complete a login. */
  stateHash: text('state_hash').primaryKey(),
  connectionId: connectionId(),
  askedForBy: text('asked_for_by').notNull(),
  createdAt: time('created_at').notNull().defaultNow(),
  expiresAt: time('expires_at').notNull(),
  /** A state counts once. */
  usedAt: time('used_at'),
  outcome: text().$type<LoginOutcome>(),
});

/** `posted`: Maesn has posted the account key; the end user is still on the way back. */
export type LoginOutcome = 'connected' | 'posted' | 'cancelled' | 'failed';

/** What Maesn has been asked to tell us by webhook: one row a kind of event, each with a callback URL of its own. */
export const webhookSubscriptions = schema.table(
  'webhook_subscriptions',
  {
    /** SHA-256 of the token in the callback URL. */
    tokenHash: text('token_hash').primaryKey(),
    connectionId: connectionId(),
    /** Maesn's words: `CREATED`, `INVOICE`. */
    eventType: text('event_type').notNull(),
    webhookResource: text('webhook_resource').notNull(),
    /** Maesn's id of the subscription; null until Maesn has answered. */
    maesnId: text('maesn_id'),
    /** Sealed. null until Maesn has answered. */
    secret: text(),
    expiresAt: time('expires_at'),
    createdAt: time('created_at').notNull().defaultNow(),
  },
  (table) => [index().on(table.connectionId)],
);

/** Resources of which a webhook has said that something changed, and which have not been pulled since. */
export const hints = schema.table(
  'hints',
  {
    connectionId: connectionId(),
    resource: text().$type<Resource>().notNull(),
    since: time('since').notNull().defaultNow(),
    /** How many webhook events this hint stands for. */
    events: integer().notNull().default(1),
    /** The sync has been signalled: it pulls what is hinted at, which removes the hint. */
    told: boolean().notNull().default(false),
  },
  (table) => [primaryKey({ columns: [table.connectionId, table.resource] })],
);

/**
 * Where a write stands. `waiting`: to be sent. `sending`: it may be on its way; found so by another attempt, nobody knows what
 * became of it. `unknown`: to be looked up. `task`: Maesn carries it out. `undecided`: a person must say. `ended`: see `outcome`.
 */
export const WRITE_STATES = ['waiting', 'sending', 'unknown', 'task', 'undecided', 'ended'] as const;

export type WriteState = (typeof WRITE_STATES)[number];

/** `abandoned`: it may or may not have been applied, and a person has let it be. `cancelled`: it was never sent. */
export const WRITE_OUTCOMES = ['applied', 'partly_applied', 'refused', 'abandoned', 'cancelled'] as const;

export type WriteOutcomeName = (typeof WRITE_OUTCOMES)[number];

/** What is to be written through Maesn, each once: its idempotency key is the caller's own. */
export const writes = schema.table(
  'writes',
  {
    /** Grows: the order in which they came. */
    id: bigint({ mode: 'number' }).primaryKey().generatedAlwaysAsIdentity(),
    connectionId: connectionId(),
    idempotencyKey: text('idempotency_key').notNull(),
    operation: text().$type<WriteOperation>().notNull(),
    parameters: jsonb().$type<Readonly<Record<string, string>>>().notNull(),
    /** Those of the same subject are sent one after the other. */
    subject: text().notNull(),
    /** Sealed; null: there is none, or the write has ended. */
    body: text(),
    /** SHA-256 of operation, parameters and body: the same key must mean the same. */
    hash: text().notNull(),
    state: text().$type<WriteState>().notNull().default('waiting'),
    outcome: text().$type<WriteOutcomeName>(),
    /** How often it was sent. */
    sends: integer().notNull().default(0),
    /** When it was first sent: what is there from before is not of it. */
    firstSentAt: time('first_sent_at'),
    sentAt: time('sent_at'),
    taskId: text('task_id'),
    taskSince: time('task_since'),
    /** What it has created, or changed. */
    resource: text().$type<Resource>(),
    recordKey: text('record_key'),
    /** Whether `recordKey` came into being with it: no two writes can have created the same. */
    created: boolean().notNull().default(false),
    /** Sealed: what Maesn answered in the end, whole. */
    answer: text(),
    /** In words without records: why it was refused, or cannot be decided. */
    because: text(),
    actor: text().notNull(),
    /** Of many that were asked for in one call: which. */
    batchId: text('batch_id'),
    /** Since when its Workflow runs; null: it waits for its place in the batch. */
    startedAt: time('started_at'),
    createdAt: time('created_at').notNull().defaultNow(),
    changedAt: time('changed_at').notNull().defaultNow(),
  },
  (table) => [
    unique().on(table.connectionId, table.idempotencyKey),
    index('writes_batch')
      .on(table.connectionId, table.batchId, table.id)
      .where(sql`batch_id is not null`),
    uniqueIndex('writes_created')
      .on(table.connectionId, table.resource, table.recordKey)
      .where(sql`created`),
    index('writes_open')
      .on(table.connectionId, table.subject, table.id)
      .where(sql`state <> 'ended'`),
    index('writes_undecided')
      .on(table.id)
      .where(sql`state = 'undecided'`),
  ],
);
