/**
 * The HTTP edge to the application: one event, one POST, no retry (Temporal retries). Signed as Standard Webhooks says:
 * https://www.standardwebhooks.com
 */
import { STATUS_CODES } from 'node:http';
import type { LookupFunction } from 'node:net';
import { Webhook } from 'standardwebhooks';
import { Agent, request } from 'undici';
import type { Event } from '../store/index.js';
import { PrivateAddressError, createPublicLookup, isPublicAddress } from './public-address.js';

/** Where the application receives events. */
export interface EventReceiver {
  readonly url: string;
  /** `whsec_...` */
  readonly secret: string;
  /** Whether it may be at a private or loopback address, and without TLS. */
  readonly allowPrivate: boolean;
}

export interface SendEventOptions extends EventReceiver {
  /** From the look-up of the name to the status of the answer. */
  readonly timeoutMs?: number;
  readonly lookup?: LookupFunction;
}

export type SentEvent = Pick<Event, 'id' | 'type' | 'connectionId' | 'data' | 'createdAt'>;

/** Resolves when the application has taken the event. Throws `SendEventError`, or the reason of `signal`. */
export type SendEvent = (event: SentEvent, signal?: AbortSignal) => Promise<void>;

/** The message says who did what: `hooks.example.com answered 500 Internal Server Error`. */
export class SendEventError extends Error {
  override readonly name = 'SendEventError';
}

/** Time enough to write into a queue, which is all that a receiver should do before it answers. */
const TIMEOUT_MS = 15_000;

/** Of the answer only the status counts; its body is read this far to keep the connection, and thrown away. */
const MAX_ANSWER_BYTES = 16_384;

const USER_AGENT = 'maesn-sync';

/** The same for every attempt: by it a receiver knows what it has seen. */
export function eventId({ id }: Pick<Event, 'id'>): string {
  return `evt_${id}`;
}

export function createSendEvent(options: SendEventOptions): SendEvent {
  const { allowPrivate, timeoutMs = TIMEOUT_MS, lookup } = options;
  const url = new URL(options.url);
  const webhook = new Webhook(options.secret);
  const chosenLookup = allowPrivate ? lookup : createPublicLookup(lookup);
  const dispatcher = new Agent({
    connect: { timeout: timeoutMs, ...(chosenLookup === undefined ? {} : { lookup: chosenLookup }) },
  });
  // Host and port alone: a path may hold a token of the receiver's.
  const fail = (reason: string) => new SendEventError(`${url.host} ${reason}`);

  return async function sendEvent(event, signal) {
    signal?.throwIfAborted();
    const refusal = allowPrivate ? undefined : refusalOf(url);
    if (refusal !== undefined) throw fail(refusal);

    const id = eventId(event);
    const body = toBody(event);
    const now = new Date();
    const timeout = AbortSignal.timeout(timeoutMs);
    const either = signal === undefined ? timeout : AbortSignal.any([signal, timeout]);
    let statusCode: number;
    try {
      const answer = await request(url, {
        dispatcher,
        method: 'POST',
        headers: {
          'content-type': 'application/json',
          'user-agent': USER_AGENT,
          'webhook-id': id,
          'webhook-timestamp': String(Math.floor(now.getTime() / 1000)),
          'webhook-signature': webhook.sign(id, now, body),
        },
        body,
        signal: either,
      });
      ({ statusCode } = answer);
      // A body that breaks off or never ends takes nothing back of the status.
      await answer.body.dump({ limit: MAX_ANSWER_BYTES, signal: either }).catch(() => undefined);
    } catch (error) {
      signal?.throwIfAborted();
      if (timeout.aborted) throw fail(`did not answer within ${timeoutMs / 1000} s`);
      throw fail(networkReason(error, timeoutMs));
    }
    if (statusCode < 200 || statusCode > 299) throw fail(`answered ${describeStatus(statusCode)}`);
  };
}

export function toBody({ type, createdAt, connectionId, data }: SentEvent): string {
  return JSON.stringify({
    type,
    timestamp: createdAt.toISOString(),
    data: connectionId === null ? data : { connectionId, ...data },
  });
}

const ALLOW = 'set MAESN_SYNC_EVENTS_ALLOW_PRIVATE=true if that is meant';

/** What the URL itself rules out; a name is looked at when it has been looked up. */
function refusalOf({ protocol, hostname }: URL): string | undefined {
  if (protocol !== 'https:') return `is not sent to: its URL is not https; ${ALLOW}`;
  const literal = hostname.replace(/^\[(.*)\]$/, '$1');
  const isAddress = literal !== hostname || /^[\d.]+$/.test(literal);
  return isAddress && !isPublicAddress(literal) ? notPublic(`is ${literal}`) : undefined;
}

function notPublic(what: string): string {
  return `is not sent to: it ${what}, which is not a public address; ${ALLOW}`;
}

function describeStatus(status: number): string {
  const words = `${status} ${STATUS_CODES[status] ?? ''}`.trim();
  return status >= 300 && status < 400 ? `${words}; redirects are not followed` : words;
}

const NETWORK_REASONS: Readonly<Record<string, string>> = {
  ECONNREFUSED: 'refused the connection',
  ECONNRESET: 'closed the connection before it had answered',
  EPIPE: 'closed the connection before it had answered',
  UND_ERR_SOCKET: 'closed the connection before it had answered',
  ENOTFOUND: 'is not known to the DNS',
  EAI_AGAIN: 'could not be looked up: the DNS did not answer',
  EHOSTUNREACH: 'is not reachable from here',
  ENETUNREACH: 'is not reachable from here',
  ETIMEDOUT: 'did not take the connection in time',
};

function networkReason(error: unknown, timeoutMs: number): string {
  if (error instanceof PrivateAddressError) return notPublic(error.message);
  if (!(error instanceof Error)) return 'could not be reached';
  const code = 'code' in error ? String(error.code) : undefined;
  if (code === 'UND_ERR_CONNECT_TIMEOUT') return `did not answer within ${timeoutMs / 1000} s`;
  if (code?.startsWith('ERR_SSL_') === true) return `does not speak TLS as expected (${code})`;
  const reason = code === undefined ? undefined : NETWORK_REASONS[code];
  return reason === undefined ? `could not be reached: ${error.message.slice(0, 200)}` : `${reason} (${code})`;
}
