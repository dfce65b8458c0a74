/** Having Maesn call us: one subscription for every kind of event, each with a callback URL of its own, renewed in time. */
import { randomBytes } from 'node:crypto';
import { ApplicationFailure, cancellationSignal } from '@temporalio/activity';
import type { Client } from '@temporalio/client';
import type { MaesnRequest } from '../maesn/client.js';
import { isFailureType } from '../spec/error-guide.js';
import type { FailureType } from '../spec/error-guide.js';
import { LOOK_AGAIN, lookAgainInMs, renewalDueAt } from '../spec/webhook-renewal.js';
import { webhookKinds } from '../spec/webhook-resources.js';
import type { WebhookKind } from '../spec/webhook-resources.js';
import type { WebhookSubscription } from '../store/index.js';
import { syncConnectionId } from '../workflows/messages.js';
import type { RenewSubscriptionsInput, RenewSubscriptionsResult } from '../workflows/messages.js';
import { startAttempt } from './attempt.js';
import type { Attempt } from './attempt.js';
import type { ActivityDependencies } from './dependencies.js';
import { TurnIsFar, isMaesnError } from './failure.js';
import type { OfConnection } from './holds.js';
import { isGone } from './signal-workflow.js';
import { companyQuery, openConnection, requireAuthorization, triedVersion } from './open-connection.js';
import type { AuthorizedConnection } from './open-connection.js';
import { createSender } from './send.js';
import type { Sender } from './send.js';

/** What the target system has refused is asked for again after this time. */
const ASK_AGAIN_AFTER_MS = 30 * 24 * 60 * 60_000;

