/** The tables of the store. Times are `timestamptz`; everything of a connection goes when its row goes. */
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
} from 'drizzle-orm/pg-core';
import type { Resource } from '../spec/resources.js';

/** A schema of its own, so that the store can live in a database that others use too. */
export const schema = pgSchema('maesn_sync');

const time = (name: string) => timestamp(name, { withTimezone: true, mode: 'date' });

/**
 * `reauthorization_expired`: nobody signed in again in time. The next stored key makes it active; so does a sync
 * that starts and meets the 401 again open a new round.
 */
export type ConnectionStatus = 'active' | 'awaiting_reauthorization' | 'reauthorization_expired';

export const connections = schema.table('connections', {
  id: text().primaryKey(),
  targetSystem: text('target_system').notNull(),
  companyId: text('company_id'),
  environmentName: text('environment_name'),
  fiscalYearStartDate: text('fiscal_year_start_date'),
  status: text().$type<ConnectionStatus>().notNull().default('active'),
  /** Sealed; see sealing.ts. */
  accountKey: text('account_key').notNull(),
  /** Grows with every stored key: tells a key that was refused from one that came after it. */
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
    totalPages: integer('total_pages'),
    totalRecords: integer('total_records'),
    pages: integer().notNull().default(0),
    records: integer().notNull().default(0),
    flagged: integer().notNull().default(0),
    completedAt: time('completed_at'),
    /** Start of the last walk that came to its end: everything modified before it is in the store. */
    watermark: time('watermark'),
  },
  (table) => [primaryKey({ columns: [table.connectionId, table.resource] })],
);

/** The customers' books, whole, as Maesn gave them. */
export const records = schema.table(
  'records',
  {
    connectionId: connectionId(),
    resource: text().$type<Resource>().notNull(),
    key: text().notNull(),
    record: jsonb().notNull(),
    modifiedAt: time('modified_at'),
    /** SHA-256 of the record as stored. */
    hash: text().notNull(),
    /** What is wrong with the record; null = nothing. A record is never dropped for being wrong. */
    problems: jsonb().$type<readonly string[]>(),
    syncedAt: time('synced_at').notNull().defaultNow(),
  },
  (table) => [primaryKey({ columns: [table.connectionId, table.resource, table.key] })],
);

/** What the application must be told, in the order in which it happened. */
export const notices = schema.table(
  'notices',
  {
    id: bigint({ mode: 'number' }).primaryKey().generatedAlwaysAsIdentity(),
    connectionId: connectionId(),
    type: text().$type<NoticeType>().notNull(),
    /** Names the occasion, so that one occasion is one notice however often the Activity that tells it is tried. */
    occasion: text().notNull(),
    createdAt: time('created_at').notNull().defaultNow(),
  },
  (table) => [unique().on(table.connectionId, table.type, table.occasion), index().on(table.createdAt)],
);

export const NOTICE_TYPES = [
  'connection.reauthorization_required',
  'connection.reauthorization_reminder',
  'connection.reauthorized',
  'connection.reauthorization_expired',
] as const;

export type NoticeType = (typeof NOTICE_TYPES)[number];
