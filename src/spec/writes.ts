/**
 * What can be written: every operation of Maesn that creates, changes or deletes something in the books. Adding one is
 * adding a row. Source: Maesn's API document. That forms carry objects as JSON text is UNVERIFIED.
 */
import { keysOf } from './table.js';
import type { Collection, Resource } from './resources.js';

export interface WriteRow {
  readonly method: 'POST' | 'PUT' | 'PATCH' | 'DELETE';
  /** With the names of its parameters in braces. */
  readonly path: string;
  /** `form`: multipart/form-data, in which an object is JSON text. */
  readonly body: 'json' | 'form' | 'none';
  /** Of a form: the field of the record, where that is not the form itself. */
  readonly part?: string;
  /** Of a form: the field of the files, and whether there may be several. */
  readonly files?: { readonly field: string; readonly several: boolean };
  /** Whether the answer may be a task that is still to be carried out. */
  readonly mayBeTask: boolean;
  /** Whether it writes several records at once: its answer is about them, not one of them. */
  readonly several?: boolean;
  /** The list that the record is in afterwards. `null`: what was written is in no list that is synced. */
  readonly resource: Resource | null;
  /** How to find out whether it was applied, when nobody said so; see `write-outcome.ts`. `null`: there is no way. */
  readonly lookUp: LookUp | null;
}

export type LookUp =
  /** Among what the list says has changed since. */
  | { readonly by: 'list'; readonly resource: Collection; readonly naturalKey: NaturalKey | null }
  /** `GET` of the operation's own path. */
  | { readonly by: 'path' };

/** A field that no two records share, and the filter of the list that finds it, where it has one. */
export interface NaturalKey {
  readonly field: string;
  readonly filter?: string;
}

function listed(resource: Collection, field?: string, filter?: string): Pick<WriteRow, 'resource' | 'lookUp'> {
  const naturalKey = field === undefined ? null : { field, ...(filter === undefined ? {} : { filter }) };
  return { resource, lookUp: { by: 'list', resource, naturalKey } };
}

function row(
  method: WriteRow['method'],
  path: string,
  about: Partial<Omit<WriteRow, 'method' | 'path'>> = {},
): WriteRow {
  const body = method === 'DELETE' ? 'none' : 'json';
  return { method, path: `/accounting/${path}`, body, mayBeTask: false, resource: null, lookUp: null, ...about };
}

const byPath = (resource: Resource): Pick<WriteRow, 'resource' | 'lookUp'> => ({ resource, lookUp: { by: 'path' } });

const FILES = { field: 'files', several: true } as const;
const FILE = { field: 'file', several: false } as const;
const TASK = { mayBeTask: true } as const;

