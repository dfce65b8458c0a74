/** What is sold and bought: invoices, bills, and their corrections. */
import { toAddress, toOneLineAddress } from './contacts.js';
import { anyId, documentNumber } from './context.js';
import type { MaesnFields, RecordContext } from './context.js';
import { FIRMS } from './names.js';
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
