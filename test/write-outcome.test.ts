/** What is concluded from what the target system holds, when nobody has said whether a write was applied. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { compare, judgeChanged, judgeCreated } from '../src/spec/write-outcome.js';
import type { CreatedEvidence, Fields } from '../src/spec/write-outcome.js';
import { pollDelayMs, taskMeans, writeFailureMeans } from '../src/spec/write-steps.js';
import {
  WRITE_OPERATIONS,
  naturalKeyOf,
  pathParameters,
  writePath,
  writeRow,
  writeSubject,
} from '../src/spec/writes.js';

const INVOICE = { invoiceNumber: 'R-1', name: 'Chairs', totalGrossAmount: 119 };
const evidence = (about: Partial<CreatedEvidence> = {}): CreatedEvidence => ({
  wanted: INVOICE,
  naturalKey: 'invoiceNumber',
  candidates: [],
  isAnothers: () => false,
  rivals: [],
  ...about,
});
const outcomeOf = (about: Partial<CreatedEvidence>) => judgeCreated(evidence(about)).outcome;

describe('a comparison', () => {
  it.each<[string, unknown, unknown, string]>([
    ['the same', INVOICE, { ...INVOICE, invoiceId: 'x' }, 'same'],
    ['of which something is not shown', INVOICE, { invoiceNumber: 'R-1', name: null }, 'compatible'],
    ['of which something is another', INVOICE, { ...INVOICE, name: 'Tables' }, 'different'],
    ['rounded', { amount: 1.0049 }, { amount: 1 }, 'same'],
    ['another amount', { amount: 1.01 }, { amount: 1 }, 'different'],
    ['an amount as text', { amount: 12.5 }, { amount: '12.50' }, 'same'],
    ['a day', { date: '2026-01-31' }, { date: '2026-01-31T00:00:00.000Z' }, 'same'],
    ['another day', { date: '2026-01-31' }, { date: '2026-02-01T00:00:00.000Z' }, 'different'],
    ['lists', { lines: [{ quantity: 1 }] }, { lines: [{ quantity: 1, id: 'a' }] }, 'same'],
    ['a longer list', { lines: [{ quantity: 1 }] }, { lines: [{ quantity: 1 }, { quantity: 1 }] }, 'different'],
    ['an object and a text', { contact: { name: 'a' } }, { contact: 'a' }, 'different'],
    ['what was left empty', { name: null }, { name: 'a' }, 'same'],
  ])('of %s', (_, wanted, found, expected) => {
    expect(compare(wanted, found)).toBe(expected);
  });

  it('of a thing with itself is the same', () => {
    const value = fc.jsonValue().filter((json) => !JSON.stringify(json).includes('null'));
    fc.assert(
      fc.property(fc.dictionary(fc.string(), value), (fields) => {
        expect(compare(fields, { ...fields })).toBe('same');
      }),
    );
  });
});

describe('a record that was to be created', () => {
  it('is applied when it is there, once, under its natural key', () => {
    expect(judgeCreated(evidence({ candidates: [{ ...INVOICE, invoiceId: '1' }, { invoiceNumber: 'R-2' }] }))).toEqual({
      outcome: 'applied',
      record: { ...INVOICE, invoiceId: '1' },
    });
  });

  it('is not applied when nothing like it is there', () => {
    expect(outcomeOf({ candidates: [] })).toBe('not applied');
    expect(outcomeOf({ candidates: [{ invoiceNumber: 'R-2', name: 'Chairs', totalGrossAmount: 119 }] })).toBe(
      'not applied',
    );
  });

  it.each<[string, Partial<CreatedEvidence>]>([
    ['twice', { candidates: [INVOICE, INVOICE] }],
    ['with other fields', { candidates: [{ ...INVOICE, totalGrossAmount: 1 }] }],
    ['as that of another', { candidates: [INVOICE], isAnothers: () => true }],
    ['and may be that of a rival', { candidates: [INVOICE], rivals: [{ name: 'Chairs' }] }],
    ['and not all of it is shown, without a natural key', { naturalKey: undefined, candidates: [{ name: 'Chairs' }] }],
  ])('is undecided when it is there %s', (_, about) => {
    expect(outcomeOf(about)).toBe('undecided');
  });

  it('is never taken for applied when every candidate is another’s or differs', () => {
    const candidate = fc.record({
      invoiceNumber: fc.constantFrom('R-1', 'R-2'),
      name: fc.constantFrom('Tables', 'Beds'),
    });
    fc.assert(
      fc.property(fc.array(candidate), fc.boolean(), (candidates, hasKey) => {
        expect(outcomeOf({ candidates, naturalKey: hasKey ? 'invoiceNumber' : undefined })).not.toBe('applied');
      }),
    );
  });
});

describe('a record that was to be changed', () => {
  const changed = (method: 'PUT' | 'PATCH' | 'DELETE', record: Fields | undefined) =>
    judgeChanged({ method, wanted: { name: 'Beds' }, record }).outcome;

  it('is judged by how it is now', () => {
    expect(changed('PATCH', { name: 'Beds' })).toBe('applied');
    expect(changed('PATCH', { name: 'Chairs' })).toBe('not applied');
    expect(changed('PUT', {})).toBe('undecided');
    expect(changed('PUT', undefined)).toBe('undecided');
    expect(changed('DELETE', undefined)).toBe('applied');
    expect(changed('DELETE', { name: 'Chairs' })).toBe('not applied');
  });
});

describe('an answer', () => {
  it.each([
    [{ type: 'Unauthorized', status: 401 }, 'reauthorize'],
    [{ type: 'TooManyRequests', status: 429 }, 'again'],
    [{ type: 'NoResponse', neverSent: true }, 'again'],
    [{ type: 'ErrorBudgetSpent' }, 'again'],
    [{ type: 'BadRequest', status: 400 }, 'refused'],
    [{ type: 'ClientError', status: 409 }, 'refused'],
    [{ type: 'InternalServerError', status: 500 }, 'unknown'],
    [{ type: 'ServerError', status: 502 }, 'unknown'],
    [{ type: 'NoResponse' }, 'unknown'],
    [{ type: 'InvalidResponse', status: 200 }, 'unknown'],
    [{ type: 'InvalidResponse', status: 302 }, 'unknown'],
  ] as const)('%j means %s', (failure, means) => {
    expect(writeFailureMeans(failure)).toBe(means);
  });

  it.each([
    ['OPEN', 'running'],
    ['IN_PROGRESS', 'running'],
    ['CANCEL_FAILED', 'running'],
    [null, 'running'],
    ['SOMETHING_NEW', 'running'],
    ['toString', 'running'],
    ['FINISHED', 'applied'],
    ['SUCCESS', 'applied'],
    ['PARTIAL_SUCCESS', 'partly applied'],
    ['FAILED', 'refused'],
    ['CANCELLED_SUCCESSFULLY', 'refused'],
    ['DELETED', 'refused'],
  ] as const)('of a task, %s, means %s', (status, means) => {
    expect(taskMeans(status)).toBe(means);
  });

  it('is asked for in growing intervals', () => {
    expect([1, 2, 3, 10, 1_000].map(pollDelayMs)).toEqual([2_000, 4_000, 8_000, 1_024_000, 3_600_000]);
  });
});

describe('the table of operations', () => {
  it('names parameters, forms and keys that belong together', () => {
    for (const operation of WRITE_OPERATIONS) {
      const { method, body, part, files, lookUp, resource } = writeRow(operation);
      expect(method === 'POST' || pathParameters(operation).length > 0, operation).toBe(true);
      expect(body === 'form' || (part === undefined && files === undefined), operation).toBe(true);
      expect(lookUp?.by !== 'list' || lookUp.resource === resource, operation).toBe(true);
    }
  });

  it('puts parameters into paths, where they lead nowhere else', () => {
    expect(writePath('deleteBill', { billId: '../1' })).toBe('/accounting/bills/..%2F1');
    expect(writePath('patchInvoiceLineItem', { invoiceId: '$&', lineItemId: 'b' })).toBe(
      '/accounting/invoices/%24%26/lineItems/b',
    );
  });

  it('orders writes of the same record, and tells others apart', () => {
    const subject = (operation: Parameters<typeof writeSubject>[0], parameters = {}, body = {}) =>
      writeSubject(operation, parameters, naturalKeyOf(operation, body));
    expect(subject('updateBill', { billId: '1' })).toBe(subject('createBillLineItem', { billId: '1' }));
    expect(subject('updateBill', { billId: '1' })).not.toBe(subject('deleteBill', { billId: '2' }));
    expect(subject('createBill', {}, { billNumber: 'A' })).not.toBe(subject('createBill', {}, { billNumber: 'B' }));
    expect(subject('createBill')).toBe(subject('createBill', {}, { name: 'x' }));
    expect(subject('createExpense', {}, { expense: { documentId: 'A' } })).toBe(
      subject('createExpenseAsync', {}, { expense: { documentId: 'A' } }),
    );
  });
});