const OPERATIONS = {
  createAccount: row('POST', 'accounts', listed('accounts', 'number')),
  createBankAccount: row('POST', 'bankAccounts', listed('bankAccounts', 'iban')),
  createBill: row('POST', 'bills', listed('bills', 'billNumber')),
  updateBill: row('PUT', 'bills/{billId}', byPath('bills')),
  deleteBill: row('DELETE', 'bills/{billId}', byPath('bills')),
  createBillLineItem: row('POST', 'bills/{billId}/lineItems', { resource: 'billLineItems' }),
  updateBillLineItem: row('PUT', 'bills/{billId}/lineItems/{lineItemId}', { resource: 'billLineItems' }),
  createBookingProposal: row('POST', 'bookingProposals', {
    ...listed('bookingProposals', 'number'),
    ...TASK,
    body: 'form',
    part: 'bookingProposal',
    files: FILES,
  }),
  createBookingProposalV2: row('POST', 'v2/bookingProposals', {
    ...listed('bookingProposals', 'number'),
    ...TASK,
    body: 'form',
    part: 'bookingProposal',
    files: FILES,
  }),
  createContact: row('POST', 'contacts', listed('contacts', 'number')),
  updateContact: row('PUT', 'contacts/{contactId}', byPath('contacts')),
  patchContact: row('PATCH', 'contacts/{contactId}', byPath('contacts')),
  createContactsBulk: row('POST', 'contacts/bulk', { ...TASK, several: true, resource: 'contacts' }),
  createContactsBatch: row('POST', 'batch/contacts', { ...TASK, several: true, resource: 'contacts' }),
  createContactV2: row('POST', 'v2/contacts', listed('contactsV2', 'number')),
  updateContactV2: row('PUT', 'v2/contacts/{contactId}', byPath('contactsV2')),
  patchContactV2: row('PATCH', 'v2/contacts/{contactId}', byPath('contactsV2')),
  createCustomer: row('POST', 'customers', listed('customers', 'number', 'number')),
  updateCustomer: row('PUT', 'customers/{contactId}', byPath('customers')),
  patchCustomer: row('PATCH', 'customers/{contactId}', byPath('customers')),
  createExpense: row('POST', 'expenses', {
    ...listed('expenses', 'documentId'),
    ...TASK,
    body: 'form',
    part: 'expense',
    files: FILES,
  }),
  createExpenseAsync: row('POST', 'expenses/async', {
    ...listed('expenses', 'documentId'),
    ...TASK,
    body: 'form',
    part: 'expense',
    files: FILES,
  }),
  createFile: row('POST', 'files', { body: 'form', files: FILE }),
  createFileAsync: row('POST', 'files/async', { ...TASK, body: 'form', files: FILE }),
  createInvoice: row('POST', 'invoices', listed('invoices', 'invoiceNumber')),
  patchInvoice: row('PATCH', 'invoices/{invoiceId}', byPath('invoices')),
  createInvoiceLineItem: row('POST', 'invoices/{invoiceId}/lineItems', { resource: 'invoiceLineItems' }),
  patchInvoiceLineItem: row('PATCH', 'invoices/{invoiceId}/lineItems/{lineItemId}', byPath('invoiceLineItems')),
  createItem: row('POST', 'items', listed('items', 'itemNumber', 'itemNumber')),
  patchItem: row('PATCH', 'items/{itemId}', byPath('items')),
  createJournalEntry: row('POST', 'journalEntries', {
    ...listed('journalEntries', 'number'),
    ...TASK,
    body: 'form',
    part: 'journal_entry',
    files: FILES,
  }),
  createJournalEntriesBulk: row('POST', 'journalEntries/bulk', { ...TASK, several: true, resource: 'journalEntries' }),
  attachToJournalEntry: row('POST', 'journalEntries/{journalEntryId}/Attachments', { body: 'form', files: FILE }),
  createOffer: row('POST', 'offers', listed('offers', 'offerNumber')),
  createPayment: row('POST', 'payments', listed('payments')),
  deletePayment: row('DELETE', 'payments/{paymentId}', byPath('payments')),
  createPaymentTerm: row('POST', 'paymentTerms', listed('paymentTerms', 'code')),
  createProject: row('POST', 'projects', { ...listed('projects', 'number'), ...TASK }),
  createSalesOrder: row('POST', 'salesOrders', { ...listed('salesOrders'), ...TASK }),
  createSupplier: row('POST', 'suppliers', listed('suppliers', 'number', 'number')),
  updateSupplier: row('PUT', 'suppliers/{contactId}', byPath('suppliers')),
  patchSupplier: row('PATCH', 'suppliers/{contactId}', byPath('suppliers')),
  createTransaction: row('POST', 'transactions', { ...TASK, body: 'form', part: 'transaction', files: FILES }),
  createVendorCredit: row('POST', 'vendorCredit', listed('vendorCredits', 'vendorCreditNumber')),
  updateVendorCredit: row('PUT', 'vendorCredits/{vendorCreditId}', { resource: 'vendorCredits' }),
  deleteVendorCredit: row('DELETE', 'vendorCredits/{vendorCreditId}', { resource: 'vendorCredits' }),
} as const satisfies Record<string, WriteRow>;

export type WriteOperation = keyof typeof OPERATIONS;

export const WRITE_OPERATIONS = keysOf(OPERATIONS);

export function writeRow(operation: WriteOperation): WriteRow {
  return OPERATIONS[operation];
}

/** The names of the parameters of a path, in order. */
export function pathParameters(operation: WriteOperation): string[] {
  return [...OPERATIONS[operation].path.matchAll(/\{(\w+)\}/g)].map(([, name]) => name ?? '');
}

/** The path with its parameters put in. */
export function writePath(operation: WriteOperation, parameters: Readonly<Record<string, string>>): string {
  return OPERATIONS[operation].path.replaceAll(/\{(\w+)\}/g, (_, name: string) =>
    encodeURIComponent(parameters[name] ?? ''),
  );
}

/**
 * What a write is about, for those of one connection that must keep their order: the record that it changes; of one that is
 * created, its natural key. Without one, everything that is created in that list, for nobody could tell them apart.
 */
export function writeSubject(
  operation: WriteOperation,
  parameters: Readonly<Record<string, string>>,
  naturalKey: string | undefined,
): string {
  const { path, lookUp } = writeRow(operation);
  const [parameter] = pathParameters(operation);
  // What belongs to a record is written in the order of the record.
  if (parameter !== undefined) return `${path.split('/{')[0] ?? path}/${parameters[parameter] ?? ''}`;
  const list = lookUp?.by === 'list' ? `/${lookUp.resource}` : path;
  return naturalKey === undefined ? list : `${list}#${naturalKey}`;
}

/** The object in which the fields of the record are. */
export function recordOf(
  operation: WriteOperation,
  body: Readonly<Record<string, unknown>>,
): Readonly<Record<string, unknown>> {
  const { part } = writeRow(operation);
  const record = part === undefined ? body : body[part];
  return typeof record === 'object' && record !== null && !Array.isArray(record) ? { ...record } : {};
}

/** The value of the natural key of what is to be created. `undefined`: it has none. */
export function naturalKeyOf(operation: WriteOperation, body: Readonly<Record<string, unknown>>): string | undefined {
  const { lookUp } = writeRow(operation);
  if (lookUp?.by !== 'list' || lookUp.naturalKey === null) return undefined;
  const value = recordOf(operation, body)[lookUp.naturalKey.field];
  return typeof value === 'string' || typeof value === 'number' ? String(value).trim() || undefined : undefined;
}
