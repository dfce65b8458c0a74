/** What Maesn has been asked to tell us, and what it has hinted at since. */
import DataLoader from 'dataloader';
import { and, eq, inArray, isNull, sql } from 'drizzle-orm';
import type { Resource } from '../spec/resources.js';
import type { Database } from './database.js';
import { hashToken } from './logins.js';
import { connections, hints, records, webhookSubscriptions } from './schema.js';
import type { Sealing } from './sealing.js';

export interface WebhookSubscription {
  readonly connectionId: string;
  /** Maesn's words: `CREATED`, `INVOICE`. */
  readonly eventType: string;
  readonly webhookResource: string;
  /** Maesn's id; `null`: Maesn has not answered (yet). */
  readonly maesnId: string | null;
  readonly expiresAt: Date | null;
  readonly createdAt: Date;
  readonly tokenHash: string;
}

export type NewWebhookSubscription = Pick<WebhookSubscription, 'connectionId' | 'eventType' | 'webhookResource'> & {
  /** The token in the callback URL. */
  readonly token: string;
  /** Default: now. */
  readonly createdAt?: Date;
};

export interface RecordDeletion {
  readonly resource: Resource;
  readonly key: string;
  /** When it was deleted, as Maesn says. */
  readonly deletedAt: Date;
  /** We have just deleted it ourselves. Then no date counts: one without a zone may lie ahead. */
  readonly isOurs?: boolean;
}

/** How long events that come one by one are gathered. */
const BATCH_WINDOW_MS = 5;
const batchScheduleFn = (run: () => void) => void setTimeout(run, BATCH_WINDOW_MS);

/** How long a hint that is not told is taken for on its way to the sync; then somebody else tells it. */
const HINT_TOLD_FOR = sql`interval '30 seconds'`;

export interface Webhooks {
  /** Before Maesn is asked: its first event may come before its answer. Answers what the token is stored as. */
  add(subscription: NewWebhookSubscription): Promise<string>;
  /** Maesn has answered. */
  confirm(
    token: string,
    answer: { readonly maesnId: string; readonly secret: string; readonly expiresAt: Date | null },
  ): Promise<void>;
  /** Oldest first. */
  list(connectionId: string): Promise<WebhookSubscription[]>;
  remove(tokenHash: string): Promise<void>;
  /** The subscription that a callback URL belongs to, with its secret in the clear. Throws `SealingError`. */
  open(token: string): Promise<(WebhookSubscription & { readonly secret: string | null }) | undefined>;
  /** Notes that something of a resource has changed. `true`: the sync must be told, nobody else has; then `told`. */
  hint(connectionId: string, resource: Resource, events: number): Promise<boolean>;
  /** The sync has been signalled. However many events come until it pulls these resources, it need not be told again. */
  told(connectionId: string, resources: readonly Resource[]): Promise<void>;
  hints(connectionId: string): Promise<Resource[]>;
  /**
   * Answers how many records were marked: those that are there and were not modified since. Of a record without a
   * modified date counts when it was stored. So no event that is old or comes twice deletes what has come back. What we have
   * deleted is marked in any case.
   */
  markDeleted(connectionId: string, deletions: readonly RecordDeletion[]): Promise<number>;
}

