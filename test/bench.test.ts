/** The arithmetic of the benchmark, and where it writes. What it measures is not tested: no test waits for a time. */
import { describe, expect, it } from 'vitest';
import { countActions } from '../bench/actions.js';
import { withSection } from '../bench/document.js';
import { atLeastTimesFaster, atMost, fasterThan, median, timeRatio, toRow, toShows, toTable } from '../bench/report.js';
import type { Measurement, Row } from '../bench/report.js';

const NOTHING: Measurement = {
  seconds: 0,
  peakMib: 0,
  requests: 0,
  repeated: 0,
  statements: 0,
  databaseSeconds: 0,
  cpuSeconds: 0,
  events: 0,
  actions: 0,
};

function row(name: string, measured: Partial<Row>): Row {
  return { name, title: name, records: 100, ...NOTHING, ...measured };
}

describe('a median', () => {
  it.each([
    { values: [3], is: 3 },
    { values: [9, 1, 2], is: 2 },
    { values: [10, 1, 2, 4], is: 3 },
  ])('of $values is $is', ({ values, is }) => {
    expect(median(values)).toBe(is);
  });

  it('is taken of each figure on its own', () => {
    const runs = [
      { ...NOTHING, seconds: 1, requests: 9 },
      { ...NOTHING, seconds: 2, requests: 7 },
      { ...NOTHING, seconds: 3, requests: 8 },
    ];
    expect(toRow({ name: 'a', title: 'A', records: 1 }, runs)).toMatchObject({ seconds: 2, requests: 8 });
  });
});

describe('what is shown', () => {
  const rows = [row('ours', { seconds: 2, events: 3 }), row('theirs', { seconds: 6, events: 400 })];

  it('holds or does not by the figures alone', () => {
    expect(atLeastTimesFaster(rows, 3, 'ours', 'theirs').holds).toBe(true);
    expect(atLeastTimesFaster(rows, 3.1, 'ours', 'theirs').holds).toBe(false);
    expect(fasterThan(rows, 'theirs', 'ours').holds).toBe(false);
    const limit = { row: 'ours', to: 'theirs', by: (one: Row) => one.events, what: 'events' };
    expect(atMost(rows, 0.01, limit).holds).toBe(true);
    expect(atMost(rows, 0.007, limit).holds).toBe(false);
  });

  it('is not claimed of equals', () => {
    expect(fasterThan([row('a', { seconds: 1 }), row('b', { seconds: 1 })], 'a', 'b').holds).toBe(false);
  });

  it('says so where it does not hold', () => {
    expect(toShows([{ text: 'a is fast', holds: false }])).toContain('**NO**: a is fast');
  });

  it('is no figure of what was not measured', () => {
    expect(() => fasterThan(rows, 'ours', 'nobody')).toThrow('nobody was not measured');
  });

  it('compares times of a record, however many there are', () => {
    expect(timeRatio(row('a', { seconds: 4, records: 400 }), row('b', { seconds: 2 }))).toBe(0.5);
    expect(toTable(rows, 'theirs').split('\n')[2]).toContain('| 2.0 s | 0.33 |');
  });
});

describe('a section of docs/benchmarks.md', () => {
  const both = withSection(withSection('# Benchmarks\n', 'one', 'first'), 'two', 'second');

  it('is replaced where it stands, and the others stay', () => {
    const changed = withSection(both, 'one', 'anew $&');
    expect(changed).toBe(both.replace('first', () => 'anew $&'));
    expect(withSection(changed, 'one', 'first')).toBe(both);
  });

  it('is not written into a document that is broken', () => {
    expect(() => withSection(both.replace('<!-- /bench: two -->', ''), 'two', 'anew')).toThrow('has no end');
  });
});

describe('Actions', () => {
  it('are starts, attempts, timers, changes of search attributes, heartbeats, and the Local Activities of a task as one', () => {
    const history = [
      { eventId: 1, workflowExecutionStartedEventAttributes: {} },
      { eventId: 2, workflowTaskScheduledEventAttributes: {} },
      { eventId: 5, activityTaskScheduledEventAttributes: { activityType: { name: 'pull' } } },
      {
        eventId: 6,
        eventTime: { seconds: 10 },
        activityTaskStartedEventAttributes: { attempt: 2, scheduledEventId: 5 },
      },
      { eventId: 7, eventTime: { seconds: 17 }, activityTaskCompletedEventAttributes: { startedEventId: 6 } },
      { eventId: 8, timerStartedEventAttributes: {} },
      { eventId: 9, upsertWorkflowSearchAttributesEventAttributes: {} },
      { eventId: 10, markerRecordedEventAttributes: { workflowTaskCompletedEventId: 4 } },
      { eventId: 11, markerRecordedEventAttributes: { workflowTaskCompletedEventId: 4 } },
      { eventId: 14, markerRecordedEventAttributes: { workflowTaskCompletedEventId: 13 } },
    ];
    expect(countActions(history)).toBe(7);
    expect(countActions(history, { activity: 'pull', everyMs: 3_000 })).toBe(10);
    expect(countActions(history, { activity: 'other', everyMs: 3_000 })).toBe(7);
  });
});