export function createRenewSubscriptions(dependencies: ActivityDependencies) {
  const { maesn, store, targetSystems, temporal, options } = dependencies;
  const end = createEnd(dependencies);
  const publicUrl = options.publicUrl?.replace(/\/$/, '');

  /**
   * Makes what is missing, renews what would expire, clears away what a crash has left. Safe to repeat: what is done is in
   * the store. A kind of event that is refused is noted and left out; with what is about all of them (our API key, a Maesn that
   * has failed for hours) the look is over, and the next one is soon.
   */
  return async function renewSubscriptions(input: RenewSubscriptionsInput): Promise<RenewSubscriptionsResult> {
    const { connectionId } = input;
    const attempt = startAttempt(options, input.before);
    let keyVersion: number | undefined;
    try {
      const opened = await openConnection(store, connectionId);
      keyVersion = triedVersion(opened);
      if (publicUrl === undefined || !(await isSyncRunning(temporal, connectionId))) return { wanted: false };
      const now = new Date(Math.max(input.nowMs, Date.now()));
      const refused = new Map(Object.entries(input.refused ?? {}).filter(([, at]) => !isLongAgo(at, now)));
      const held = (await store.holds.list(connectionId)).length > 0;
      // A hold also holds these requests.
      let waitMs = held ? LOOK_AGAIN.soonestMs : undefined;
      if (!held) {
        await renewAll(requireAuthorization(opened), refused, now).catch((error: unknown) => {
          // What was refused until then must not be asked for again: the result keeps it, a failure would not.
          waitMs = notSentForMs(error) ?? (isAboutAll(error) ? LOOK_AGAIN.soonestMs : undefined);
          if (waitMs === undefined) throw error;
        });
      }
      const left = await store.webhooks.list(connectionId);
      return {
        wanted: true,
        subscriptions: left.length,
        refused: Object.fromEntries(refused),
        comeBackInMs: waitMs ?? lookAgainInMs(left, now.getTime()),
      };
    } catch (error) {
      throw await attempt.toFailure(error, { keyVersion });
    } finally {
      attempt.end();
    }

    async function renewAll(connection: AuthorizedConnection, refused: Map<string, number>, now: Date): Promise<void> {
      const asking = createAsking(dependencies, connection, attempt);
      const known = await store.webhooks.list(connectionId);
      for (const { tokenHash, maesnId } of known) if (maesnId === null) await store.webhooks.remove(tokenHash);
      for (const kind of webhookKinds(targetSystems.get(connection.targetSystem))) {
        const own = known.filter((one) => one.maesnId !== null && nameOf(one) === nameOf(kind));
        const newest = own.at(-1);
        const isDue = newest === undefined || renewalDueAt(newest) <= now.getTime();
        let over = own.slice(0, -1);
        if (isDue && !refused.has(nameOf(kind))) {
          const failure = await finalFailureOf(asking, () => create(kind, asking, now));
          if (failure === undefined) over = own;
          else if (isRefusal(failure)) refused.set(nameOf(kind), now.getTime());
          else throw failure;
        }
        // First the new one, then an end to the old ones: no event falls in between.
        for (const old of over) await end(old, asking);
      }
    }

    async function create(kind: WebhookKind, { sender, about }: Asking, now: Date): Promise<void> {
      const { eventType, webhookResource: resource } = kind;
      const token = randomBytes(32).toString('base64url');
      const tokenHash = await store.webhooks.add({ connectionId, ...kind, token, createdAt: now });
      try {
        const callbackUrl = `${publicUrl ?? ''}/webhooks/${token}`;
        const { id, secret, expiresDate } = await sender.send({
          endpoint: 'POST /webhooks',
          ask: () => maesn.createWebhook({ callbackUrl, eventType, resource }, about),
        });
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
      const { status } = connection;
      let asking: Asking | undefined;
      if (status === 'active' && accountKey !== undefined) {
        asking = createAsking(dependencies, { ...connection, accountKey }, attempt);
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
      throw await attempt.toFailure(error);
    } finally {
      attempt.end();
    }
  };
}

/** How Maesn is asked in this attempt, on behalf of one connection. */
interface Asking {
  readonly attempt: Attempt;
  readonly keyVersion: number;
  readonly sender: Sender;
  /** What every request carries. */
  readonly about: Omit<MaesnRequest, 'path'>;
}

function createEnd({ maesn, store }: ActivityDependencies) {
  /** At Maesn, then here: what Maesn does not delete it does not have, or it expires, and nothing of it is accepted any more. */
  return async ({ maesnId, tokenHash }: WebhookSubscription, asking: Asking | undefined): Promise<void> => {
    if (maesnId !== null && asking !== undefined) {
      const { sender, about } = asking;
      const ask = () => maesn.deleteWebhook(maesnId, about);
      await finalFailureOf(asking, () => sender.send({ endpoint: 'DELETE /webhooks/{id}', ask }));
    }
    await store.webhooks.remove(tokenHash);
  };
}

/** Maesn's answer where it was one that no retry changes. What a retry may change, and a dead login, is thrown. */
async function finalFailureOf(
  { attempt, keyVersion }: Asking,
  ask: () => Promise<void>,
): Promise<ApplicationFailure | undefined> {
  try {
    await ask();
    await attempt.progressed();
    return undefined;
  } catch (error) {
    if (notSentForMs(error) !== undefined) throw error;
    const failure = await attempt.toFailure(error, { keyVersion });
    if (!isFinalFailure(failure) || isUnauthorized(failure)) throw failure;
    await attempt.progressed();
    return failure;
  }
}

function isFinalFailure(error: unknown): error is ApplicationFailure {
  return error instanceof ApplicationFailure && error.nonRetryable === true;
}

/** With these the target system says that it does not tell of this kind. */
const REFUSALS: ReadonlySet<unknown> = new Set<FailureType>([
  'BadRequest',
  'NotFound',
  'MethodNotAllowed',
  'ClientError',
]);

function isRefusal({ type }: ApplicationFailure): boolean {
  return REFUSALS.has(type);
}

/** Whatever kind had been asked for, the answer would have been the same. */
function isAboutAll(error: unknown): boolean {
  return isFinalFailure(error) && isFailureType(error.type) && !isRefusal(error) && !isUnauthorized(error);
}

function isUnauthorized(error: unknown): boolean {
  return error instanceof ApplicationFailure && error.type === 'Unauthorized';
}

/** Until a budget has room again; `undefined`: it was something else. */
function notSentForMs(error: unknown): number | undefined {
  if (error instanceof TurnIsFar) return error.waitMs;
  return isMaesnError(error) && error.failure.type === 'ErrorBudgetSpent' ? error.failure.retryAfterMs : undefined;
}

function createAsking(dependencies: ActivityDependencies, connection: AuthorizedConnection, attempt: Attempt): Asking {
  const { accountKey, keyVersion } = connection;
  const about = { accountKey, query: companyQuery(connection), signal: cancellationSignal() };
  return { attempt, keyVersion, sender: createSender(dependencies, connection), about };
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
