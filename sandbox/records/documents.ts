/** What is booked: invoices, bills, their corrections, expenses and booking proposals. */
import { BICS, toAddress, toIban, toOneLineAddress } from './contacts.js';
import { anyId, documentNumber } from './context.js';
import type { MaesnFields, RecordContext } from './context.js';
import { FIRMS, LEDGER } from './names.js';
import { drawPositions, sumPositions, toInvoiceLine, toOrderLine, toPurchaseLine, toTotals } from './positions.js';
import type { Position } from './positions.js';

const STATES = [
  { status: 'PAID', paymentStatus: 'PAID' },
  { status: 'OPEN', paymentStatus: 'PENDING' },
  { status: 'OVERDUE', paymentStatus: 'PENDING' },
  { status: 'PARTIALLY_PAID', paymentStatus: 'PARTLY_PAID' },
] as const;

export function toInvoice(context: RecordContext): MaesnFields {
  const { draw, id, createdDate, updatedDate, day } = context;
  const positions = drawPositions(context);
  const { net, tax, gross } = sumPositions(positions);
  const { status, paymentStatus } = draw.pick(STATES);
  return {
    invoiceId: id,
    addresses: [toAddress(draw, 'BILLING')],
    contactId: anyId(context, 'customers'),
    createdDate,
    currency: 'EUR',
    discountAmount: 0,
    dueDate: day(14),
    fileId: null,
    invoiceDate: day(0),
    invoiceNumber: documentNumber('RE', context),
    invoiceType: 'STANDARD',
    journalCode: null,
    lineAmountTypes: 'EXCLUSIVE',
    lineItems: positions.map((position) => toInvoiceLine(position, context)),
    name: `Rechnung ${draw.pick(FIRMS)}`,
    oneLineAddress: toOneLineAddress(draw),
    paidDate: status === 'PAID' ? day(draw.integer(1, 30)) : null,
    paymentStatus,
    paymentTermDuration: 14,
    paymentTermId: anyId(context, 'paymentTerms'),
    reference: null,
    shippingDate: day(1),
    status,
    sumNetAmount: net,
    taxRule: 'NET',
    totalAmount: gross,
    totalTaxAmount: tax,
    updatedDate,
  };
}

/** What a bill and a vendor credit have in common: all but their number and date. */
function toPurchase(context: RecordContext, positions: readonly Position[]): MaesnFields {
  const { draw, id, createdDate, updatedDate, day } = context;
  const { status, paymentStatus } = draw.pick(STATES);
  return {
    id,
    accountId: anyId(context, 'accounts'),
    addresses: [toAddress(draw, 'BILLING')],
    contactId: anyId(context, 'suppliers'),
    createdDate,
    currency: 'EUR',
    deliveryDate: day(2),
    dueDate: day(30),
    fileId: null,
    journalCode: 'ER',
    lineItems: positions.map((position) => toPurchaseLine(position, context)),
    name: draw.pick(FIRMS),
    oneLineAddress: toOneLineAddress(draw),
    paidDate: status === 'PAID' ? day(draw.integer(1, 30)) : null,
    paymentReference: draw.digits(10),
    paymentStatus,
    paymentDays: 30,
    reference: null,
    shippingDate: day(1),
    shippingType: 'DELIVERY',
    status,
    taxRule: 'NET',
    taxText: null,
    ...toTotals(sumPositions(positions)),
    updatedDate,
  };
}

export function toBill(context: RecordContext): MaesnFields {
  return {
    ...toPurchase(context, drawPositions(context)),
    billDate: context.day(0),
    billNumber: documentNumber('ER', context),
    paymentTermCode: 'N30',
  };
}

export function toVendorCredit(context: RecordContext): MaesnFields {
  return {
    ...toPurchase(context, drawPositions(context)),
    paymentTermId: anyId(context, 'paymentTerms'),
    vendorCreditDate: context.day(0),
    vendorCreditNumber: documentNumber('LG', context),
  };
}

export function toCreditNote(context: RecordContext): MaesnFields {
  const { draw, id, createdDate, updatedDate, day } = context;
  const positions = drawPositions(context);
  const { status, paymentStatus } = draw.pick(STATES);
  return {
    id,
    addresses: [toAddress(draw, 'BILLING')],
    contactId: anyId(context, 'customers'),
    createdDate,
    creditNoteDate: day(0),
    creditNoteLines: positions.map((position) => toOrderLine(position, context)),
    creditNoteNumber: documentNumber('GS', context),
    currency: 'EUR',
    paymentStatus,
    paymentTermId: anyId(context, 'paymentTerms'),
    reference: null,
    status,
    ...toTotals(sumPositions(positions)),
    updatedDate,
  };
}

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
      ...ledger,
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
