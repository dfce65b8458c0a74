/** Which function makes a record of which resource, and the two things that are known of a record without making it. */
import { DEFAULT_RESOURCES, resourceRow } from '../../src/spec/resources.js';
import type { Collection } from '../../src/spec/resources.js';
import { BASE_DATE_MS } from './base-date.js';
import * as balances from './balances.js';
import * as bookings from './bookings.js';
import * as contacts from './contacts.js';
import type { Generator, MaesnFields } from './context.js';
import * as documents from './documents.js';
import { Draw, hashText, mix } from './draw.js';
import * as ledger from './ledger.js';
import * as masterData from './master-data.js';
import * as orders from './orders.js';

const GENERATORS: Readonly<Record<Collection, Generator>> = {
  accounts: ledger.toAccount,
  bankAccounts: ledger.toBankAccount,
  bills: documents.toBill,
  bookingProposals: bookings.toBookingProposal,
  contacts: contacts.toContact,
  contactsV2: contacts.toContact,
  creditNotes: documents.toCreditNote,
  customers: contacts.toCustomer,
  dimensions: masterData.toDimension,
  dimensionsV2: masterData.toDimensionMeta,
  expenses: bookings.toExpense,
  fiscalYears: masterData.toFiscalYear,
  goodsReceipts: orders.toGoodsReceipt,
  invoices: documents.toInvoice,
  items: masterData.toItem,
  journalEntries: ledger.toJournalEntry,
  journals: ledger.toJournal,
  offers: orders.toOffer,
  openItems: balances.toOpenItem,
  paymentTerms: masterData.toPaymentTerm,
  payments: balances.toPayment,
  projects: masterData.toProject,
  purchaseOrders: orders.toPurchaseOrder,
  salesOrders: orders.toSalesOrder,
  suppliers: contacts.toSupplier,
  taxRates: masterData.toTaxRate,
  trialBalance: balances.toTrialBalance,
  units: masterData.toUnit,
  vendorCredits: documents.toVendorCredit,
};

const DAY_MS = 24 * 60 * 60_000;

const MODIFIED_WITHIN_MS = 730 * DAY_MS;

export interface RecordSource {
  record(resource: Collection, n: number): MaesnFields;
  modifiedAtMs(resource: Collection, n: number): number;
  /** Which record has this key, were there endlessly many; `undefined`: none ever. */
  indexOf(resource: Collection, key: string): number | undefined;
}

/** The books of one account: every record is a pure function of seed, account, resource and n. */
export function createRecordSource(seed: string, account: string): RecordSource {
  const sources = new Map(DEFAULT_RESOURCES.map((resource) => [resource, createStart(seed, account, resource)]));
  const startOf = (resource: Collection): Start => sources.get(resource) ?? createStart(seed, account, resource);
  const idOf = (resource: Collection, n: number) => startOf(resource).prefix + n.toString(16).padStart(12, '0');
  const modifiedAtMs = (resource: Collection, n: number) =>
    BASE_DATE_MS - 1 - Math.floor((mix(startOf(resource).hash + n) / 2 ** 32) * MODIFIED_WITHIN_MS);

  const record = (resource: Collection, n: number): MaesnFields => {
    const draw = new Draw(mix(startOf(resource).hash ^ mix(n + 1)));
    const modifiedMs = modifiedAtMs(resource, n);
    const createdMs = modifiedMs - Math.floor(draw.fraction() * 60 * DAY_MS);
    return GENERATORS[resource]({
      n,
      draw,
      id: idOf(resource, n),
      createdDate: new Date(createdMs).toISOString(),
      updatedDate: new Date(modifiedMs).toISOString(),
      idOf,
      day: (daysLater) => `${new Date(createdMs + daysLater * DAY_MS).toISOString().slice(0, 10)}T00:00:00.000Z`,
    });
  };

  return {
    record,
    modifiedAtMs,
    indexOf(resource, key) {
      const field = resourceRow(resource).key;
      // Every key ends in its record's number: in hexadecimal for ids, in decimal for what a person has named.
      const digits = field === 'dimension' ? /\d+$/.exec(key)?.[0] : key.slice(-12);
      const n = field === 'dimension' ? Number(digits) - 1 : Number.parseInt(digits ?? '', 16);
      const known = field !== null && Number.isSafeInteger(n) && n >= 0 && record(resource, n)[field] === key;
      return known ? n : undefined;
    },
  };
}

interface Start {
  readonly hash: number;
  /** A UUID without its last group. */
  readonly prefix: string;
}

function createStart(seed: string, account: string, resource: Collection): Start {
  const hash = hashText(JSON.stringify([seed, account, resource]));
  const hex = [hash, mix(hash), mix(mix(hash))].map((part) => part.toString(16).padStart(8, '0')).join('');
  return {
    hash,
    prefix: `${hex.slice(0, 8)}-${hex.slice(8, 12)}-4${hex.slice(13, 16)}-8${hex.slice(17, 20)}-`,
  };
}
