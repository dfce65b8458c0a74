/** What is to be written through Maesn. The row is the truth: whoever sends, looks up or decides changes it first, under its lock. */
import { createHash } from 'node:crypto';
import { and, asc, desc, eq, inArray, isNotNull, isNull, lt, ne, notInArray, sql } from 'drizzle-orm';
import { TransactionRollbackError } from 'drizzle-orm';
import type { Resource } from '../spec/resources.js';
import { naturalKeyOf, writeSubject } from '../spec/writes.js';
import type { WriteOperation } from '../spec/writes.js';
import type { Database } from './database.js';
import { enter } from './journal.js';
import { records, writes } from './schema.js';
import type { WriteOutcomeName, WriteState } from './schema.js';
import type { Sealing } from './sealing.js';

export type WriteBody = Readonly<Record<string, unknown>>;

export interface NewWrite {
  readonly connectionId: string;
  /** The caller's own, one for each thing that is to be written once. */
  readonly idempotencyKey: string;
  readonly operation: WriteOperation;
  /** Of the path. */
  readonly parameters: Readonly<Record<string, string>>;
  readonly body: WriteBody;
}

export interface Write {
  /** Grows: the order in which they came. */
  readonly id: number;
  readonly connectionId: string;
  readonly idempotencyKey: string;
  readonly operation: WriteOperation;
  readonly parameters: Readonly<Record<string, string>>;
  readonly state: WriteState;
  /** Of one that has ended. */
  readonly outcome: WriteOutcomeName | null;
  /** How often it was sent, without those times that it was refused before anything was done. */
  readonly sends: number;
  readonly firstSentAt: Date | null;
  readonly sentAt: Date | null;
  readonly taskId: string | null;
  readonly taskSince: Date | null;
  readonly resource: Resource | null;
  readonly recordKey: string | null;
  /** In words without records: why it was refused, or cannot be decided. */
  readonly because: string | null;
  /** Of many that were asked for in one call: which. */
  readonly batchId: string | null;
  readonly createdAt: Date;
  readonly changedAt: Date;
}

export interface WriteOf {
  readonly connectionId: string;
  readonly idempotencyKey: string;
}

export type Claim =
  /** It is this attempt's to send, now. */
  | { readonly decision: 'send'; readonly write: Write; readonly body: WriteBody }
  /** It is another write's turn: of the same subject, and earlier, or sent already. */
  | { readonly decision: 'behind'; readonly write: Write }
  /** It was sent before; what is to be done next, its state says. */
  | { readonly decision: 'sent'; readonly write: Write };

/**
 * A write as it was seen. Two attempts may be at work on one write, and what one of them has found out about a send says
 * nothing about a later one: what has changed since is left as it is.
 */
export interface Seen {
  readonly states: readonly WriteState[];
  /** Names the send. */
  readonly sentAt: Date | null;
}

export interface EndOfWrite extends WriteOf {
  readonly seen?: Seen;
  readonly outcome: WriteOutcomeName;
  readonly resource?: Resource | null;
  readonly recordKey?: string | null;
  readonly created?: boolean;
  /** What Maesn answered, whole. */
  readonly answer?: unknown;
  readonly because?: string | undefined;
}

export interface BatchOf {
  readonly connectionId: string;
  readonly batchId: string;
}

/** How many of a batch are where. */
export type BatchCounts = Readonly<Record<'total' | 'unstarted' | 'running' | 'undecided' | WriteOutcomeName, number>>;

