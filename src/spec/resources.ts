/**
 * What is synced: the collections of Maesn, and the lists that belong to single records of them. Adding one is adding a
 * row, here and in columns.ts. Source: Maesn's API document; each is `GET <path>`.
 */
import { keysOf } from './table.js';

export interface ResourceRow {
  /** Of a child with `{parent}`, where the key of its parent goes. */
  readonly path: string;
  /** The field that identifies a record. `null`: records have no identity, the collection is kept as a snapshot. */
  readonly key: string | null;
  /** The field with the time of the last change. `null`: there is none. */
  readonly modified: string | null;
  /** Whether the collection is walked with `page` and `limit`; else one request holds all of it. */
  readonly paged: boolean;
  /** Whether it is asked for with `lastModifiedAt`; else every walk is a full one. */
  readonly incremental: boolean;
  /**
   * The collection that it is a child of: it is asked for parent by parent, each with a request of its own, and whole. The
   * second walk asks for the children of those parents that have changed.
   */
  readonly parent?: Collection;
}

function row(path: string, differences: Partial<Omit<ResourceRow, 'path'>> = {}): ResourceRow {
  return {
    path: `/accounting/${path}`,
    key: 'id',
    modified: 'updatedDate',
    paged: true,
    incremental: true,
    ...differences,
  };
}

const COLLECTIONS = {
  accounts: row('accounts'),
  bankAccounts: row('bankAccounts'),
  bills: row('bills'),
  bookingProposals: row('bookingProposals'),
  contacts: row('contacts'),
  contactsV2: row('v2/contacts'),
  creditNotes: row('creditNotes'),
  customers: row('customers'),
  dimensions: row('dimensions'),
  dimensionsV2: row('v2/dimensions', { key: 'dimension', modified: null, paged: false }),
  expenses: row('expenses'),
  fiscalYears: row('fiscalYears', { paged: false, incremental: false }),
  goodsReceipts: row('goodsReceipts'),
  invoices: row('invoices', { key: 'invoiceId' }),
  items: row('items', { modified: 'lastModifiedDate' }),
  journalEntries: row('journalEntries'),
  journals: row('journals'),
  offers: row('offers'),
  openItems: row('openItems'),
  paymentTerms: row('paymentTerms'),
  payments: row('payments'),
  projects: row('projects'),
  purchaseOrders: row('purchaseOrders'),
  salesOrders: row('salesOrders'),
  suppliers: row('suppliers'),
  taxRates: row('taxRates'),
  // A trial balance is a statement over all accounts: without identity, an increment of it would mean nothing.
  trialBalance: row('trialBalance', { key: null, incremental: false }),
  units: row('units', { modified: null, incremental: false }),
  vendorCredits: row('vendorCredits'),
} as const satisfies Record<string, Omit<ResourceRow, 'parent'>>;

export type Collection = keyof typeof COLLECTIONS;

function lineItems(
  parent: Collection,
  differences: Partial<ResourceRow> = {},
): ResourceRow & { readonly parent: Collection } {
  return { ...row(`${parent}/{parent}/lineItems`, { incremental: false, ...differences }), parent };
}

const CHILDREN = {
  billLineItems: lineItems('bills', { paged: false }),
  // UNVERIFIED: that values have an `id`; the document gives them the fields of dimensions. Without one they are kept all the same.
  dimensionValuesV2: { ...row('v2/dimensions/{parent}', { incremental: false }), parent: 'dimensionsV2' },
  goodsReceiptLineItems: lineItems('goodsReceipts', { paged: false }),
  invoiceLineItems: lineItems('invoices', { key: 'lineItemId' }),
  offerLineItems: lineItems('offers'),
  purchaseOrderLineItems: lineItems('purchaseOrders', { paged: false }),
  salesOrderLineItems: lineItems('salesOrders'),
} as const satisfies Record<string, ResourceRow & { readonly parent: Collection }>;

export type ChildResource = keyof typeof CHILDREN;

export const RESOURCES: Readonly<Record<Collection | ChildResource, ResourceRow>> = { ...COLLECTIONS, ...CHILDREN };

export type Resource = keyof typeof RESOURCES;

/** What a sync pulls unless it is told: all collections. Children cost a request for every record of their parent. */
export const DEFAULT_RESOURCES = keysOf(COLLECTIONS);

export const CHILD_RESOURCES = keysOf(CHILDREN);

/** Everything, children last. */
export const RESOURCE_NAMES: readonly Resource[] = [...DEFAULT_RESOURCES, ...CHILD_RESOURCES];

/** The row of a resource, typed as a row. */
export function resourceRow(resource: Resource): ResourceRow {
  return RESOURCES[resource];
}

export function isChild(resource: Resource): resource is ChildResource {
  return RESOURCES[resource].parent !== undefined;
}

/** The collection that a child belongs to; `undefined`: it is a collection itself. */
export function parentOf(resource: ChildResource): Collection;
export function parentOf(resource: Resource): Collection | undefined;
export function parentOf(resource: Resource): Collection | undefined {
  return RESOURCES[resource].parent;
}

/** Each once, with their parents, in the order in which they are pulled: children are asked for by what the store holds of these. */
export function withParents(resources: readonly Resource[]): Resource[] {
  const once = [...new Set(resources.flatMap((resource) => [parentOf(resource) ?? resource, resource]))];
  return [...once.filter((resource) => !isChild(resource)), ...once.filter(isChild)];
}

/** The path of a child's list. */
export function childPath(resource: Resource, parentKey: string): string {
  return resourceRow(resource).path.replace('{parent}', () => encodeURIComponent(parentKey));
}

/** Maesn's largest page. */
export const PAGE_LIMIT = 100;

/** How far an incremental walk reaches back before the start of the one before it: clocks differ, and lists lag behind. */
export const WATERMARK_OVERLAP_MS = 5 * 60_000;
