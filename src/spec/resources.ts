/**
 * The collections of Maesn that are synced. Adding one is adding a row.
 * Source: Maesn's API document; every collection is `GET <path>`.
 */
import { keysOf } from './table.js';

export interface ResourceRow {
  readonly path: string;
  /** The field that identifies a record. `null`: records have no identity, the collection is kept as a snapshot. */
  readonly key: string | null;
  /** The field with the time of the last change. `null`: there is none. */
  readonly modified: string | null;
  /** Whether the collection is walked with `page` and `limit`; else one request holds all of it. */
  readonly paged: boolean;
  /** Whether `lastModifiedAt` is understood; else every walk is a full one. */
  readonly incremental: boolean;
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

export const RESOURCES = {
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
} as const satisfies Record<string, ResourceRow>;

export type Resource = keyof typeof RESOURCES;

export const RESOURCE_NAMES = keysOf(RESOURCES);

/** The row of a resource, typed as a row. */
export function resourceRow(resource: Resource): ResourceRow {
  return RESOURCES[resource];
}

/** Maesn's largest page. */
export const PAGE_LIMIT = 100;

/** How far an incremental walk reaches back before the start of the one before it: clocks differ, and lists lag behind. */
export const WATERMARK_OVERLAP_MS = 5 * 60_000;