export interface Writes {
  /** The write of that key, `added` if there was none. `undefined`: the key stands for another write. */
  add(write: NewWrite, actor: string): Promise<{ readonly write: Write; readonly added: boolean } | undefined>;
  /** All of them, or none. `undefined` when all are there; else the keys that stand for other writes. */
  addBatch(
    batch: BatchOf,
    all: readonly Omit<NewWrite, 'connectionId'>[],
    actor: string,
  ): Promise<readonly string[] | undefined>;
  countBatch(batch: BatchOf): Promise<BatchCounts>;
  /** The next ones to start, so that no more than `atOnce` are under way. */
  nextOfBatch(batch: BatchOf & { readonly atOnce: number }): Promise<Write[]>;
  started(of: WriteOf): Promise<void>;
  find(of: WriteOf): Promise<Write | undefined>;
  /** What was to be written; `undefined` once it has ended. Throws `SealingError`. */
  body(of: WriteOf): Promise<WriteBody | undefined>;
  /** What Maesn answered in the end; `undefined`: nothing, or not yet. Throws `SealingError`. */
  answer(of: WriteOf): Promise<unknown>;
  /** Newest first, from before `beforeId`. */
  list(options: {
    readonly connectionId?: string | undefined;
    readonly batchId?: string | undefined;
    readonly states?: readonly WriteState[] | undefined;
    readonly beforeId?: number | undefined;
    readonly limit?: number;
  }): Promise<Write[]>;
  claim(of: WriteOf): Promise<Claim | undefined>;
  /** Nothing was applied: it waits to be sent (again). `refused`: before anything was done, so that it does not count as sent. */
  release(of: WriteOf, options?: { readonly refused?: boolean; readonly seen?: Seen }): Promise<void>;
  /** Moves on what has not ended. */
  move(
    of: WriteOf,
    to: {
      readonly state: 'unknown' | 'task' | 'undecided';
      readonly taskId?: string;
      readonly because?: string;
      readonly seen?: Seen;
    },
  ): Promise<void>;
  /** Ends it, unless it has ended. `false`: another write is known to have created that record; nothing was changed. */
  end(end: EndOfWrite): Promise<boolean>;
  /** Of the same subject, the one whose turn it is, where it may be sent now. */
  nextOf(of: WriteOf): Promise<WriteOf | undefined>;
  /** Other writes of these operations that may have been applied, and of which nobody knows. */
  rivals(
    of: WriteOf & { readonly operations: readonly WriteOperation[] },
  ): Promise<{ readonly state: WriteState; readonly operation: WriteOperation; readonly body: WriteBody }[]>;
  /** Which of these records were there before that time, or come of other writes. */
  anothers(
    of: WriteOf & { readonly resource: Resource; readonly keys: readonly string[]; readonly before: Date },
  ): Promise<ReadonlySet<string>>;
  /** Ends one that was not sent; `false`: it was, or has ended. */
  cancel(of: WriteOf & { readonly actor: string }): Promise<boolean>;
  /** A person says what became of one that is undecided; `sends`: after that many. `false`: it is not, or not so any more. */
  resolve(
    of: WriteOf & { readonly decision: Resolution; readonly sends?: number | undefined; readonly actor: string },
  ): Promise<boolean>;
}

/** `not applied`: it is sent again. `abandon`: it is let be, applied or not. */
export const RESOLUTIONS = ['applied', 'not_applied', 'abandon'] as const;

export type Resolution = (typeof RESOLUTIONS)[number];

const COLUMNS = {
  id: writes.id,
  connectionId: writes.connectionId,
  idempotencyKey: writes.idempotencyKey,
  operation: writes.operation,
  parameters: writes.parameters,
  state: writes.state,
  outcome: writes.outcome,
  sends: writes.sends,
  firstSentAt: writes.firstSentAt,
  sentAt: writes.sentAt,
  taskId: writes.taskId,
  taskSince: writes.taskSince,
  resource: writes.resource,
  recordKey: writes.recordKey,
  because: writes.because,
  batchId: writes.batchId,
  createdAt: writes.createdAt,
  changedAt: writes.changedAt,
};

