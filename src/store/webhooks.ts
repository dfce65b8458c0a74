/** What Maesn has been asked to tell us, and what it has hinted at since. */
import { and, eq, lt, or, isNull, sql } from 'drizzle-orm';
import type { Resource } from '../spec/resources.js';
import type { Database } from './database.js';
import { hashToken } from './logins.js';
import { hints, records, webhookSubscriptions } from './schema.js';
import type { Sealing } from './sealing.js';

export interface WebhookSubscription {
  readonly connectionId: string;
  /** Maesn's words: `CREATED`, `INVOICE`. */
  readonly eventType: string;
  readonly webhookResource: string;
  /** Maesn's id; `null`: Maesn has not answered (yet). */
  readonly maesnId: string | null;
  readonly expiresAt: Date | null;
  readonly tokenHash: string;
}

export type NewWebhookSubscription = Pick<WebhookSubscription, 'connectionId' | 'eventType' | 'webhookResource'> & {
  /** The token in the callback URL. */
  readonly token: string;
};

export interface RecordDeletion {
  readonly connectionId: string;
  readonly resource: Resource;
  readonly key: string;
  /** When it was deleted, as Maesn says. A record that was modified later is not deleted by an old event. */
  readonly deletedAt: Date;
}

export interface Webhooks {
  /** Before Maesn is asked: its first event may come before its answer. */
  add(subscription: NewWebhookSubscription): Promise<void>;
  /** Maesn has answered. */
  confirm(
    token: string,
    answer: { readonly maesnId: string; readonly secret: string; readonly expiresAt: Date | null },
  ): Promise<void>;
  list(connectionId: string): Promise<WebhookSubscription[]>;
  remove(tokenHash: string): Promise<void>;
  /** The subscription that a callback URL belongs to, with its secret in the clear. Throws `SealingError`. */
  open(token: string): Promise<(WebhookSubscription & { readonly secret: string | null }) | undefined>;
  /** Notes that something of a resource has changed. `true`: nobody had said so since the last pull. */
  hint(connectionId: string, resource: Resource, events: number): Promise<boolean>;
  hints(connectionId: string): Promise<Resource[]>;
  /** Answers whether a record was there, and not modified since. */
  markDeleted(deletion: RecordDeletion): Promise<boolean>;
}

export function createWebhooks(db: Database, sealing: Sealing): Webhooks {
  const columns = {
    connectionId: webhookSubscriptions.connectionId,
    eventType: webhookSubscriptions.eventType,
    webhookResource: webhookSubscriptions.webhookResource,
    maesnId: webhookSubscriptions.maesnId,
    expiresAt: webhookSubscriptions.expiresAt,
    tokenHash: webhookSubscriptions.tokenHash,
  };
  return {
    async add({ token, ...subscription }) {
      await db.insert(webhookSubscriptions).values({ tokenHash: hashToken(token), ...subscription });
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
      const tokenHash = hashToken(token);
      const [found] = await db
        .select({ ...columns, secret: webhookSubscriptions.secret })
        .from(webhookSubscriptions)
        .where(eq(webhookSubscriptions.tokenHash, tokenHash));
      if (found === undefined) return undefined;
      const { secret } = found;
      return { ...found, secret: secret === null ? null : sealing.open(secret, ['webhook', tokenHash]) };
    },

    async hint(connectionId, resource, count) {
      const [hinted] = await db
        .insert(hints)
        .values({ connectionId, resource, events: count })
        .onConflictDoUpdate({
          target: [hints.connectionId, hints.resource],
          set: { events: sql`${hints.events} + ${count}` },
        })
        // Of a row that was updated, the count is more than what came just now.
        .returning({ events: hints.events });
      return hinted?.events === count;
    },

    async hints(connectionId) {
      const rows = await db
        .select({ resource: hints.resource })
        .from(hints)
        .where(eq(hints.connectionId, connectionId))
        .orderBy(hints.since);
      return rows.map(({ resource }) => resource);
    },

    async markDeleted({ connectionId, resource, key, deletedAt }) {
      const marked = await db
        .update(records)
        .set({ deletedAt })
        .where(
          and(
            eq(records.connectionId, connectionId),
            eq(records.resource, resource),
            eq(records.key, key),
            isNull(records.deletedAt),
            or(isNull(records.modifiedAt), lt(records.modifiedAt, deletedAt), eq(records.modifiedAt, deletedAt)),
          ),
        )
        .returning({ key: records.key });
      return marked.length > 0;
    },
  };
}
