/** Webhooks: who wants to be told what about an account, and telling them the way Maesn does. */
import { createHmac, randomBytes, randomUUID } from 'node:crypto';
import { z } from 'zod';

/** As the target system's news; how it is written depends on the target system and on `EmitOptions`. */
export interface SandboxEvent {
  readonly eventType: string;
  readonly resource: string;
  readonly resourceId?: string;
  /** Default: now. */
  readonly filterDate?: string;
}

export interface EmitOptions {
  /** Shapes that Maesn has sent before. Default: `current`. */
  readonly shape?: 'current' | 'resourceType' | 'swapped' | 'withUserId';
  /** Default: hex. */
  readonly signature?: 'hex' | 'base64';
  /** Default: as the target system does it. */
  readonly as?: 'list' | 'single';
  /** Deliveries under way at once. Default: 1, one after the other. */
  readonly concurrency?: number;
}

export interface WebhookDelivery {
  readonly callbackUrl: string;
  /** What was sent, for whoever wants to send it again. */
  readonly body: string;
  readonly signature: string;
  /** `null`: no answer. */
  readonly status: number | null;
  readonly answer: string;
}

export interface SandboxWebhook {
  readonly id: string;
  readonly callbackUrl: string;
  readonly eventType: string;
  readonly resource: string;
  readonly secret: string;
  readonly createdDate: string;
  /** `null`: it does not expire, as far as Maesn says. */
  readonly expiresDate: string | null;
}

export interface WebhooksOptions {
  readonly targetSystem: string;
  /** How long a subscription lives; `null`: for ever, without a date. */
  readonly lifeMs: number | null;
  readonly now: () => Date;
}

/** These send a list even of one event. */
const SEND_LISTS = new Set(['businesscentral', 'quickbooks', 'xero']);
const TIMEOUT_MS = 30_000;

const request = z.object({
  callbackUrl: z.url({ protocol: /^https?$/ }),
  eventType: z.enum(['CREATED', 'UPDATED', 'DELETED', 'REVOKED']),
  resource: z.enum([
    'ACCOUNT',
    'BANK_ACCOUNT',
    'BILL',
    'CONTACT',
    'CUSTOMER',
    'EXPENSE',
    'INVOICE',
    'ITEM',
    'JOURNAL_ENTRY',
    'PAYMENT',
    'SUPPLIER',
    'TOKEN',
  ]),
});

export type Webhooks = ReturnType<typeof createWebhooks>;

export function createWebhooks({ targetSystem, lifeMs, now }: WebhooksOptions) {
  const webhooks = new Map<string, SandboxWebhook>();

  const isAlive = ({ expiresDate }: SandboxWebhook) => expiresDate === null || new Date(expiresDate) > now();

  return {
    list: (): SandboxWebhook[] => [...webhooks.values()],

    /** The new subscription, or what is wrong with the request. */
    create(given: unknown): SandboxWebhook | string {
      const parsed = request.safeParse(given);
      if (!parsed.success) return z.prettifyError(parsed.error);
      const webhook = {
        id: randomUUID(),
        ...parsed.data,
        secret: `sandbox_webhook_secret_${randomBytes(16).toString('hex')}`,
        createdDate: now().toISOString(),
        expiresDate: lifeMs === null ? null : new Date(now().getTime() + lifeMs).toISOString(),
      };
      webhooks.set(webhook.id, webhook);
      return webhook;
    },

    /** `false`: there is no such subscription. */
    delete: (id: string): boolean => webhooks.delete(id),

    /** Tells every subscription that an event is for. */
    async emit(events: readonly SandboxEvent[], options: EmitOptions = {}): Promise<WebhookDelivery[]> {
      const { as = SEND_LISTS.has(targetSystem) ? 'list' : 'single', concurrency = 1 } = options;
      const toSend: (() => Promise<WebhookDelivery>)[] = [];
      for (const webhook of [...webhooks.values()].filter(isAlive)) {
        const wanted = events.filter(
          ({ eventType, resource }) => eventType === webhook.eventType && resource === webhook.resource,
        );
        const written = wanted.map((event) => write(event, options.shape ?? 'current', now()));
        const bodies = as === 'list' ? (written.length === 0 ? [] : [written]) : written;
        toSend.push(...bodies.map((body) => () => deliver(webhook, JSON.stringify(body), options.signature ?? 'hex')));
      }
      const deliveries: WebhookDelivery[] = [];
      const next = toSend.values();
      await Promise.all(
        Array.from({ length: concurrency }, async () => {
          for (const send of next) deliveries.push(await send());
        }),
      );
      return deliveries;
    },
  };
}

function write(event: SandboxEvent, shape: NonNullable<EmitOptions['shape']>, now: Date): object {
  const { eventType, resource, resourceId, filterDate = now.toISOString() } = event;
  const about = { filterDate, resourceId };
  return {
    current: { eventType, ...about, resource },
    resourceType: { eventType, ...about, resourceType: resource },
    swapped: { eventType: resource, ...about, resource: eventType },
    withUserId: { eventType, ...about, resourceType: resource, userId: 'a-user' },
  }[shape];
}

async function deliver(
  { callbackUrl, secret }: SandboxWebhook,
  body: string,
  encoding: 'hex' | 'base64',
): Promise<WebhookDelivery> {
  const signature = createHmac('sha256', secret).update(body).digest(encoding);
  try {
    const response = await fetch(callbackUrl, {
      method: 'POST',
      headers: { 'content-type': 'application/json', 'x-maesn-signature': signature },
      body,
      signal: AbortSignal.timeout(TIMEOUT_MS),
    });
    return { callbackUrl, body, signature, status: response.status, answer: await response.text() };
  } catch {
    return { callbackUrl, body, signature, status: null, answer: '' };
  }
}
