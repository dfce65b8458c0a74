import { describe, expect, it } from 'vitest';
import { RESOURCE_NAMES, resourceRow } from '../src/spec/resources.js';
import { formatLastModifiedAt, scopedLimits, targetSystem } from '../src/spec/target-systems.js';

describe('resources', () => {
  it('hold every collection that Maesn lists', () => {
    const paths = RESOURCE_NAMES.map((resource) => resourceRow(resource).path.replace('/accounting/', ''));
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

describe('target systems', () => {
  it('know an unknown one: no limits, no error', () => {
    expect(targetSystem('never-heard-of')).toEqual({ rateLimits: [] });
    expect(targetSystem('toString')).toEqual({ rateLimits: [] });
    expect(scopedLimits('never-heard-of', 'a')).toEqual([]);
  });

  it('write whole seconds for lexware-office alone', () => {
    const time = new Date('2026-11-01T10:00:00.123Z');
    expect(formatLastModifiedAt('lexware-office', time)).toBe('2026-11-01T10:00:00Z');
    expect(formatLastModifiedAt('xero', time)).toBe('2026-11-01T10:00:00.123Z');
  });
});