export function createWrites(db: Database, sealing: Sealing): Writes {
  const seal = ({ connectionId, idempotencyKey }: WriteOf, what: 'body' | 'answer', value: unknown) =>
    sealing.seal(JSON.stringify(value), [connectionId, idempotencyKey, what]);
  const open = ({ connectionId, idempotencyKey }: WriteOf, what: 'body' | 'answer', sealed: string): unknown =>
    JSON.parse(sealing.open(sealed, [connectionId, idempotencyKey, what]));
  const openBody = (of: WriteOf, sealed: string): WriteBody => ({ ...Object(open(of, 'body', sealed)) });

  async function addTo(
    tx: Database,
    { body, ...write }: NewWrite,
    about: { readonly actor: string; readonly batchId?: string },
  ): Promise<{ readonly write: Write; readonly added: boolean } | undefined> {
    const { operation, parameters } = write;
    const hash = hashOf(operation, parameters, body);
    // A natural key may be long, and a part of what is sealed.
    const subject = hashOf(writeSubject(operation, parameters, naturalKeyOf(operation, body)));
    const [added] = await tx
      .insert(writes)
      .values({ ...write, ...about, subject, hash, body: seal(write, 'body', body) })
      .onConflictDoNothing()
      .returning(COLUMNS);
    if (added !== undefined) return { write: added, added: true };
    const [known] = await tx
      .select({ ...COLUMNS, hash: writes.hash })
      .from(writes)
      .where(at(write));
    if (known === undefined) throw new Error('the write is gone: its connection was removed');
    const { hash: hashBefore, ...found } = known;
    return hashBefore === hash ? { write: found, added: false } : undefined;
  }

  async function row(of: WriteOf) {
    const [found] = await db.select().from(writes).where(at(of));
    return found;
  }

  return {
    add: (write, actor) =>
      db.transaction(async (tx) => {
        const found = await addTo(tx, write, { actor });
        const { connectionId, operation, idempotencyKey } = write;
        if (found?.added === true) {
          await enter(tx, { connectionId, actor, action: 'write.asked_for', detail: { operation, idempotencyKey } });
        }
        return found;
      }),

    async addBatch({ connectionId, batchId }, all, actor) {
      const reused: string[] = [];
      await db
        .transaction(async (tx) => {
          const before = await tx
            .select({ id: writes.id })
            .from(writes)
            .where(inBatch({ connectionId, batchId }))
            .limit(1);
          for (const write of all) {
            const found = await addTo(tx, { connectionId, ...write }, { actor, batchId });
            // A batch never grows, and takes nothing in that was asked for by itself: its end is told once.
            const isOfIt = found?.added === true ? before.length === 0 : found?.write.batchId === batchId;
            if (!isOfIt) reused.push(write.idempotencyKey);
          }
          if (reused.length > 0) tx.rollback();
          const detail = { batchId, writes: all.length };
          await enter(tx, { connectionId, actor, action: 'write.asked_for', detail, occasion: batchId });
        })
        .catch((error: unknown) => {
          if (!(error instanceof TransactionRollbackError)) throw error;
        });
      return reused.length === 0 ? undefined : reused;
    },

    async countBatch(batch) {
      const state = sql<keyof BatchCounts>`case
        when ${writes.state} = 'ended' then ${writes.outcome}
        when ${writes.state} = 'undecided' then 'undecided'
        when ${writes.startedAt} is null then 'unstarted' else 'running' end`;
      const rows = await db
        .select({ state, count: sql<number>`count(*)::int` })
        .from(writes)
        .where(inBatch(batch))
        .groupBy(state);
      const counts = Object.fromEntries(rows.map((counted) => [counted.state, counted.count]));
      return { ...NONE, ...counts, total: rows.reduce((sum, { count }) => sum + count, 0) };
    },

    async nextOfBatch({ atOnce, ...batch }) {
      const [running] = await db
        .select({ count: sql<number>`count(*)::int` })
        .from(writes)
        .where(and(inBatch(batch), isNotNull(writes.startedAt), notInArray(writes.state, ['ended', 'undecided'])));
      const limit = Math.max(0, atOnce - (running?.count ?? 0));
      if (limit === 0) return [];
      return db
        .select(COLUMNS)
        .from(writes)
        .where(and(inBatch(batch), isNull(writes.startedAt), ne(writes.state, 'ended')))
        .orderBy(asc(writes.id))
        .limit(limit);
    },

    async started(of) {
      await db
        .update(writes)
        .set({ startedAt: sql`coalesce(${writes.startedAt}, now())` })
        .where(at(of));
    },

    async find(of) {
      const [found] = await db.select(COLUMNS).from(writes).where(at(of));
      return found;
    },

    async body(of) {
      const sealed = (await row(of))?.body;
      return sealed == null ? undefined : openBody(of, sealed);
    },

    async answer(of) {
      const sealed = (await row(of))?.answer;
      return sealed == null ? undefined : open(of, 'answer', sealed);
    },

    async list({ connectionId, batchId, states, beforeId, limit }) {
      const found = db
        .select(COLUMNS)
        .from(writes)
        .where(
          and(
            connectionId === undefined ? undefined : eq(writes.connectionId, connectionId),
            batchId === undefined ? undefined : eq(writes.batchId, batchId),
            states === undefined ? undefined : inArray(writes.state, [...states]),
            beforeId === undefined ? undefined : lt(writes.id, beforeId),
          ),
        )
        .orderBy(desc(writes.id));
      return limit === undefined ? found : found.limit(limit);
    },

    claim: (of) =>
      db.transaction(async (tx) => {
        const [found] = await tx.select().from(writes).where(at(of)).for('update');
        if (found === undefined) return undefined;
        if (found.state !== 'waiting') {
          // Whoever sent it is gone, or is too late: what became of it, nobody knows.
          const isLost = found.state === 'sending';
          if (isLost)
            await tx
              .update(writes)
              .set({ state: 'unknown', changedAt: sql`now()` })
              .where(at(of));
          return { decision: 'sent', write: toWrite({ ...found, state: isLost ? 'unknown' : found.state }) };
        }
        // One after the other, or each would miss what the other one has not committed.
        const { connectionId, subject } = found;
        await tx.execute(sql`select pg_advisory_xact_lock(hashtextextended(${`${connectionId} ${subject}`}, 0))`);
        const first = await firstOf(tx, found);
        if (first?.id !== found.id) return { decision: 'behind', write: toWrite(found) };
        const [claimed] = await tx
          .update(writes)
          .set({
            state: 'sending',
            sends: sql`${writes.sends} + 1`,
            firstSentAt: sql`coalesce(${writes.firstSentAt}, clock_timestamp())`,
            // As exact as a Date, since it names the send.
            sentAt: sql`date_trunc('milliseconds', clock_timestamp())`,
            changedAt: sql`now()`,
          })
          .where(at(of))
          .returning(COLUMNS);
        if (claimed === undefined || found.body === null) throw new Error('the write has no body');
        return { decision: 'send', write: claimed, body: openBody(of, found.body) };
      }),

    async release(of, { refused = false, seen } = {}) {
      await db
        .update(writes)
        .set({
          state: 'waiting',
          because: null,
          changedAt: sql`now()`,
          ...(refused ? { sends: sql`${writes.sends} - 1` } : {}),
        })
        .where(and(at(of), ne(writes.state, 'ended'), isStill(seen)));
    },

    async move(of, { state, taskId, because, seen }) {
      await db
        .update(writes)
        .set({
          state,
          changedAt: sql`now()`,
          ...(taskId === undefined ? {} : { taskId, taskSince: sql`now()` }),
          because: because ?? null,
        })
        .where(and(at(of), ne(writes.state, 'ended'), isStill(seen)));
    },

    async end({ outcome, resource = null, recordKey = null, created = false, answer, because, seen, ...of }) {
      try {
        await db
          .update(writes)
          .set({
            state: 'ended',
            outcome,
            resource,
            recordKey,
            created,
            because: because ?? null,
            // What it was is not needed any more.
            body: null,
            changedAt: sql`now()`,
            ...(answer === undefined ? {} : { answer: seal(of, 'answer', answer) }),
          })
          .where(and(at(of), ne(writes.state, 'ended'), isStill(seen)));
        return true;
      } catch (error) {
        if (isUniqueViolation(error)) return false;
        throw error;
      }
    },

    async nextOf(of) {
      const found = await row(of);
      const next = found === undefined ? undefined : await firstOf(db, found);
      return next?.state === 'waiting' ? next : undefined;
    },

    async rivals({ operations, ...of }) {
      const found = await db
        .select()
        .from(writes)
        .where(
          and(
            eq(writes.connectionId, of.connectionId),
            ne(writes.idempotencyKey, of.idempotencyKey),
            inArray(writes.operation, [...operations]),
            inArray(writes.state, ['sending', 'unknown', 'task', 'undecided']),
          ),
        );
      return found.map(({ state, operation, body, idempotencyKey }) => ({
        state,
        operation,
        body: body === null ? {} : openBody({ ...of, idempotencyKey }, body),
      }));
    },

    async anothers({ connectionId, idempotencyKey, resource, keys, before }) {
      if (keys.length === 0) return new Set();
      const there = db
        .select({ key: records.key })
        .from(records)
        .where(
          and(
            eq(records.connectionId, connectionId),
            eq(records.resource, resource),
            inArray(records.key, [...keys]),
            lt(records.addedAt, before),
          ),
        );
      const written = db
        .select({ key: sql<string>`${writes.recordKey}` })
        .from(writes)
        .where(
          and(
            eq(writes.connectionId, connectionId),
            eq(writes.resource, resource),
            ne(writes.idempotencyKey, idempotencyKey),
            eq(writes.created, true),
            inArray(writes.recordKey, [...keys]),
          ),
        );
      return new Set([...(await there), ...(await written)].map(({ key }) => key));
    },

    cancel: ({ actor, ...of }) =>
      db.transaction(async (tx) => {
        const cancelled = await tx
          .update(writes)
          .set({ state: 'ended', outcome: 'cancelled', body: null, because: 'it was cancelled', changedAt: sql`now()` })
          .where(and(at(of), eq(writes.state, 'waiting')))
          .returning({ id: writes.id });
        if (cancelled.length === 0) return false;
        const { connectionId, idempotencyKey } = of;
        await enter(tx, { connectionId, actor, action: 'write.cancelled', detail: { idempotencyKey } });
        return true;
      }),

    resolve: ({ decision, sends, actor, ...of }) =>
      db.transaction(async (tx) => {
        const changes = {
          applied: { state: 'ended', outcome: 'applied', body: null, because: null },
          not_applied: { state: 'waiting', because: null },
          abandon: { state: 'ended', outcome: 'abandoned', body: null },
        } as const satisfies Record<Resolution, Partial<typeof writes.$inferInsert>>;
        const resolved = await tx
          .update(writes)
          .set({ ...changes[decision], changedAt: sql`now()` })
          .where(and(at(of), eq(writes.state, 'undecided'), sends === undefined ? undefined : eq(writes.sends, sends)))
          .returning({ id: writes.id });
        if (resolved.length === 0) return false;
        const { connectionId, idempotencyKey } = of;
        await enter(tx, { connectionId, actor, action: 'write.resolved', detail: { idempotencyKey, decision } });
        return true;
      }),
  };
}

