/** What documents refer to: items, units, terms, taxes, projects, dimensions and fiscal years. */
import { anyId } from './context.js';
import type { MaesnFields, RecordContext } from './context.js';
import { toCents } from './draw.js';
import { FIRMS, PRODUCTS, TAXES, UNITS } from './names.js';

export function toItem(context: RecordContext): MaesnFields {
  const { draw, id, n, updatedDate, day } = context;
  const tax = draw.pick(TAXES);
  const purchasePrice = draw.amount(2, 400);
  return {
    id,
    assetAccountId: anyId(context, 'accounts'),
    expenseAccountId: anyId(context, 'accounts'),
    incomeAccountId: anyId(context, 'accounts'),
    inventoryStartDate: day(0),
    itemNumber: `ART-${String(n + 1).padStart(6, '0')}`,
    lastModifiedDate: updatedDate,
    name: draw.pick(PRODUCTS),
    priceIncludesTax: false,
    stockCount: draw.integer(0, 500),
    taxCode: tax.code,
    taxRatePercentage: tax.percentage,
    type: draw.pick(['PRODUCT', 'SERVICE']),
    unitName: draw.pick(UNITS),
    unitPurchasePrice: purchasePrice,
    unitSalesPrice: toCents(purchasePrice * 1.4),
  };
}

export function toUnit({ id, n }: RecordContext): MaesnFields {
  const unit = UNITS[n % UNITS.length] ?? UNITS[0];
  return { id, code: n < UNITS.length ? unit : `${unit}_${n}`, description: unit.toLowerCase(), type: 'QUANTITY' };
}

export function toPaymentTerm({ draw, id, n, createdDate, updatedDate, day }: RecordContext): MaesnFields {
  const paymentDays = draw.pick([7, 14, 30, 60]);
  return {
    id,
    code: `ZB${String(n + 1).padStart(3, '0')}`,
    createdDate,
    description: `Zahlbar innerhalb von ${paymentDays} Tagen`,
    discountDays: 7,
    discountDays2: 0,
    discountPercentage: 2,
    discountPercentage2: 0,
    discountPeriods: [
      { invoiceRange: '1-31', discountDeadline: day(7), discountDeadline2: null, paymentDeadline: day(paymentDays) },
    ],
    dueType: 'DUE_IN_DAYS',
    name: `${paymentDays} Tage netto`,
    paymentDays,
    paymentMethod: 'BANK_TRANSFER',
    updatedDate,
  };
}

export function toTaxRate({ id, n, createdDate, updatedDate }: RecordContext): MaesnFields {
  const tax = TAXES[n % TAXES.length] ?? TAXES[0];
  return {
    id,
    code: n < TAXES.length ? tax.code : `${tax.code}-${n}`,
    createdDate,
    description: tax.name,
    name: tax.name,
    percentage: tax.percentage,
    type: tax.percentage === 0 ? 'NO_TAX' : 'EXCLUSIVE',
    updatedDate,
    usage: 'ALL',
  };
}

export function toProject(context: RecordContext): MaesnFields {
  const { draw, id, n, createdDate, updatedDate, day } = context;
  return {
    id,
    code: `P${String(n + 1).padStart(4, '0')}`,
    createdDate,
    contactId: anyId(context, 'customers'),
    currency: 'EUR',
    description: null,
    endDate: day(180),
    name: `${draw.pick(PRODUCTS)} für ${draw.pick(FIRMS)}`,
    number: String(n + 1),
    parentProjectId: null,
    status: draw.pick(['ACTIVE', 'CLOSED']),
    startDate: day(0),
    updatedDate,
  };
}

export function toDimension({ draw, id, n, createdDate, updatedDate }: RecordContext): MaesnFields {
  return {
    id,
    categoryName: draw.pick(['Kostenstelle', 'Kostenträger']),
    createdDate,
    name: `${draw.pick(['Vertrieb', 'Werkstatt', 'Verwaltung', 'Lager'])} ${n + 1}`,
    status: 'ACTIVE',
    updatedDate,
  };
}

export function toDimensionMeta({ draw, n }: RecordContext): MaesnFields {
  return { description: draw.pick(['Kostenstellen', 'Kostenträger', 'Regionen']), dimension: `KOST${n + 1}` };
}

const LATEST_FISCAL_YEAR = 2025;

export function toFiscalYear({ id, n, createdDate, updatedDate }: RecordContext): MaesnFields {
  const year = LATEST_FISCAL_YEAR - n;
  return {
    id,
    accountNumberLength: 4,
    chartOfAccount: 'SKR03',
    createdDate,
    description: `Wirtschaftsjahr ${year}`,
    endDate: `${year}-12-31`,
    startDate: `${year}-01-01`,
    status: n === 0 ? 'OPEN' : 'CLOSED',
    updatedDate,
  };
}
