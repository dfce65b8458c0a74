/** What is on its way into the books: expenses and booking proposals. */
import { BICS, toAddress, toIban } from './contacts.js';
import { anyId, documentNumber } from './context.js';
import type { MaesnFields, RecordContext } from './context.js';
import { FIRMS, LEDGER } from './names.js';
import { drawPositions, sumPositions } from './positions.js';

export function toExpense(context: RecordContext): MaesnFields {
  const { draw, id, createdDate, updatedDate, day } = context;
  const positions = drawPositions(context);
  const account = draw.pick(LEDGER);
  const { net, tax, gross } = sumPositions(positions);
  const ledger = {
    accountCode: account.number,
    accountId: anyId(context, 'accounts'),
    accountNumber: Number(account.number),
  };
  return {
    id,
    ...ledger,
    createdDate,
    currency: 'EUR',
    customerId: null,
    description: account.name,
    documentId: documentNumber('BEL', context),
    exchangeRate: '1',
    expenseLines: positions.map((position) => ({
      id: position.id,
      accountCode: ledger.accountCode,
      accountId: ledger.accountId,
      accountNumber: ledger.accountNumber,
      createdDate,
      currency: 'EUR',
      description: position.product,
      dimensions: [{ id: anyId(context, 'dimensions'), categoryName: 'Kostenstelle', code: 'VT', name: 'Vertrieb' }],
      documentNumber: null,
      exchangeRate: 1,
      itemId: null,
      taxRate: {
        id: anyId(context, 'taxRates'),
        code: position.taxCode,
        name: `Vorsteuer ${position.taxRatePercentage} %`,
        taxRatePercentage: String(position.taxRatePercentage),
      },
      totalGrossAmount: position.gross,
      totalNetAmount: position.net,
      updatedDate,
    })),
    files: [],
    journalCode: null,
    ledgerName: account.name,
    note: null,
    paymentTermId: anyId(context, 'paymentTerms'),
    paymentType: draw.pick(['CASH', 'CREDIT_CARD', 'COLLECTION']),
    supplierId: anyId(context, 'suppliers'),
    taskId: null,
    type: 'EXPENSE',
    totalGrossAmount: gross,
    totalNetAmount: net,
    totalTaxAmount: tax,
    transactionDate: day(0),
    updatedDate,
  };
}

export function toBookingProposal(context: RecordContext): MaesnFields {
  const { draw, id, createdDate, updatedDate, day } = context;
  const positions = drawPositions(context);
  const account = draw.pick(LEDGER);
  return {
    id,
    accountName: account.name,
    addresses: [toAddress(draw, 'BILLING')],
    bankAccountId: anyId(context, 'bankAccounts'),
    bankAccountNumber: Number(draw.digits(10)),
    bankCode: draw.digits(8),
    bic: draw.pick(BICS),
    bookingProposalDate: day(0),
    bookingType: draw.pick(['INVOICE', 'BILL', 'CREDIT_NOTE', 'EXPENSE']),
    contactAccountNumber: draw.integer(70_000, 70_049),
    contactId: anyId(context, 'suppliers'),
    contactName: draw.pick(FIRMS),
    createdDate,
    currency: 'EUR',
    deliveryDate: day(2),
    discountPaymentDate: day(7),
    discountPaymentDate2: null,
    dueDate: day(30),
    files: [],
    journalCode: null,
    iban: toIban(draw),
    isPaymentOrder: false,
    ledgerName: 'Eingangsrechnungen',
    lineItems: positions.map((position) => ({
      id: position.id,
      accountCode: account.number,
      accountId: anyId(context, 'accounts'),
      accountName: account.name,
      accountNumber: Number(account.number),
      bookingTaxCode: position.taxCode,
      createdDate,
      description: position.product,
      dimension1: 'VT',
      dimension2: null,
      discountAmount: 0,
      discountAmount2: 0,
      discountPercentage: 0,
      discountPercentage2: 0,
      taxCode: position.taxCode,
      taxRatePercentage: position.taxRatePercentage,
      totalGrossAmount: position.gross,
      totalNetAmount: position.net,
      type: 'GOODS',
      updatedDate,
    })),
    notes: null,
    number: documentNumber('BV', context),
    orderId: null,
    paidDate: null,
    paymentTermsId: anyId(context, 'paymentTerms'),
    status: draw.pick(['DRAFT', 'SUBMITTED', 'OPEN']),
    taskId: null,
    totalGrossAmount: sumPositions(positions).gross,
    updatedDate,
    vatId: `DE${draw.digits(9)}`,
  };
}
