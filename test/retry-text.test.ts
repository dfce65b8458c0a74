/** What the Temporal UI says of a request that fails again and again. */
import { describe, expect, it } from 'vitest';
import { FAILURE_TYPES, errorRule } from '../src/spec/error-guide.js';
import { describeRetrying, stateOfRetry } from '../src/spec/retry-text.js';

const SINCE = '2026-11-23T07:31:00.000Z';
const NEXT = '2026-11-23T07:38:00.000Z';
const RETRIED = FAILURE_TYPES.filter((type) => errorRule(type).action === 'retry');

describe('of a request that fails', () => {
  it.each(RETRIED)('%s, it says what, since when, until when, who must act, and Maesn’s advice', (type) => {
    const text = describeRetrying('Pulling `invoices`', {
      type,
      request: 'GET /accounting/invoices',
      page: 12,
      failures: 4,
      since: SINCE,
      nextAttemptAt: NEXT,
    });
    expect(text).toContain(`**Retrying** since 2026-11-23 07:31:00 UTC. Pulling \`invoices\`.`);
    expect(text).toContain(`\`GET /accounting/invoices\`, page 12 met ${type}, 4 times in a row.`);
    expect(text).toContain('**Next attempt:** 2026-11-23 07:38:00 UTC.');
    expect(text).toMatch(/\*\*Who must act:\*\* (?:Nobody|You|Maesn’s support)/);
    expect(text).toContain(errorRule(type).advice);
    expect(text).not.toContain('incident');
  });

  it.each([
    [{ type: 'TooManyRequests', status: 429 }, 'a step was answered 429 (TooManyRequests), 3 times in a row.'],
    [{ type: 'EventNotTaken', request: 'app.example.com' }, 'You. Your application did not take the event'],
    [{ type: 'Unexpected' }, 'You. It is neither Maesn nor the target system'],
    [{ type: 'SomethingNew' }, 'You. Look at the log of the Worker.'],
    [{ type: 'ServerError', incidentId: 7 }, '**Part of incident 7**'],
  ])('%j, it says %s', (failing, expected) => {
    expect(describeRetrying('Doing', { failures: 3, since: SINCE, ...failing })).toContain(expected);
  });

  it('only the third failure in a row makes it Retrying; until then it is Waiting', () => {
    expect([1, 2, 3, 12].map((failures) => stateOfRetry({ failures }))).toEqual([
      'Waiting',
      'Waiting',
      'Retrying',
      'Retrying',
    ]);
  });
});
