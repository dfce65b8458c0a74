/**
 * Compares the tables of resources, columns and writes with Maesn's API document:
 * `npm run compare-openapi -- path/to/openapi.yaml` (or JSON). Exits with 1 on a difference that nobody has explained, or an
 * explanation that explains nothing any more.
 */
import { readFile } from 'node:fs/promises';
import { parse } from 'yaml';
import { CHILD_RESOURCES } from '../src/spec/resources.js';
import { differences, openApi } from './openapi-differences.js';
import { writeApi, writeDifferences } from './write-differences.js';

const LINE_ITEMS_WHOLE = 'the children of a parent are always asked for as a whole, so that what is gone is noticed';
const VALUES =
  'the document gives the values the fields of the dimensions; a schema with the fields of values is there, and unused';

const OWN_SUBSCRIPTIONS = 'webhooks are asked for under /webhooks, by maesn-sync itself';

const ONE_RECORD = 'one record, which the document calls a list';

/** Where we differ on purpose. */
const EXPLAINED: Readonly<Record<string, string>> = {
  ...Object.fromEntries(
    CHILD_RESOURCES.filter((resource) => resource !== 'billLineItems').map((resource) => [
      `${resource}: lastModifiedAt: understood`,
      LINE_ITEMS_WHOLE,
    ]),
  ),
  'trialBalance: lastModifiedAt: understood':
    'without keys, an increment of a statement over all accounts would mean nothing',
  ...Object.fromEntries(['id', 'updatedDate'].map((field) => [`dimensionValuesV2: no field ${field}`, VALUES])),
  ...Object.fromEntries(
    ['id', 'code', 'createdDate', 'name', 'status', 'updatedDate'].map((field) => [
      `dimensionValuesV2: column ${field}: not documented`,
      VALUES,
    ]),
  ),
  'not ours: /accounting/files/documentTypes': 'what files may be, not a collection of the books',
  'not ours: /accounting/fiscalYears/{}': ONE_RECORD,
  'not ours: /accounting/items/{}': ONE_RECORD,
  'not ours: /accounting/journalEntries/{}/Attachments': 'files are not synced',
  'not ours: POST /accounting/passThrough': 'any request to the target system, not a record of the books',
  'not ours: POST /accounting/event-subscriptions': OWN_SUBSCRIPTIONS,
  'not ours: DELETE /accounting/event-subscriptions/{eventSubscriptionId}': OWN_SUBSCRIPTIONS,
};

const [file] = process.argv.slice(2);
if (file === undefined) throw new Error('Name the document: npm run compare-openapi -- path/to/openapi.yaml');
// JSON is YAML.
const document: unknown = parse(await readFile(file, 'utf8'));
const found = [...differences(openApi.parse(document)), ...writeDifferences(writeApi.parse(document))];
const unexplained = found.filter((difference) => !Object.hasOwn(EXPLAINED, difference));
const idle = Object.keys(EXPLAINED).filter((difference) => !found.includes(difference));
for (const difference of found)
  console.log(
    `${difference}${Object.hasOwn(EXPLAINED, difference) ? ` (${EXPLAINED[difference] ?? ''})` : '  <-- NOT EXPLAINED'}`,
  );
for (const difference of idle) console.log(`${difference}  <-- EXPLAINED, BUT NO LONGER THERE`);
console.log(`${found.length} differences, ${unexplained.length} not explained, ${idle.length} explanations too many.`);
process.exitCode = unexplained.length + idle.length === 0 ? 0 : 1;
