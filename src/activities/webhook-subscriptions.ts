/** Having Maesn call us: one subscription for every kind of event, each with a callback URL of its own, renewed in time. */
import { randomBytes } from 'node:crypto';
import { ApplicationFailure, cancellationSignal } from '@temporalio/activity';
import type { Client } from '@temporalio/client';
import type { MaesnRequest } from '../maesn/client.js';
import { LOOK_AGAIN, lookAgainInMs, renewalDueAt } from '../spec/webhook-renewal.js';
import { webhookKinds } from '../spec/webhook-resources.js';
import type { WebhookKind } from '../spec/webhook-resources.js';
import type { Store, WebhookSubscription } from '../store/index.js';
import { syncConnectionId } from '../workflows/messages.js';
import type { RenewSubscriptionsInput, RenewSubscriptionsResult } from '../workflows/messages.js';
import { startAttempt } from './attempt.js';
import type { Attempt } from './attempt.js';
import type { ActivityDependencies } from './dependencies.js';
import type { OfConnection } from './holds.js';
import { isGone } from './join-reauthorization.js';
import { companyQuery, openConnection, requireAuthorization } from './open-connection.js';
import { createPace } from './pace.js';
import type { AuthorizedConnection } from './open-connection.js';

/** Exact Online blocks a key after 10 errors an hour at one endpoint: after half of them the rest waits for an hour. */
const MAX_REFUSALS_A_ROUND = 5;
/** What the target system has refused is asked for again after this time. */
const ASK_AGAIN_AFTER_MS = 30 * 24 * 60 * 60_000;

export function createRenewSubscriptions(dependencies: ActivityDependencies) {
  const { maesn, store, temporal, options } = dependencies;
  const end = createEnd(dependencies);
  const publicUrl = options.publicUrl?.replace(/\/$/, '');

  /**
   * Makes what is missing, renews what would expire, clears away what a crash has left. Safe to repeat: what is done is in
   * the store. Where Maesn's answer is final, 401 aside, it is about that kind of event, which is noted and left out.
   */
  return async function renewSubscriptions(input: RenewSubscriptionsInput): Promise<RenewSubscriptionsResult> {
    const { connectionId } = input;
    const attempt = startAttempt(options);
    let keyVersion: number | undefined;
    try {
      const opened = await openConnection(store, connectionId);
      ({ keyVersion } = opened);
      if (publicUrl === undefined || !(await isSyncRunning(temporal, connectionId))) return { wanted: false };
      const now = new Date(Math.max(input.nowMs, Date.now()));
      const refused = new Map(Object.entries(input.refused ?? {}).filter(([, at]) => !isLongAgo(at, now)));
      const held = (await store.holds.list(connectionId)).length > 0;
      // A hold also holds these requests.
      const refusals = held ? 0 : await renewAll(requireAuthorization(opened), refused, now);

      const left = await store.webhooks.list(connectionId);
      const soon = held || refusals >= MAX_REFUSALS_A_ROUND;
      return {
        wanted: true,
        subscriptions: left.length,
        refused: Object.fromEntries(refused),
        comeBackInMs: soon ? LOOK_AGAIN.soonestMs : lookAgainInMs(left, now.getTime()),
      };
    } catch (error) {
      throw attempt.toFailure(error, { keyVersion });
    } finally {
      attempt.end();
    }

    /** Answers how many kinds were refused. */
    async function renewAll(
      connection: AuthorizedConnection,
      refused: Map<string, number>,
      now: Date,
    ): Promise<number> {
      const asking: Asking = { attempt, keyVersion, prepare: createRequests(store, connection) };
      const known = await store.webhooks.list(connectionId);
      for (const { tokenHash, maesnId } of known) if (maesnId === null) await store.webhooks.remove(tokenHash);
      let refusals = 0;
      for (const kind of webhookKinds(connection.targetSystem)) {
        const own = known.filter((one) => one.maesnId !== null && nameOf(one) === nameOf(kind));
        const newest = own.at(-1);
        const isDue = newest === undefined || renewalDueAt(newest) <= now.getTime();
        let over = own.slice(0, -1);
        if (isDue && !refused.has(nameOf(kind)) && refusals < MAX_REFUSALS_A_ROUND) {
          if (await isRefused(asking, () => create(kind, asking, now))) {
            refused.set(nameOf(kind), now.getTime());
            refusals += 1;
          } else over = own;
        }
        // First the new one, then an end to the old ones: no event falls in between.
        for (const old of over) await end(old, asking);
      }
      return refusals;
    }

    async function create(kind: WebhookKind, { prepare }: Asking, now: Date): Promise<void> {
      const { eventType, webhookResource: resource } = kind;
      const token = randomBytes(32).toString('base64url');
      const tokenHash = await store.webhooks.add({ connectionId, ...kind, token, createdAt: now });
      try {
        const callbackUrl = `${publicUrl ?? ''}/webhooks/${token}`;
        const { id, secret, expiresDate } = await maesn.createWebhook(
          { callbackUrl, eventType, resource },
          await prepare(),
        );
        await store.webhooks.confirm(token, { maesnId: id, secret, expiresAt: expiresDate });
      } catch (error) {
        await store.webhooks.remove(tokenHash);
        throw error;
      }
    }
  };
}

