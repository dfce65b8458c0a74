/**
 * The fields of every resource's records, in Maesn's words and order: `name`, `name:type` (without a type it is text) or
 * `object.name`. The check of a record and the views are made of it; a change of it needs a migration, see CONTRIBUTING.md.
 * Source: Maesn's API document (`npm run compare-openapi`), which calls every date a string: that `createdDate`,
 * `updatedDate` and `lastModifiedDate` are times, and all others days, is read from what they are about.
 */
import { RESOURCE_NAMES } from './resources.js';
import type { Resource } from './resources.js';

export const COLUMN_TYPES = ['text', 'numeric', 'boolean', 'timestamp', 'date', 'json'] as const;

export type ColumnType = (typeof COLUMN_TYPES)[number];

export interface Column {
  /** In the record: `['openBalance', 'amount']`. */
  readonly path: readonly [string, ...string[]];
  /** In the view: `open_balance_amount`. */
  readonly name: string;
  readonly type: ColumnType;
}

/** What bills, offers, orders and their lines are totalled in. */
const TOTALS = `totalDiscountAmount:numeric totalDiscountPercentage:numeric totalGrossAmount:numeric totalNetAmount:numeric
  totalTaxAmount:numeric`;

const CONTACT = `
    id addresses:json companyName contactPersons:json contactType createdDate:timestamp emailAddresses:json
    isCustomer:boolean isSupplier:boolean number phoneNumbers:json projectId updatedDate:timestamp website`;

const BUSINESS_PARTNER = `
    id addresses:json accountNumber:numeric bankAccounts:json companyName contactPersons:json contactType documentId
    emailAddresses:json number phoneNumbers:json projectId role updatedDate:timestamp vatId`;

const ORDER_LINE_ITEM = `
    id itemId createdDate:timestamp description itemName quantity:numeric taxCode taxRatePercentage:numeric ${TOTALS}
    unitAmount:numeric unitDiscountAmount:numeric unitDiscountPercentage:numeric unitName updatedDate:timestamp`;

