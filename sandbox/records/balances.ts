/** What is owed, what was paid, and what stands on the accounts. */
import { anyId, documentNumber } from './context.js';
import type { MaesnFields, RecordContext } from './context.js';
import { toCents } from './draw.js';
import { ledgerRow } from './ledger.js';
import { FIRMS } from './names.js';

export function toOpenItem(context: RecordContext): MaesnFields {
  const { draw, id, n, createdDate, updatedDate, day } = context;
  const amount = draw.amount(50, 9_000);
  return {
    id,
    accountId: anyId(context, 'accounts'),
    accountName: draw.pick(FIRMS),
    accountNumber: String(10_000 + n),
    createdDate,
    currency: 'EUR',
    documentNumber: documentNumber('RE', context),
    entries: [
      {
        amount,
        currency: 'EUR',
        debitCreditIndicator: 'DEBIT',
        description: 'Rechnung',
        dueDate: day(14),
        postingDate: day(0),
      },
    ],
    openBalance: { amount, debitCreditIndicator: 'DEBIT' },
    postingDate: day(0),
    totalCreditAmount: 0,
    totalDebitAmount: amount,
    type: 'INVOICE',
    updatedDate,
  };
}

export function toPayment(context: RecordContext): MaesnFields {
  const { draw, id, createdDate, updatedDate, day } = context;
  const customerId = anyId(context, 'customers');
  return {
    id,
    currency: 'EUR',
    createdDate,
    documentType: 'INVOICE',
    exchangeRate: 1,
    journalCode: 'BK',
    updatedDate,
    paymentType: 'BANK_TRANSFER',
    paymentLines: [
      {
        accountId: anyId(context, 'accounts'),
        amount: draw.amount(20, 6_000),
        contactName: draw.pick(FIRMS),
        contactId: customerId,
        customerId,
        description: 'Überweisung',
        invoiceId: anyId(context, 'invoices'),
        supplierId: null,
        paymentDate: day(3),
      },
    ],
  };
}

export function toTrialBalance({ draw, n, createdDate, updatedDate }: RecordContext): MaesnFields {
  const row = ledgerRow(n);
  const months = Array.from({ length: 12 }, (_, month) => ({
    month: month + 1,
    balance: { amount: draw.amount(0, 5_000), debitCreditIndicator: row.side },
  }));
  const moved = toCents(months.reduce((sum, { balance }) => sum + balance.amount, 0));
  const opening = draw.amount(0, 20_000);
  return {
    accountCode: row.number,
    accountName: row.name,
    accountNumber: row.number,
    balance: { amount: toCents(opening + moved), debitCreditIndicator: row.side },
    createdDate,
    monthlyValues: months,
    openingBalance: { amount: opening, debitCreditIndicator: row.side },
    totalCreditAmount: row.side === 'CREDIT' ? moved : 0,
    totalDebitAmount: row.side === 'DEBIT' ? moved : 0,
    updatedDate,
  };
}
