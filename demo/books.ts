/** The customer of the demo: 20,000 records in 13 resources, and everything that goes wrong on the way. */
import type { Sandbox, SandboxAccount } from '../sandbox/index.js';
import type { Resource } from '../src/client.js';

const RECORDS = {
  accounts: 420,
  customers: 2_150,
  suppliers: 830,
  items: 1_640,
  taxRates: 14,
  paymentTerms: 9,
  invoices: 6_300,
  bills: 2_480,
  creditNotes: 310,
  payments: 4_700,
  journalEntries: 1_900,
  openItems: 360,
  trialBalance: 220,
} as const satisfies Partial<Record<Resource, number>>;

const UNSUPPORTED = ['goodsReceipts'] as const;

export const resources: readonly Resource[] = [
  'accounts',
  'customers',
  'suppliers',
  'goodsReceipts',
  'items',
  'taxRates',
  'paymentTerms',
  'invoices',
  'bills',
  'creditNotes',
  'payments',
  'journalEntries',
  'openItems',
  'trialBalance',
];

export function openAccount(sandbox: Sandbox): SandboxAccount {
  const account = sandbox.addAccount({
    name: 'Acme GmbH',
    targetSystem: 'sevdesk',
    records: RECORDS,
    unsupported: UNSUPPORTED,
    malformed: [{ resource: 'bills', index: 1_234, as: 'noKey' }],
  });
  account.fault({ resource: 'customers', page: 8, answer: { status: 429, retryAfter: 90 } });
  account.fault({ resource: 'suppliers', page: 3, times: 2, answer: { status: 500 } });
  account.fault({ resource: 'items', page: 5, times: 2, answer: { status: 429 } });
  account.fault({ resource: 'invoices', page: 41, answer: 'revoke' });
  account.fault({ resource: 'payments', page: 20, answer: 'cut' });
  account.fault({ resource: 'journalEntries', page: 7, answer: { status: 503, retryAfter: 60 } });
  return account;
}