export function createWebhooks(db: Database, sealing: Sealing): Webhooks {
  const columns = {
    connectionId: webhookSubscriptions.connectionId,
    eventType: webhookSubscriptions.eventType,
    webhookResource: webhookSubscriptions.webhookResource,
    maesnId: webhookSubscriptions.maesnId,
    expiresAt: webhookSubscriptions.expiresAt,
    createdAt: webhookSubscriptions.createdAt,
    tokenHash: webhookSubscriptions.tokenHash,
  };

  // Events come in bursts, each by itself: those of a moment share a statement.
  const opening = new DataLoader(
    async (tokenHashes: readonly string[]) => {
      const rows = await db
        .select({ ...columns, secret: webhookSubscriptions.secret })
        .from(webhookSubscriptions)
        .where(inArray(webhookSubscriptions.tokenHash, [...tokenHashes]));
      const byHash = new Map(rows.map((row) => [row.tokenHash, row]));
      return tokenHashes.map((tokenHash) => byHash.get(tokenHash));
    },
    { cache: false, batchScheduleFn },
  );
  const hinting = new DataLoader((given: readonly NewHint[]) => writeHints(db, given), {
    cache: false,
    batchScheduleFn,
  });

  return {
    async add({ token, ...subscription }) {
      const tokenHash = hashToken(token);
      await db.insert(webhookSubscriptions).values({ tokenHash, ...subscription });
      return tokenHash;
    },

    async confirm(token, { maesnId, secret, expiresAt }) {
      const tokenHash = hashToken(token);
      await db
        .update(webhookSubscriptions)
        .set({ maesnId, expiresAt, secret: sealing.seal(secret, ['webhook', tokenHash]) })
        .where(eq(webhookSubscriptions.tokenHash, tokenHash));
    },

    list: (connectionId) =>
      db
        .select(columns)
        .from(webhookSubscriptions)
        .where(eq(webhookSubscriptions.connectionId, connectionId))
        .orderBy(webhookSubscriptions.createdAt),

    async remove(tokenHash) {
      await db.delete(webhookSubscriptions).where(eq(webhookSubscriptions.tokenHash, tokenHash));
    },

    async open(token) {
      const found = await opening.load(hashToken(token));
      if (found === undefined) return undefined;
      const { secret, tokenHash } = found;
      return { ...found, secret: secret === null ? null : sealing.open(secret, ['webhook', tokenHash]) };
    },

    hint: (connectionId, resource, events) => hinting.load({ connectionId, resource, events }),

    async told(connectionId, resources) {
      await db
        .update(hints)
        .set({ told: true })
        .where(and(eq(hints.connectionId, connectionId), inArray(hints.resource, [...resources])));
    },

    async hints(connectionId) {
      const rows = await db
        .select({ resource: hints.resource })
        .from(hints)
        .where(eq(hints.connectionId, connectionId))
        .orderBy(hints.since);
      return rows.map(({ resource }) => resource);
    },

    async markDeleted(connectionId, deletions) {
      if (deletions.length === 0) return 0;
      const rows = deletions.map(({ resource, key, deletedAt, isOurs = false }) => ({
        resource,
        key,
        deleted_at: deletedAt,
        is_ours: isOurs,
      }));
      const marked = await db
        .update(records)
        .set({ deletedAt: sql`deleted.deleted_at` })
        .from(
          // Of one record that is named twice, the later deletion.
          sql`(select resource as of, key as name, max(deleted_at) as deleted_at, bool_or(is_ours) as is_ours
               from jsonb_to_recordset(${JSON.stringify(rows)}::jsonb)
                 as deletions (resource text, key text, deleted_at timestamptz, is_ours boolean)
               group by resource, key) as deleted`,
        )
        .where(
          and(
            eq(records.connectionId, connectionId),
            sql`${records.resource} = deleted.of and ${records.key} = deleted.name`,
            isNull(records.deletedAt),
            sql`(deleted.is_ours or coalesce(${records.modifiedAt}, ${records.syncedAt}) <= deleted.deleted_at)`,
          ),
        )
        .returning({ key: records.key });
      return marked.length;
    },
  };
}

interface NewHint {
  readonly connectionId: string;
  readonly resource: Resource;
  readonly events: number;
}

/** One statement for all; of those that hint at the same, one is told that it is news. */
async function writeHints(db: Database, given: readonly NewHint[]): Promise<boolean[]> {
  const sums = new Map<string, { connection_id: string; resource: Resource; events: number }>();
  const nameOf = ({ connectionId, resource }: NewHint) => JSON.stringify([connectionId, resource]);
  for (const hint of given) {
    const { connectionId, resource, events } = hint;
    const sum = sums.get(nameOf(hint)) ?? { connection_id: connectionId, resource, events: 0 };
    sums.set(nameOf(hint), { ...sum, events: sum.events + events });
  }
  const written = await db
    .insert(hints)
    .select(
      sql`select connection_id, resource, now(), given.events, false
          from jsonb_to_recordset(${JSON.stringify([...sums.values()])}::jsonb)
            as given (connection_id text, resource text, events integer)
          join ${connections} on ${connections.id} = connection_id
          order by connection_id, resource`,
    )
    .onConflictDoUpdate({
      target: [hints.connectionId, hints.resource],
      set: {
        events: sql`${hints.events} + excluded.events`,
        since: sql`case when not ${hints.told} and ${hints.since} < now() - ${HINT_TOLD_FOR} then now() else ${hints.since} end`,
      },
    })
    // now() is the same all through a statement: only a row that is new or renewed has it.
    .returning({
      connectionId: hints.connectionId,
      resource: hints.resource,
      events: hints.events,
      isNow: sql<boolean>`${hints.since} = now()`,
    });
  const news = new Set(written.filter(({ isNow }) => isNow).map(nameOf));
  return given.map((hint) => news.delete(nameOf(hint)));
}
