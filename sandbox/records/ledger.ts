/** The general ledger: accounts, journals and their entries. */
import { BICS, toIban } from './contacts.js';
import { anyId, documentNumber } from './context.js';
import type { MaesnFields, RecordContext } from './context.js';
import { toCents } from './draw.js';
import { FIRMS, LEDGER } from './names.js';

/** The first rows are the chart's own; every further account is a sub-account with a longer number. */
export function ledgerRow(n: number): {
  readonly number: string;
  readonly name: string;
  readonly class: string;
  readonly side: string;
} {
  const row = LEDGER[n % LEDGER.length] ?? LEDGER[0];
  const round = Math.floor(n / LEDGER.length);
  return round === 0
    ? row
    : { ...row, number: `${row.number}${String(round).padStart(3, '0')}`, name: `${row.name} (${round})` };
}

export function toAccount({ draw, id, n, createdDate, updatedDate }: RecordContext): MaesnFields {
  const row = ledgerRow(n);
  return {
    id,
    balance: draw.amount(0, 250_000),
    class: row.class,
    code: row.number,
    createdDate,
    currency: 'EUR',
    debitCreditIndicator: row.side,
    description: null,
    name: row.name,
    number: row.number,
    parentAccountId: null,
    status: draw.pick(['ACTIVE', 'ACTIVE', 'ACTIVE', 'ARCHIVED']),
    type: 'GENERAL_LEDGER',
    updatedDate,
  };
}

export function toBankAccount({ draw, id, n, createdDate, updatedDate }: RecordContext): MaesnFields {
  const iban = toIban(draw);
  return {
    id,
    balance: draw.amount(-5_000, 120_000),
    bankName: draw.pick(['Commerzbank', 'Volksbank', 'Sparkasse', 'ING']),
    bic: draw.pick(BICS),
    createdDate,
    currency: 'EUR',
    description: null,
    fileType: 'MT940',
    iban,
    name: `Geschäftskonto ${n + 1}`,
    number: iban.slice(-10),
    system: null,
    status: 'ACTIVE',
    type: 'CHECKING',
    updatedDate,
  };
}

export function toJournal(context: RecordContext): MaesnFields {
  const { draw, id, n, createdDate, updatedDate } = context;
  return {
    id,
    accountId: anyId(context, 'accounts'),
    code: `J${String(n + 1).padStart(2, '0')}`,
    createdDate,
    currency: 'EUR',
    description: draw.pick(['Ausgangsrechnungen', 'Eingangsrechnungen', 'Bank', 'Kasse']),
    type: draw.pick(['SALES', 'PURCHASE', 'BANK', 'CASH']),
    updatedDate,
  };
}

const ENTRY_SIDES = [
  { side: 'DEBIT', account: LEDGER[6] },
  { side: 'CREDIT', account: LEDGER[0] },
] as const;

export function toJournalEntry(context: RecordContext): MaesnFields {
  const { draw, id, createdDate, updatedDate, day } = context;
  const net = draw.amount(10, 4_000);
  const tax = toCents(net * 0.19);
  const taxRate = { id: anyId(context, 'taxRates'), code: 'UST19', name: 'Umsatzsteuer 19 %', taxRatePercentage: '19' };
  const documentId = documentNumber('BEL', context);
  return {
    id,
    accountId: anyId(context, 'accounts'),
    accountingPeriodId: createdDate.slice(0, 7),
    createdDate,
    currency: 'EUR',
    debitCreditIndicator: 'DEBIT',
    deliveryDate: null,
    description: `Buchung ${draw.pick(FIRMS)}`,
    documentId,
    dueDate: day(14),
    exchangeRate: '1',
    files: [],
    isProvisional: draw.fraction() < 0.1,
    journalCode: 'AR',
    // Debit and credit of an entry balance.
    journalLineItems: ENTRY_SIDES.map(({ side, account }, index) => ({
      id: `${id}-${index + 1}`,
      accountCode: account.number,
      accountId: anyId(context, 'accounts'),
      accountNumber: Number(account.number),
      createdDate,
      currency: 'EUR',
      customerId: anyId(context, 'customers'),
      debitCreditIndicator: side,
      description: account.name,
      dimensions: [],
      discountAmount: 0,
      documentNumber: documentId,
      exchangeRate: 1,
      supplierId: null,
      taxRate,
      thirdPartyCode: null,
      totalGrossAmount: toCents(net + tax),
      totalNetAmount: net,
      totalTaxAmount: tax,
      updatedDate,
    })),
    journalType: 'SALES',
    number: String(context.n + 1),
    taxAssignmentDate: day(0),
    transactionDate: day(0),
    updatedDate,
  };
}