/**
 * Whose turn it is among those of a subject that have not ended. Ids grow, but become visible in another order: one that was
 * sent already keeps its turn, also when it waits to be sent again.
 */
async function firstOf(
  db: Database,
  { connectionId, subject }: Pick<typeof writes.$inferSelect, 'connectionId' | 'subject'>,
): Promise<Pick<Write, 'id' | 'connectionId' | 'idempotencyKey' | 'state'> | undefined> {
  const { id, idempotencyKey, state, firstSentAt } = writes;
  const [first] = await db
    .select({ id, connectionId: writes.connectionId, idempotencyKey, state })
    .from(writes)
    .where(and(eq(writes.connectionId, connectionId), eq(writes.subject, subject), ne(state, 'ended')))
    .orderBy(eq(state, 'waiting'), isNull(firstSentAt), asc(id))
    .limit(1);
  return first;
}

const NONE: BatchCounts = {
  total: 0,
  unstarted: 0,
  running: 0,
  undecided: 0,
  applied: 0,
  partly_applied: 0,
  refused: 0,
  abandoned: 0,
  cancelled: 0,
};

function inBatch({ connectionId, batchId }: BatchOf) {
  return and(eq(writes.connectionId, connectionId), eq(writes.batchId, batchId));
}

function isStill(seen: Seen | undefined) {
  if (seen === undefined) return undefined;
  const { states, sentAt } = seen;
  return and(inArray(writes.state, [...states]), sentAt === null ? isNull(writes.sentAt) : eq(writes.sentAt, sentAt));
}

function at({ connectionId, idempotencyKey }: WriteOf) {
  return and(eq(writes.connectionId, connectionId), eq(writes.idempotencyKey, idempotencyKey));
}

function toWrite(found: typeof writes.$inferSelect): Write {
  const {
    subject: _subject,
    body: _body,
    hash: _hash,
    answer: _answer,
    actor: _actor,
    created: _created,
    ...write
  } = found;
  return write;
}

/** The same for the same, in whatever order the fields are named. */
function hashOf(...what: readonly unknown[]): string {
  return createHash('sha256').update(JSON.stringify(what, sortFields)).digest('base64url');
}

function sortFields(_: string, value: unknown): unknown {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return value;
  return Object.fromEntries(Object.entries(value).toSorted(([a], [b]) => (a < b ? -1 : 1)));
}

function isUniqueViolation(error: unknown): boolean {
  if (!(error instanceof Error)) return false;
  return ('code' in error && error.code === '23505') || isUniqueViolation(error.cause);
}
