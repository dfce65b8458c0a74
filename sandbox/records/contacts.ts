import { anyId } from './context.js';
import type { MaesnFields, RecordContext } from './context.js';
import type { Draw } from './draw.js';
import { FIRMS, FIRST_NAMES, LAST_NAMES, PLACES } from './names.js';

/** An address as all of Maesn's schemas write it. */
export function toAddress(draw: Draw, type: 'BILLING' | 'DELIVERY'): MaesnFields {
  const place = draw.pick(PLACES);
  return {
    addressLine1: `${place.street} ${draw.integer(1, 180)}`,
    addressLine2: null,
    city: place.city,
    countryCode: place.countryCode,
    postalCode: place.postalCode,
    type,
  };
}

export function toOneLineAddress(draw: Draw): string {
  const place = draw.pick(PLACES);
  return `${draw.pick(FIRMS)}, ${place.street} ${draw.integer(1, 180)}, ${place.postalCode} ${place.city}`;
}

export function toIban(draw: Draw): string {
  return `DE${draw.digits(2)}${draw.digits(18)}`;
}

export const BICS = ['COBADEFFXXX', 'DEUTDEFF', 'GENODEF1M06', 'INGDDEFFXXX'] as const;

function toPerson(draw: Draw): MaesnFields {
  return {
    emailAddresses: [{ email: `kontakt${draw.integer(1, 99)}@firma.example`, type: 'BUSINESS' }],
    firstName: draw.pick(FIRST_NAMES),
    lastName: draw.pick(LAST_NAMES),
    phoneNumbers: [{ number: `+49 30 ${draw.digits(7)}`, type: 'OFFICE' }],
    salutation: draw.pick(['Frau', 'Herr', null]),
  };
}

type Role = 'CUSTOMER' | 'SUPPLIER';

/** Debtors start at 10000 and creditors at 70000, as DATEV numbers them. */
const FIRST_NUMBER = { CUSTOMER: 10_000, SUPPLIER: 70_000 } as const satisfies Record<Role, number>;

function toBusinessPartner(role: Role, context: RecordContext): MaesnFields {
  const { draw, id, n, updatedDate } = context;
  const number = FIRST_NUMBER[role] + n;
  const name = draw.pick(FIRMS);
  return {
    id,
    addresses: [toAddress(draw, 'BILLING')],
    accountNumber: number,
    bankAccounts: [
      {
        bic: draw.pick(BICS),
        holder: name,
        isMainAccount: true,
        iban: toIban(draw),
        name: 'Geschäftskonto',
        sepa: true,
      },
    ],
    companyName: name,
    contactPersons: [toPerson(draw)],
    contactType: 'COMPANY',
    documentId: null,
    emailAddresses: [{ email: `buchhaltung${number}@firma.example`, type: 'INVOICE' }],
    number: String(number),
    phoneNumbers: [{ number: `+49 40 ${draw.digits(7)}`, type: 'LANDLINE' }],
    projectId: null,
    role,
    updatedDate,
    vatId: `DE${draw.digits(9)}`,
  };
}

export function toCustomer(context: RecordContext): MaesnFields {
  return toBusinessPartner('CUSTOMER', context);
}

export function toSupplier(context: RecordContext): MaesnFields {
  return toBusinessPartner('SUPPLIER', context);
}

export function toContact(context: RecordContext): MaesnFields {
  const { draw, id, n, createdDate, updatedDate } = context;
  const isCustomer = draw.fraction() < 0.7;
  return {
    id,
    addresses: [toAddress(draw, 'BILLING'), toAddress(draw, 'DELIVERY')],
    companyName: draw.pick(FIRMS),
    contactPersons: [{ id: `${id}-1`, ...toPerson(draw) }],
    contactType: 'COMPANY',
    createdDate,
    emailAddresses: [{ email: `office${n + 1}@firma.example`, type: 'OFFICE' }],
    isCustomer,
    isSupplier: !isCustomer || draw.fraction() < 0.1,
    number: String(10_000 + n),
    phoneNumbers: [{ number: `+49 89 ${draw.digits(7)}`, type: 'OFFICE' }],
    projectId: anyId(context, 'projects'),
    updatedDate,
    website: `https://firma${n + 1}.example`,
  };
}
