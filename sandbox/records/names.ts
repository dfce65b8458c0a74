/** Invented people and firms; the streets and towns exist. Umlauts on purpose: they are where encodings break. */

export const FIRMS = [
  'Bäckerei Müller GmbH',
  'Tischlerei Brandt GmbH',
  'Weingut Höfer KG',
  'Elektro Schäfer GmbH',
  'Brauhaus am Fluß OHG',
  'Nordlicht Logistik GmbH',
  'Kräuterhof Jansen e.K.',
  'Atelier Girard SARL',
  'Alpenblick Hotel AG',
  'De Vries Bloemen B.V.',
  'Papierfabrik Öhler GmbH & Co. KG',
  'Optik Wójcik GmbH',
  'Metallbau Çelik GmbH',
  'Studio Bianchi S.r.l.',
  'Hansen & Søn ApS',
  'Zahnlabor Grünwald GmbH',
] as const;

export const FIRST_NAMES = [
  'Anna',
  'Jörg',
  'Elif',
  'Matteo',
  'Sophie',
  'Björn',
  'Zoë',
  'Paweł',
  'Inês',
  'Karl',
] as const;

export const LAST_NAMES = [
  'Krüger',
  'Öztürk',
  'Lefèvre',
  'Weiß',
  'Jansen',
  'Nowak',
  'Rossi',
  'Møller',
  'Huber',
] as const;

export const PLACES = [
  { street: 'Torstraße', postalCode: '10119', city: 'Berlin', countryCode: 'DE' },
  { street: 'Lange Reihe', postalCode: '20099', city: 'Hamburg', countryCode: 'DE' },
  { street: 'Sendlinger Straße', postalCode: '80331', city: 'München', countryCode: 'DE' },
  { street: 'Ehrenstraße', postalCode: '50672', city: 'Köln', countryCode: 'DE' },
  { street: 'Mariahilfer Straße', postalCode: '1060', city: 'Wien', countryCode: 'AT' },
  { street: 'Langstrasse', postalCode: '8004', city: 'Zürich', countryCode: 'CH' },
  { street: 'Prinsengracht', postalCode: '1017 KD', city: 'Amsterdam', countryCode: 'NL' },
  { street: 'Rue des Écoles', postalCode: '75005', city: 'Paris', countryCode: 'FR' },
] as const;

export const PRODUCTS = [
  'Beratung',
  'Wartung Heizungsanlage',
  'Kaffeebohnen Äthiopien',
  'Druckerpapier A4',
  'Schreibtisch Eiche',
  'Lieferpauschale',
  'Softwarelizenz',
  'Montage',
  'Fliesen 30 × 60 cm',
  'Übersetzung',
] as const;

/** Unit codes of Maesn's items. */
export const UNITS = ['PIECE', 'HOUR', 'DAY', 'KILOGRAM', 'PACK', 'METRE', 'MONTH'] as const;

/** Accounts of the German chart SKR03. */
export const LEDGER = [
  { number: '8400', name: 'Erlöse 19 % USt', class: 'REVENUE', side: 'CREDIT' },
  { number: '8300', name: 'Erlöse 7 % USt', class: 'REVENUE', side: 'CREDIT' },
  { number: '4930', name: 'Bürobedarf', class: 'EXPENSE', side: 'DEBIT' },
  { number: '4210', name: 'Miete', class: 'EXPENSE', side: 'DEBIT' },
  { number: '3400', name: 'Wareneingang 19 % Vorsteuer', class: 'EXPENSE', side: 'DEBIT' },
  { number: '1200', name: 'Bank', class: 'ASSET', side: 'DEBIT' },
  { number: '1400', name: 'Forderungen aus Lieferungen und Leistungen', class: 'ASSET', side: 'DEBIT' },
  { number: '1600', name: 'Verbindlichkeiten aus Lieferungen und Leistungen', class: 'LIABILITY', side: 'CREDIT' },
  { number: '0800', name: 'Gezeichnetes Kapital', class: 'EQUITY', side: 'CREDIT' },
] as const;

export const TAXES = [
  { code: 'UST19', name: 'Umsatzsteuer 19 %', percentage: 19 },
  { code: 'UST7', name: 'Umsatzsteuer 7 %', percentage: 7 },
  { code: 'FREI', name: 'Steuerfrei', percentage: 0 },
] as const;
