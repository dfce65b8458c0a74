import { ApplicationFailure, CancelledFailure } from '@temporalio/activity';
import { describe, expect, it } from 'vitest';
import { safeReason, safely, toApplicationFailure } from '../src/activities/failure.js';
import { MaesnError } from '../src/maesn/failure.js';
import { FAILURE_TYPES, errorRule } from '../src/spec/error-guide.js';
import { openTestStore } from './support/store.js';

const about = { failureCount: 1, retries: 0, page: 12, timeScale: 1 };
const failed = { request: 'GET /accounting/invoices', reason: 'answered 500' };

describe('a failure of Maesn', () => {
  it.each(FAILURE_TYPES)('%s is retried exactly when the guide says so, and says when', (type) => {
    const failure = toApplicationFailure({ ...failed, type }, about);
    const retried = errorRule(type).action === 'retry';
    expect(failure.type).toBe(type);
    expect(failure.nonRetryable).toBe(!retried);
    expect(failure.nextRetryDelay !== undefined).toBe(retried);
    expect(failure.message).toContain(`GET /accounting/invoices, page 12, answered 500`);
    expect(failure.message).toContain(
      retried ? ', for the first time in a row; the next attempt is in ' : ', and is not retried.',
    );
    expect(failure.message).toContain(errorRule(type).advice);
  });

  it('is given up when the guide’s number of failures in a row is reached', () => {
    const failure = toApplicationFailure({ ...failed, type: 'InternalServerError' }, { ...about, failureCount: 12 });
    expect(failure.nonRetryable).toBe(true);
    expect(failure.message).toContain(' 12 times in a row, and is given up.');
  });

  it('keeps of what was said as much as Temporal keeps, and the target system’s words first', () => {
    const errors = Array.from({ length: 50 }, (_, index) => ({ index, text: 'ä'.repeat(100) }));
    const downstreamErrors = ['invalid GL account', 'x'.repeat(5_000)];
    const { details } = toApplicationFailure({ ...failed, type: 'BadRequest', errors, downstreamErrors }, about);
    const json = JSON.stringify(details?.[0]);
    expect(Buffer.byteLength(json)).toBeLessThan(3_072);
    expect(json).toContain('invalid GL account');
    expect(json).toContain('…');
  });
});

describe('an error of ours', () => {
  it('tells a failed statement’s code and none of its parameters', async () => {
    const { store } = await openTestStore();
    const add = store.events.add({
      connectionId: 'missing-connection',
      type: 'connection.reauthorized',
      occasion: 'secret occasion',
    });
    const error: unknown = await add.catch((thrown: unknown) => thrown);
    await store.close();
    expect(String(error)).toContain('secret occasion');
    expect(safeReason(error)).toBe('The store failed with 23503');
    const failing = (thrown: Error) => safely(() => Promise.reject(thrown))({ connectionId: 'missing-connection' });
    const busy = Object.assign(new Error('secret occasion'), { code: '53300' });
    await expect(failing(busy)).rejects.toMatchObject({ type: 'Unexpected', message: 'The store failed with 53300' });
    // Every foreign key leads to a connection: that it is broken says that the connection is gone.
    const gone = { type: 'ConnectionNotFound', nonRetryable: true, message: expect.not.stringContaining('secret') };
    await expect(failing(error instanceof Error ? error : busy)).rejects.toMatchObject(gone);
  });

  it('that is in Temporal’s terms already passes as it is', async () => {
    for (const error of [ApplicationFailure.nonRetryable('x'), new CancelledFailure('x')]) {
      await expect(safely(() => Promise.reject(error))({ connectionId: 'a' })).rejects.toBe(error);
    }
    expect(safeReason(new MaesnError({ ...failed, type: 'NoResponse' }))).toContain('GET /accounting/invoices');
    expect(safeReason('text')).toBe('An unknown error');
  });
});
