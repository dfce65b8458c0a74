import { describe, expect, it } from 'vitest';
import { ERROR_GUIDE, FAILURE_TYPES, classifyStatus, errorRule } from '../src/spec/error-guide.js';
import type { Action } from '../src/spec/error-guide.js';
import { NON_RETRYABLE_ERROR_TYPES } from '../src/spec/retry.js';

describe('classifyStatus', () => {
  it.each(FAILURE_TYPES)('%s is the type of each of its single statuses', (type) => {
    const single = errorRule(type).statuses.filter((status) => typeof status === 'number');
    expect(single.map(classifyStatus)).toEqual(single.map(() => type));
  });

  it('gives every status of an HTTP answer exactly one type', () => {
    const statuses = Array.from({ length: 500 }, (_, index) => index + 100);
    expect(statuses.filter((status) => !Object.hasOwn(ERROR_GUIDE, classifyStatus(status)))).toEqual([]);
  });

  it.each([402, 406, 409, 410, 418, 422, 428, 430, 451, 499])('%d is a ClientError: not retried', (status) => {
    expect(classifyStatus(status)).toBe('ClientError');
  });

  it.each([501, 502, 503, 504, 529, 599])('%d is a ServerError: retried like a 500', (status) => {
    expect(classifyStatus(status)).toBe('ServerError');
    expect(ERROR_GUIDE.ServerError.initialIntervalMs).toEqual(ERROR_GUIDE.InternalServerError.initialIntervalMs);
  });

  it.each([301, 302, 304, 999, 0, Number.NaN])('%d is an answer that cannot be used', (status) => {
    expect(classifyStatus(status)).toBe('InvalidResponse');
  });
});

describe('the guide', () => {
  it('retries 429, the server side and what was not sent, waits for the end user at 401, and nothing else', () => {
    const typesThat = (action: Action) => FAILURE_TYPES.filter((type) => errorRule(type).action === action);
    expect({ retry: typesThat('retry'), reauthorize: typesThat('reauthorize'), fail: typesThat('fail') }).toEqual({
      retry: [
        'TooManyRequests',
        'InternalServerError',
        'ServerError',
        'ErrorBudgetSpent',
        'NoResponse',
        'InvalidResponse',
      ],
      reauthorize: ['Unauthorized'],
      fail: ['BadRequest', 'Forbidden', 'NotFound', 'MethodNotAllowed', 'ClientError'],
    });
  });

  it.each(FAILURE_TYPES)('%s has an interval exactly when it is retried, and advice in any case', (type) => {
    const rule = errorRule(type);
    expect(rule.initialIntervalMs !== undefined).toBe(rule.action === 'retry');
    expect(rule.advice).toMatch(/\.$/);
  });

  it('tells Temporal which types no attempt can mend', () => {
    expect(NON_RETRYABLE_ERROR_TYPES).toEqual([
      'BadRequest',
      'Unauthorized',
      'Forbidden',
      'NotFound',
      'MethodNotAllowed',
      'ClientError',
    ]);
  });
});
