import { describe, expect, it } from 'vitest';
import { columnsOf, viewName } from '../src/spec/columns.js';
import {
  CHILD_RESOURCES,
  DEFAULT_RESOURCES,
  RESOURCE_NAMES,
  childPath,
  isChild,
  parentOf,
  withParents,
  resourceRow,
} from '../src/spec/resources.js';
import { createTargetSystems } from '../src/spec/target-systems.js';

/** What every view has besides. */
const OWN_COLUMNS = new Set(['connection_id', 'key', 'parent_key', 'modified_at', 'synced_at']);

describe('resources', () => {
  it('hold every collection that Maesn lists', () => {
    const paths = DEFAULT_RESOURCES.map((resource) => resourceRow(resource).path.replace('/accounting/', ''));
    const listed = `accounts bankAccounts dimensions customers suppliers contacts invoices items journals journalEntries
      offers expenses projects salesOrders paymentTerms taxRates payments bills bookingProposals vendorCredits
      purchaseOrders goodsReceipts units openItems trialBalance creditNotes fiscalYears v2/contacts v2/dimensions`;
    expect(paths.toSorted()).toEqual(listed.split(/\s+/).toSorted());
  });

  it.each(RESOURCE_NAMES)('%s: an increment needs records that can be told apart', (resource) => {
    const { key, incremental } = resourceRow(resource);
    expect(incremental && key === null).toBe(false);
  });
});

describe('children', () => {
  it('hold every list of a record that Maesn has', () => {
    const listed = `bills/{parent}/lineItems goodsReceipts/{parent}/lineItems invoices/{parent}/lineItems
      offers/{parent}/lineItems purchaseOrders/{parent}/lineItems salesOrders/{parent}/lineItems v2/dimensions/{parent}`;
    const paths = CHILD_RESOURCES.map((resource) => resourceRow(resource).path.replace('/accounting/', ''));
    expect(paths.toSorted()).toEqual(listed.split(/\s+/).toSorted());
  });

  it.each(CHILD_RESOURCES)('%s: the path begins with that of its parent, whose records have keys', (resource) => {
    const parent = resourceRow(parentOf(resource));
    expect(resourceRow(resource).path.startsWith(`${parent.path}/{parent}`)).toBe(true);
    expect(parent.key).not.toBeNull();
  });

  it('are pulled after their parents, which come with them, and each once', () => {
    expect(withParents(['offerLineItems', 'items', 'offers', 'items'])).toEqual(['offers', 'items', 'offerLineItems']);
    expect(withParents(['offerLineItems', 'items'])).toEqual(['offers', 'items', 'offerLineItems']);
    expect(withParents(RESOURCE_NAMES)).toEqual(RESOURCE_NAMES);
    expect(DEFAULT_RESOURCES.filter(isChild)).toEqual([]);
  });

  it('of a parent with any key have a path of their own', () => {
    expect(childPath('dimensionValuesV2', 'a/b $& ä')).toBe('/accounting/v2/dimensions/a%2Fb%20%24%26%20%C3%A4');
  });
});

describe('columns', () => {
  it.each(RESOURCE_NAMES)('%s: hold its key and its modified date, and no name twice', (resource) => {
    const { key, modified } = resourceRow(resource);
    const columns = columnsOf(resource);
    const names = columns.map(({ name }) => name);
    const has = (field: string, type: string) =>
      columns.some(({ path, type: of }) => path.join('.') === field && of === type);
    expect(new Set(names).size).toBe(names.length);
    expect(key === null || has(key, 'text')).toBe(true);
    expect(modified === null || has(modified, 'timestamp')).toBe(true);
    expect(names.filter((name) => !/^[a-z][a-z0-9_]*$/.test(name) || OWN_COLUMNS.has(name))).toEqual([]);
  });

  it('are named as in Maesn, in snake case', () => {
    const named = (resource: (typeof RESOURCE_NAMES)[number], name: string) =>
      columnsOf(resource).find((column) => column.name === name)?.path;
    expect(named('invoices', 'invoice_id')).toEqual(['invoiceId']);
    expect(named('openItems', 'open_balance_debit_credit_indicator')).toEqual(['openBalance', 'debitCreditIndicator']);
    expect(named('paymentTerms', 'discount_days2')).toEqual(['discountDays2']);
    expect(viewName('contactsV2')).toBe('contacts_v2');
    expect(viewName('goodsReceiptLineItems')).toBe('goods_receipt_line_items');
  });
});

describe('target systems', () => {
  const { formatLastModifiedAt, get, scopedLimits } = createTargetSystems();

  it('know an unknown one: no limits, no error', () => {
    expect(get('never-heard-of')).toEqual({ rateLimits: [] });
    expect(get('toString')).toEqual({ rateLimits: [] });
    expect(scopedLimits('never-heard-of', 'a')).toEqual([]);
  });

  it('write whole seconds for lexware-office alone', () => {
    const time = new Date('2026-11-01T10:00:00.123Z');
    expect(formatLastModifiedAt('lexware-office', time)).toBe('2026-11-01T10:00:00Z');
    expect(formatLastModifiedAt('xero', time)).toBe('2026-11-01T10:00:00.123Z');
  });
});
