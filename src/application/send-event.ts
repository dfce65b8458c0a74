/** The HTTP edge to the application: one event, one request, no retry (Temporal retries). Standard Webhooks. */
import { Webhook } from 'standardwebhooks';
import { Agent, fetch } from 'undici';
import type { Event } from '../store/index.js';
import { PrivateAddressError, lookupPublic, refusePrivateHost } from './private-addresses.js';

/** Where the application receives events. */
export interface EventReceiver {
  readonly url: string;
  /** `whsec_...` */
  readonly secret: string;
  /** Whether it may be at a private or loopback address, and be reached without TLS. */
  readonly allowPrivate: boolean;
}

/** The application has not taken an event; the message says why, as the end of a sentence. */
export class DeliveryError extends Error {
  override readonly name = 'DeliveryError';
}

export type SendEvent = (event: Event, signal?: AbortSignal) => Promise<void>;

const TIMEOUT_MS = 15_000;

/** The same every time that it is sent: by this, a receiver knows what it has taken already. */
export function eventId({ id }: Pick<Event, 'id'>): string {
  return `evt_${id}`;
}

/** Resolves when the application has taken it: with any 2xx. Throws `DeliveryError`. */
export function createSendEvent({ url, secret, allowPrivate }: EventReceiver): SendEvent {
  const webhook = new Webhook(secret);
  const target = new URL(url);
  const dispatcher = new Agent(allowPrivate ? {} : { connect: { lookup: lookupPublic } });

  return async (event, signal) => {
    const body = JSON.stringify({
      type: event.type,
      timestamp: event.createdAt.toISOString(),
      data: { connectionId: event.connectionId, ...event.data },
    });
    const sentAt = new Date();
    const timeout = AbortSignal.timeout(TIMEOUT_MS);
    try {
      if (!allowPrivate) {
        if (target.protocol !== 'https:') throw new PrivateAddressError('events are sent by https alone');
        refusePrivateHost(target.hostname);
      }
      const response = await fetch(target, {
        method: 'POST',
        body,
        dispatcher,
        // Where a redirect leads, nobody has configured.
        redirect: 'manual',
        signal: signal === undefined ? timeout : AbortSignal.any([signal, timeout]),
        headers: {
          'content-type': 'application/json',
          'user-agent': 'maesn-sync',
          'webhook-id': eventId(event),
          'webhook-timestamp': String(Math.floor(sentAt.getTime() / 1_000)),
          'webhook-signature': webhook.sign(eventId(event), sentAt, body),
        },
      });
      // What it says beyond its status is of no interest, and could be endless.
      await response.body?.cancel();
      if (!response.ok) throw new DeliveryError(`answered ${response.status}`);
    } catch (error) {
      if (error instanceof DeliveryError) throw error;
      signal?.throwIfAborted();
      if (timeout.aborted) throw new DeliveryError(`did not answer within ${TIMEOUT_MS / 1_000} s`);
      throw new DeliveryError(`was not reached: ${reasonOf(error)}`);
    }
  };
}

/** `fetch` wraps what happened on the network. */
function reasonOf(error: unknown): string {
  const cause: unknown = error instanceof Error && error.cause !== undefined ? error.cause : error;
  if (cause instanceof PrivateAddressError) return cause.message;
  if (cause instanceof Error && 'code' in cause && /^E[A-Z_]+$/.test(String(cause.code))) return String(cause.code);
  return cause instanceof Error ? cause.message : 'unknown network error';
}
