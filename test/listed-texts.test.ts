/** What is cut out of a body instead of being serialised: it must be what was parsed, and what Postgres takes. */
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { parseListAnswer } from '../src/maesn/envelope.js';
import { listedTexts } from '../src/maesn/listed-texts.js';
import { parseRecords } from '../src/maesn/records.js';
import { openTestStore } from './support/store.js';
import type { TestStore } from './support/store.js';
import { beginWalk, savePages } from './support/walks.js';

let test: TestStore;
beforeAll(async () => {
  test = await openTestStore();
  await test.store.connections.add({ connectionId: 'acme', targetSystem: 'xero', accountKey: 'key' }, 'test');
});
afterAll(() => test.store.close());

const textsIn = (body: string) => listedTexts(Buffer.from(body)).map((text) => text?.toString());

describe('the texts of the records of a body', () => {
  it('are those of the elements of `data`, each as it stands there, whatever stands around it', () => {
    const value = fc.jsonValue({ noUnicodeString: false });
    const envelope = fc.record(
      { meta: fc.dictionary(fc.string(), value), data: fc.array(value, { maxLength: 8 }), errors: fc.array(value) },
      { requiredKeys: ['data'] },
    );
    fc.assert(
      fc.property(envelope, fc.constantFrom(0, 1, 3), (given, indent) => {
        const body = JSON.stringify(given, null, indent);
        const texts = textsIn(body);
        // An empty list with white space in it is none either.
        expect(given.data.length === 0 ? [] : texts).toHaveLength(given.data.length);
        for (const [index, text] of given.data.length === 0 ? [] : texts.entries()) {
          if (text !== undefined) expect(JSON.parse(text)).toEqual(JSON.parse(JSON.stringify(given.data[index])));
        }
      }),
      { numRuns: 300 },
    );
  });

  it.each([
    ['of a list that stands deeper', '{"meta":{"data":[1]},"data":[2]}', ['2']],
    ['of the later of two lists', '{"data":[1,2],"data":[3]}', ['3']],
    [
      'with brackets, quotes and commas in their texts',
      String.raw`{"data":[{"a":"],[\"}"},"\\"]}`,
      [String.raw`{"a":"],[\"}"}`, String.raw`"\\"`],
    ],
    ['none, where there is no list', '{"data":{"taskId":"data"},"errors":["data"]}', []],
    ['none, where a name is written in other letters', String.raw`{"data":[1],"d\u0061ta":[2]}`, []],
    ['with all their digits', '{"data":[12345678901234567890.12]}', ['12345678901234567890.12']],
  ])('are %s', (_, body, texts) => {
    expect(textsIn(body)).toEqual(texts);
  });

  it.each([
    ['a NUL', String.raw`"\u0000"`, false],
    ['half of a surrogate pair', String.raw`"\uD800"`, false],
    ['a letter that is escaped', String.raw`"\u00e9"`, true],
    ['what only looks like an escape', String.raw`"\\u0000"`, true],
    ['an exponent', '1e400', false],
    ['an exponent in capitals', '-1.5E-7', false],
    ['more digits than any amount', '9'.repeat(400), false],
    ['true and false', '[true,false]', true],
  ])('with %s are told from others', (_, element, isKept) => {
    expect(textsIn(`{"data":[${element},{"a":1}]}`)).toEqual([isKept ? element : undefined, '{"a":1}']);
  });

  it('are stored as what they say', async () => {
    const said = fc.string({ unit: 'binary', maxLength: 20 });
    let runs = 0;
    const field = fc.oneof(said, fc.double({ noNaN: true, noDefaultInfinity: true }), fc.jsonValue());
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.record({ name: field, note: field }), { minLength: 1, maxLength: 5 }),
        async (given) => {
          runs += 1;
          const data = given.map((fields, index) => ({ id: `${runs}-${index}`, ...fields }));
          const body = JSON.stringify({ data });
          const answer = parseListAnswer(JSON.parse(body), Buffer.from(body));
          if (answer?.kind !== 'page') throw new Error('no page');
          const of = { connectionId: 'acme', resource: 'items', walkId: String(runs) } as const;
          const records = parseRecords('items', answer, 0);
          await beginWalk(test.store, of);
          await savePages(test.store, { ...of, records });
          const all = await test.store.records.list({ ...of, limit: 1_000 });
          const stored = all.filter(({ key }) => key.startsWith(`${runs}-`));
          for (const { key, record, problems } of stored) {
            const expected: unknown = JSON.parse(JSON.stringify(data.find(({ id }) => id === key)));
            if (problems?.includes('characters that Postgres cannot store were replaced') !== true)
              expect(record).toEqual(expected);
          }
          expect(stored).toHaveLength(data.length);
        },
      ),
      { numRuns: 60 },
    );
  });

  it('keep the digits of an amount', async () => {
    const body = '{"data":[{"id":"exact","price":12345678901234567890.12}]}';
    const answer = parseListAnswer(JSON.parse(body), Buffer.from(body));
    if (answer?.kind !== 'page') throw new Error('no page');
    const of = { connectionId: 'acme', resource: 'items', walkId: 'exact' } as const;
    await beginWalk(test.store, of);
    await savePages(test.store, { ...of, records: parseRecords('items', answer, 0) });
    expect(await test.query(`select record ->> 'price' as price from maesn_sync.records where key = 'exact'`)).toEqual([
      { price: '12345678901234567890.12' },
    ]);
  });
});