export function createEndSubscriptions(dependencies: ActivityDependencies) {
  const { store, options } = dependencies;
  const end = createEnd(dependencies);

  /** Tells Maesn to call no more. Where the login is dead, the callback URLs die alone, and Maesn's side expires. */
  return async function endSubscriptions({ connectionId }: OfConnection): Promise<void> {
    const attempt = startAttempt(options);
    try {
      const { accountKey, ...connection } = await openConnection(store, connectionId);
      const { status, keyVersion } = connection;
      let asking: Asking | undefined;
      if (status === 'active' && accountKey !== undefined) {
        asking = { attempt, keyVersion, prepare: createRequests(store, { ...connection, accountKey }) };
      }
      for (const one of await store.webhooks.list(connectionId)) {
        try {
          await end(one, asking);
        } catch (error) {
          if (!isUnauthorized(error)) throw error;
          asking = undefined;
          await end(one, asking);
        }
      }
    } catch (error) {
      throw attempt.toFailure(error);
    } finally {
      attempt.end();
    }
  };
}

/** How Maesn is asked in this attempt, on behalf of one connection. */
interface Asking {
  readonly attempt: Attempt;
  readonly keyVersion: number | undefined;
  /** Waits until the next request may be sent. */
  readonly prepare: () => Promise<Omit<MaesnRequest, 'path'>>;
}

function createEnd({ maesn, store }: ActivityDependencies) {
  /** At Maesn, then here: what Maesn does not delete it does not have, or it expires, and nothing of it is accepted any more. */
  return async ({ maesnId, tokenHash }: WebhookSubscription, asking: Asking | undefined): Promise<void> => {
    if (maesnId !== null && asking !== undefined) {
      await isRefused(asking, async () => maesn.deleteWebhook(maesnId, await asking.prepare()));
    }
    await store.webhooks.remove(tokenHash);
  };
}

/** Whether Maesn's answer was one that no retry changes. What a retry may change, and a dead login, is thrown. */
async function isRefused({ attempt, keyVersion }: Asking, ask: () => Promise<void>): Promise<boolean> {
  try {
    await ask();
    attempt.progressed();
    return false;
  } catch (error) {
    const failure = attempt.toFailure(error, { keyVersion });
    const isFinal = failure instanceof ApplicationFailure && failure.nonRetryable === true;
    if (!isFinal || isUnauthorized(failure)) throw failure;
    attempt.progressed();
    return true;
  }
}

function isUnauthorized(error: unknown): boolean {
  return error instanceof ApplicationFailure && error.type === 'Unauthorized';
}

function createRequests(store: Store, connection: AuthorizedConnection): Asking['prepare'] {
  const { accountKey } = connection;
  const query = companyQuery(connection);
  const pace = createPace(store, connection, 1);
  const signal = cancellationSignal();
  return async () => {
    await pace.turn();
    return { accountKey, query, signal };
  };
}

function nameOf({ eventType, webhookResource }: WebhookKind): string {
  return `${eventType} ${webhookResource}`;
}

function isLongAgo(atMs: number, now: Date): boolean {
  return now.getTime() - atMs > ASK_AGAIN_AFTER_MS;
}

/** Webhooks are hints to a sync: without one, nobody pulls what they hint at. */
async function isSyncRunning(temporal: Client, connectionId: string): Promise<boolean> {
  try {
    const { status } = await temporal.workflow.getHandle(syncConnectionId(connectionId)).describe();
    return status.name === 'RUNNING';
  } catch (error) {
    if (isGone(error)) return false;
    throw error;
  }
}