export const COLUMNS: Readonly<Record<Resource, string>> = {
  accounts: `
    id balance:numeric class code createdDate:timestamp currency debitCreditIndicator description name number
    parentAccountId status type updatedDate:timestamp`,
  bankAccounts: `
    id balance:numeric bankName bic createdDate:timestamp currency description fileType iban name number system
    status type updatedDate:timestamp`,
  bills: `
    id accountId addresses:json billDate:date billNumber contactId createdDate:timestamp currency deliveryDate:date
    dueDate:date fileId journalCode lineItems:json name oneLineAddress paidDate:date paymentReference
    paymentTermCode paymentStatus paymentDays:numeric reference shippingDate:date shippingType status taxRule
    taxText ${TOTALS} updatedDate:timestamp`,
  bookingProposals: `
    id accountName addresses:json bankAccountId bankAccountNumber:numeric bankCode bic bookingProposalDate:date
    bookingType contactAccountNumber:numeric contactId contactName createdDate:timestamp currency deliveryDate:date
    discountPaymentDate:date discountPaymentDate2:date dueDate:date files:json journalCode iban
    isPaymentOrder:boolean ledgerName lineItems:json notes number orderId paidDate:date paymentTermsId status taskId
    totalGrossAmount:numeric updatedDate:timestamp vatId`,
  contacts: CONTACT,
  contactsV2: CONTACT,
  creditNotes: `
    id addresses:json contactId createdDate:timestamp creditNoteDate:date creditNoteLines:json creditNoteNumber
    currency paymentStatus paymentTermId reference status ${TOTALS} updatedDate:timestamp`,
  customers: BUSINESS_PARTNER,
  dimensions: 'id categoryName createdDate:timestamp name status updatedDate:timestamp',
  dimensionsV2: 'description dimension',
  expenses: `
    id accountCode accountId accountNumber:numeric createdDate:timestamp currency customerId description documentId
    exchangeRate expenseLines:json files:json journalCode ledgerName note paymentTermId paymentType supplierId
    taskId type totalGrossAmount:numeric totalNetAmount:numeric totalTaxAmount:numeric transactionDate:date
    updatedDate:timestamp`,
  fiscalYears: `
    id accountNumberLength:numeric chartOfAccount createdDate:timestamp description endDate:date startDate:date
    status updatedDate:timestamp`,
  goodsReceipts: `
    id comment createdDate:timestamp description lineItems:json reference supplierId updatedDate:timestamp`,
  invoices: `
    invoiceId addresses:json contactId createdDate:timestamp currency discountAmount:numeric dueDate:date fileId
    invoiceDate:date invoiceNumber invoiceType journalCode lineAmountTypes lineItems:json name oneLineAddress
    paidDate:date paymentStatus paymentTermDuration:numeric paymentTermId reference shippingDate:date status
    sumNetAmount:numeric taxRule totalAmount:numeric totalTaxAmount:numeric updatedDate:timestamp`,
  items: `
    id assetAccountId expenseAccountId incomeAccountId inventoryStartDate:date itemNumber lastModifiedDate:timestamp
    name priceIncludesTax:boolean stockCount:numeric taxCode taxRatePercentage:numeric type unitName
    unitPurchasePrice:numeric unitSalesPrice:numeric`,
  journalEntries: `
    id accountId accountingPeriodId createdDate:timestamp currency debitCreditIndicator deliveryDate:date
    description documentId dueDate:date exchangeRate files:json isProvisional:boolean journalCode
    journalLineItems:json journalType number taxAssignmentDate:date transactionDate:date updatedDate:timestamp`,
  journals: 'id accountId code createdDate:timestamp currency description type updatedDate:timestamp',
  offers: `
    id addresses:json contactId createdDate:timestamp currency lineItems:json name offerDate:date offerNumber
    oneLineAddress reference status taxText ${TOTALS} updatedDate:timestamp`,
  openItems: `
    id accountId accountName accountNumber createdDate:timestamp currency documentNumber entries:json
    openBalance.amount:numeric openBalance.debitCreditIndicator postingDate:date totalCreditAmount:numeric
    totalDebitAmount:numeric type updatedDate:timestamp`,
  paymentTerms: `
    id code createdDate:timestamp description discountDays:numeric discountDays2:numeric discountPercentage:numeric
    discountPercentage2:numeric discountPeriods:json dueType name paymentDays:numeric paymentMethod
    updatedDate:timestamp`,
  payments: `
    id currency createdDate:timestamp documentType exchangeRate:numeric journalCode updatedDate:timestamp
    paymentType paymentLines:json`,
  projects: `
    id code createdDate:timestamp contactId currency description endDate:date name number parentProjectId status
    startDate:date updatedDate:timestamp`,
  purchaseOrders: `
    id addresses:json approvalDate:date comment createdDate:timestamp currency description lineItems:json
    orderDate:date paymentTermId reference status supplierId ${TOTALS} updatedDate:timestamp`,
  salesOrders: `
    id addresses:json billingContactId comment contactId createdDate:timestamp currency deliveryDate:date
    lineItems:json oneLineAddress orderDate:date projectId shippingContactId status taskId ${TOTALS}
    updatedDate:timestamp`,
  suppliers: BUSINESS_PARTNER,
  taxRates: 'id code createdDate:timestamp description name percentage:numeric type updatedDate:timestamp usage',
  trialBalance: `
    accountCode accountName accountNumber balance.amount:numeric balance.debitCreditIndicator createdDate:timestamp
    monthlyValues:json openingBalance.amount:numeric openingBalance.debitCreditIndicator totalCreditAmount:numeric
    totalDebitAmount:numeric updatedDate:timestamp`,
  units: 'id code description type',
  vendorCredits: `
    id accountId addresses:json contactId createdDate:timestamp currency deliveryDate:date dueDate:date fileId
    journalCode lineItems:json name oneLineAddress paidDate:date paymentReference paymentTermId paymentStatus
    paymentDays:numeric reference shippingDate:date shippingType status taxRule taxText ${TOTALS}
    updatedDate:timestamp vendorCreditDate:date vendorCreditNumber`,
  billLineItems: `
    id accountId accountNumber createdDate:timestamp deferredEndDate:date deferredStartDate:date description
    dimensions:json itemId itemName quantity:numeric taxCode taxRatePercentage:numeric ${TOTALS} unitAmount:numeric
    unitDiscountAmount:numeric unitDiscountPercentage:numeric unitName updatedDate:timestamp`,
  dimensionValuesV2: 'id code createdDate:timestamp description dimension name status updatedDate:timestamp',
  goodsReceiptLineItems: `
    id createdDate:timestamp description itemId itemName projectId purchaseOrderId quantityOrdered:numeric
    quantityReceived:numeric updatedDate:timestamp`,
  invoiceLineItems: `
    lineItemId accountId createdDate:timestamp description dimensions:json discountItemAmount:numeric
    discountItemPercentage:numeric grossAmount:numeric itemsAmount:numeric itemId name quantity:numeric taxCode
    taxRatePercentage:numeric unitAmount:numeric updatedDate:timestamp`,
  offerLineItems: `
    id accountCode accountId createdDate:timestamp description itemId name quantity:numeric taxCode
    taxRatePercentage:numeric taxType type ${TOTALS} unitAmount:numeric unitDiscountAmount:numeric
    unitDiscountPercentage:numeric unitName updatedDate:timestamp`,
  purchaseOrderLineItems: ORDER_LINE_ITEM,
  salesOrderLineItems: ORDER_LINE_ITEM,
};

const FIELD = /^([A-Za-z0-9.]+)(?::([a-z]+))?$/;

const PARSED: ReadonlyMap<Resource, readonly Column[]> = new Map(
  RESOURCE_NAMES.map((resource) => [resource, COLUMNS[resource].trim().split(/\s+/).map(toColumn)]),
);

export function columnsOf(resource: Resource): readonly Column[] {
  return PARSED.get(resource) ?? [];
}

/** The view of a resource: `contacts_v2`. */
export function viewName(resource: Resource): string {
  return toSnakeCase(resource);
}

function toColumn(field: string): Column {
  const [, dotted = '', type = 'text'] = FIELD.exec(field) ?? [];
  const [first = '', ...rest] = dotted.split('.');
  if (first === '' || !isColumnType(type)) throw new TypeError(`${field} is not a column`);
  const path = [first, ...rest] as const;
  return { path, name: path.map(toSnakeCase).join('_'), type };
}

function isColumnType(text: string): text is ColumnType {
  return COLUMN_TYPES.some((type) => type === text);
}

function toSnakeCase(name: string): string {
  return name.replaceAll(/(?<=[a-z0-9])[A-Z]/g, (capital) => `_${capital}`).toLowerCase();
}
