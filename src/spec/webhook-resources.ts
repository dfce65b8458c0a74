/** What Maesn's webhooks speak of, and which of our collections that is about. Source: Maesn's API document. */
import type { Resource } from './resources.js';
import type { TargetSystem } from './target-systems.js';

/** The login itself: not a collection. */
export const LOGIN_RESOURCE = 'TOKEN';
export const REVOKED = 'REVOKED';

/** What can happen to a record. */
export const CHANGES = ['CREATED', 'UPDATED', 'DELETED'] as const;

export type Change = (typeof CHANGES)[number];

export const WEBHOOK_RESOURCES = {
  ACCOUNT: ['accounts'],
  BANK_ACCOUNT: ['bankAccounts'],
  BILL: ['bills'],
  // One thing in two versions of the API.
  CONTACT: ['contacts', 'contactsV2'],
  CUSTOMER: ['customers'],
  EXPENSE: ['expenses'],
  INVOICE: ['invoices'],
  ITEM: ['items'],
  JOURNAL_ENTRY: ['journalEntries'],
  PAYMENT: ['payments'],
  SUPPLIER: ['suppliers'],
} as const satisfies Record<string, readonly Resource[]>;

/** The collections that an event of this resource is about; `undefined`: none that is known here. */
export function resourcesOf(webhookResource: string): readonly Resource[] | undefined {
  const table: Readonly<Record<string, readonly Resource[]>> = WEBHOOK_RESOURCES;
  return Object.hasOwn(table, webhookResource) ? table[webhookResource] : undefined;
}

export function isChange(eventType: string): eventType is Change {
  return CHANGES.some((change) => change === eventType);
}

/** One subscription: Maesn's `eventType` and `resource`. */
export interface WebhookKind {
  readonly eventType: string;
  readonly webhookResource: string;
}

/** Everything a target system is asked to tell. The login first: of all news it is what costs most to learn late. */
export function webhookKinds({ tellsRevocation }: TargetSystem): readonly WebhookKind[] {
  const login = tellsRevocation === true ? [{ eventType: REVOKED, webhookResource: LOGIN_RESOURCE }] : [];
  const changes = Object.keys(WEBHOOK_RESOURCES).flatMap((webhookResource) =>
    CHANGES.map((eventType) => ({ eventType, webhookResource })),
  );
  return [...login, ...changes];
}
