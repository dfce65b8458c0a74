/** The lines of documents, and the sums over them. */
import { anyId } from './context.js';
import type { MaesnFields, RecordContext } from './context.js';
import { toCents } from './draw.js';
import { LEDGER, PRODUCTS, TAXES, UNITS } from './names.js';

/** What a line says, before a schema names its fields. */
export interface Position {
  readonly id: string;
  readonly product: string;
  readonly unitName: string;
  readonly quantity: number;
  readonly unitAmount: number;
  readonly taxCode: string;
  readonly taxRatePercentage: number;
  readonly net: number;
  readonly tax: number;
  readonly gross: number;
}

const MOST_POSITIONS = 3;

export function drawPositions({ draw, id }: RecordContext): Position[] {
  return Array.from({ length: draw.integer(1, MOST_POSITIONS) }, (_, index) => {
    const quantity = draw.integer(1, 20);
    const unitAmount = draw.amount(5, 900);
    const tax = draw.pick(TAXES);
    const net = toCents(quantity * unitAmount);
    const taxAmount = toCents((net * tax.percentage) / 100);
    return {
      id: `${id}-${index + 1}`,
      product: draw.pick(PRODUCTS),
      unitName: draw.pick(UNITS),
      quantity,
      unitAmount,
      taxCode: tax.code,
      taxRatePercentage: tax.percentage,
      net,
      tax: taxAmount,
      gross: toCents(net + taxAmount),
    };
  });
}

export interface Sums {
  readonly net: number;
  readonly tax: number;
  readonly gross: number;
}

export function sumPositions(positions: readonly Position[]): Sums {
  const sum = (part: 'net' | 'tax' | 'gross') => toCents(positions.reduce((total, line) => total + line[part], 0));
  return { net: sum('net'), tax: sum('tax'), gross: sum('gross') };
}

/** The totals of most documents. */
export function toTotals({ net, tax, gross }: Sums): MaesnFields {
  return {
    totalDiscountAmount: 0,
    totalDiscountPercentage: 0,
    totalGrossAmount: gross,
    totalNetAmount: net,
    totalTaxAmount: tax,
  };
}

/** A line as orders and credit notes write it. */
export function toOrderLine(position: Position, context: RecordContext): MaesnFields {
  return {
    id: position.id,
    createdDate: context.createdDate,
    description: position.product,
    itemId: anyId(context, 'items'),
    itemName: position.product,
    quantity: position.quantity,
    taxCode: position.taxCode,
    taxRatePercentage: position.taxRatePercentage,
    ...toTotals(position),
    unitAmount: position.unitAmount,
    unitDiscountAmount: 0,
    unitDiscountPercentage: 0,
    unitName: position.unitName,
    updatedDate: context.updatedDate,
  };
}

/** A line as bills and vendor credits write it. */
export function toPurchaseLine(position: Position, context: RecordContext): MaesnFields {
  return {
    ...toOrderLine(position, context),
    accountId: anyId(context, 'accounts'),
    accountNumber: context.draw.pick(LEDGER).number,
    deferredEndDate: null,
    deferredStartDate: null,
    dimensions: [{ name: 'Vertrieb', categoryName: 'Kostenstelle' }],
  };
}

/** A line as offers write it. */
export function toOfferLine(position: Position, context: RecordContext): MaesnFields {
  const { itemName, ...line } = toOrderLine(position, context);
  return {
    ...line,
    accountCode: context.draw.pick(LEDGER).number,
    accountId: anyId(context, 'accounts'),
    name: itemName,
    taxType: 'NET',
    type: 'ITEM',
  };
}

/** A line as invoices write it. */
export function toInvoiceLine(position: Position, context: RecordContext): MaesnFields {
  return {
    lineItemId: position.id,
    accountId: anyId(context, 'accounts'),
    createdDate: context.createdDate,
    description: null,
    dimensions: [],
    discountItemAmount: 0,
    discountItemPercentage: 0,
    grossAmount: position.gross,
    itemsAmount: position.net,
    itemId: anyId(context, 'items'),
    name: position.product,
    quantity: position.quantity,
    taxCode: position.taxCode,
    taxRatePercentage: position.taxRatePercentage,
    unitAmount: position.unitAmount,
    updatedDate: context.updatedDate,
  };
}
