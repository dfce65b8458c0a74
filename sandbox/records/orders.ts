/** What is agreed but not booked: offers, orders and goods received. */
import { toAddress, toOneLineAddress } from './contacts.js';
import { anyId, documentNumber } from './context.js';
import type { MaesnFields, RecordContext } from './context.js';
import { FIRMS } from './names.js';
import { drawPositions, sumPositions, toOfferLine, toOrderLine, toTotals } from './positions.js';

export function toOffer(context: RecordContext): MaesnFields {
  const { draw, id, createdDate, updatedDate, day } = context;
  const positions = drawPositions(context);
  return {
    id,
    addresses: [toAddress(draw, 'BILLING')],
    contactId: anyId(context, 'customers'),
    createdDate,
    currency: 'EUR',
    lineItems: positions.map((position) => toOfferLine(position, context)),
    name: `Angebot ${draw.pick(FIRMS)}`,
    offerDate: day(0),
    offerNumber: documentNumber('AN', context),
    oneLineAddress: toOneLineAddress(draw),
    reference: null,
    status: draw.pick(['DRAFT', 'SENT', 'ACCEPTED', 'EXPIRED', 'DECLINED']),
    taxText: null,
    ...toTotals(sumPositions(positions)),
    updatedDate,
  };
}

export function toSalesOrder(context: RecordContext): MaesnFields {
  const { draw, id, createdDate, updatedDate, day } = context;
  const positions = drawPositions(context);
  const contactId = anyId(context, 'customers');
  return {
    id,
    addresses: [toAddress(draw, 'BILLING'), toAddress(draw, 'DELIVERY')],
    billingContactId: contactId,
    comment: null,
    contactId,
    createdDate,
    currency: 'EUR',
    deliveryDate: day(10),
    lineItems: positions.map((position) => toOrderLine(position, context)),
    oneLineAddress: toOneLineAddress(draw),
    orderDate: day(0),
    projectId: anyId(context, 'projects'),
    shippingContactId: contactId,
    status: draw.pick(['DRAFT', 'OPEN', 'CLOSED']),
    taskId: null,
    ...toTotals(sumPositions(positions)),
    updatedDate,
  };
}

export function toPurchaseOrder(context: RecordContext): MaesnFields {
  const { draw, id, createdDate, updatedDate, day } = context;
  const positions = drawPositions(context);
  return {
    id,
    addresses: [toAddress(draw, 'DELIVERY')],
    approvalDate: day(1),
    comment: null,
    createdDate,
    currency: 'EUR',
    description: `Bestellung ${draw.pick(FIRMS)}`,
    lineItems: positions.map((position) => toOrderLine(position, context)),
    orderDate: day(0),
    paymentTermId: anyId(context, 'paymentTerms'),
    reference: documentNumber('BE', context),
    status: draw.pick(['OPEN', 'CLOSED', 'PARTIALLY_FULFILLED']),
    supplierId: anyId(context, 'suppliers'),
    ...toTotals(sumPositions(positions)),
    updatedDate,
  };
}

export function toGoodsReceipt(context: RecordContext): MaesnFields {
  const { id, createdDate, updatedDate } = context;
  const purchaseOrderId = anyId(context, 'purchaseOrders');
  return {
    id,
    comment: null,
    createdDate,
    description: 'Wareneingang',
    lineItems: drawPositions(context).map((position) => ({
      id: position.id,
      createdDate,
      description: position.product,
      itemId: anyId(context, 'items'),
      itemName: position.product,
      projectId: null,
      purchaseOrderId,
      quantityOrdered: position.quantity,
      quantityReceived: position.quantity,
      updatedDate,
    })),
    reference: documentNumber('WE', context),
    supplierId: anyId(context, 'suppliers'),
    updatedDate,
  };
}
