import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  FAILURE_TYPES,
  MAXIMUM_INTERVAL_MS,
  MAXIMUM_RETRY_AFTER_MS,
  MINIMUM_DELAY_MS,
  errorRule,
} from '../src/spec/error-guide.js';
import { isRetried, parseRetryAfter, retryDelayMs } from '../src/spec/retry.js';

const RETRIED = FAILURE_TYPES.filter((type) => errorRule(type).action === 'retry');
const random = fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true });
const failureCount = fc.integer({ min: 1, max: 5_000 });
const MINUTE = 60_000;

describe('retryDelayMs', () => {
  it('waits 1, 2, 4, 8, 16, 32 minutes and then an hour at a time for a rate limit', () => {
    const delays = [1, 2, 3, 4, 5, 6, 7, 8, 100].map((n) =>
      retryDelayMs({ type: 'TooManyRequests', failureCount: n, random: 0.5 }),
    );
    expect(delays).toEqual([1, 2, 4, 8, 16, 32, 60, 60, 60].map((minutes) => minutes * MINUTE));
  });

  it('draws the first delay after a 500 from 15 to 30 seconds, and doubles the range with every further one', () => {
    fc.assert(
      fc.property(random, fc.integer({ min: 1, max: 7 }), (draw, n) => {
        const delay = retryDelayMs({ type: 'InternalServerError', failureCount: n, random: draw });
        expect(delay).toBeGreaterThanOrEqual(15_000 * 2 ** (n - 1));
        expect(delay).toBeLessThanOrEqual(Math.min(30_000 * 2 ** (n - 1), MAXIMUM_INTERVAL_MS));
      }),
    );
  });

  it.each(RETRIED)(
    '%s: never below a second or Retry-After, never above an hour unless Retry-After asks for it',
    (type) => {
      const retryAfterMs = fc.option(fc.integer({ min: 0, max: 10 * MAXIMUM_RETRY_AFTER_MS }), { nil: undefined });
      fc.assert(
        fc.property(random, failureCount, retryAfterMs, (draw, n, asked) => {
          const delay = retryDelayMs({ type, failureCount: n, random: draw, retryAfterMs: asked });
          const honoured = Math.min(asked ?? 0, MAXIMUM_RETRY_AFTER_MS);
          expect(delay).toBeGreaterThanOrEqual(Math.max(MINIMUM_DELAY_MS, honoured));
          expect(delay).toBeLessThanOrEqual(Math.max(MAXIMUM_INTERVAL_MS, honoured));
          expect(Number.isInteger(delay)).toBe(true);
        }),
      );
    },
  );

  it.each(RETRIED)('%s: a later failure never waits less than an earlier one', (type) => {
    fc.assert(
      fc.property(random, random, failureCount, (draw, later, n) => {
        const delay = retryDelayMs({ type, failureCount: n, random: draw });
        expect(retryDelayMs({ type, failureCount: n + 1, random: later })).toBeGreaterThanOrEqual(delay);
      }),
    );
  });

  it('divides by the time scale and still waits a second', () => {
    const delay = (timeScale: number) =>
      retryDelayMs({ type: 'TooManyRequests', failureCount: 1, random: 0, timeScale });
    expect([delay(10), delay(1_000_000)]).toEqual([6_000, MINIMUM_DELAY_MS]);
  });

  it('refuses to give a delay to what is not retried', () => {
    expect(() => retryDelayMs({ type: 'Unauthorized', failureCount: 1, random: 0 })).toThrow(
      'Unauthorized is not retried',
    );
  });
});

describe('isRetried', () => {
  it('waits for a rate limit and an outage without end, and gives a resource up after 12 answers of 500', () => {
    expect(isRetried('TooManyRequests', 10_000)).toBe(true);
    expect(isRetried('NoResponse', 10_000)).toBe(true);
    expect([11, 12].map((n) => isRetried('InternalServerError', n))).toEqual([true, false]);
    expect(isRetried('Forbidden', 1)).toBe(false);
  });
});

describe('parseRetryAfter', () => {
  const NOW = Date.parse('2026-10-21T07:27:00Z');

  it('reads seconds', () => {
    expect(parseRetryAfter('120', NOW)).toBe(120_000);
    expect(parseRetryAfter(' 0 ', NOW)).toBe(0);
  });

  it.each(['Wed, 21 Oct 2026 07:28:00 GMT', 'Wednesday, 21-Oct-26 07:28:00 GMT', 'Wed Oct 21 07:28:00 2026'])(
    'reads the HTTP date "%s"',
    (date) => {
      expect(parseRetryAfter(date, NOW)).toBe(60_000);
    },
  );

  it.each([
    null,
    undefined,
    '',
    'soon',
    '-5',
    '1.5',
    '5 seconds',
    'May',
    'Wed, 99 Oct 2026 07:28:00 GMT',
    '2026-10-21',
  ])('takes %j for absent', (value) => {
    expect(parseRetryAfter(value, NOW)).toBeUndefined();
  });

  it('takes a date that has passed for absent', () => {
    expect(parseRetryAfter('Wed, 21 Oct 2026 07:26:00 GMT', NOW)).toBeUndefined();
  });
});
