import { describe, expect, it } from 'vitest';
import { MAX_EVENTS, parseWebhookBody } from '../src/maesn/webhook-event.js';
import { RESOURCE_NAMES } from '../src/spec/resources.js';
import { TARGET_SYSTEMS, createTargetSystems } from '../src/spec/target-systems.js';
import { LOOK_AGAIN, lookAgainInMs, renewalDueAt } from '../src/spec/webhook-renewal.js';
import { WEBHOOK_RESOURCES, webhookKinds } from '../src/spec/webhook-resources.js';

const NOW = new Date('2026-11-23T12:00:00Z');
const DATE = '2026-11-20T08:30:00Z';
const parse = (body: unknown) => parseWebhookBody(JSON.stringify(body), NOW);

const created = { eventType: 'CREATED', filterDate: DATE, resource: 'INVOICE', resourceId: 'i-1' };
const deleted = { ...created, eventType: 'DELETED' };
const changed = { kind: 'changed', resources: ['invoices'] };
const gone = { kind: 'deleted', resources: ['invoices'], key: 'i-1', deletedAt: new Date(DATE) };
const revoked = { kind: 'loginRevoked', revokedAt: new Date(DATE) };

describe('a webhook body', () => {
  it.each([
    ['as documented', created, [changed]],
    ['updated', { ...created, eventType: 'UPDATED' }, [changed]],
    ['in a list', [created, deleted], [changed, gone]],
    ['with resourceType', { eventType: 'CREATED', resourceType: 'INVOICE' }, [changed]],
    ['with userId and more', { ...created, resourceType: 'INVOICE', userId: 'u', extra: { deep: [1] } }, [changed]],
    ['with its two fields swapped', { ...created, eventType: 'INVOICE', resource: 'CREATED' }, [changed]],
    ['swapped, with resourceType', { eventType: 'INVOICE', resourceType: 'UPDATED' }, [changed]],
    ['without id and date', { eventType: 'CREATED', resource: 'INVOICE' }, [changed]],
    ['with a date that is none', { ...created, filterDate: 'yesterday' }, [changed]],
    ['with an id that is an object', { ...created, resourceId: {} }, [changed]],
    ['in small letters', { eventType: 'created', resource: 'invoice' }, [changed]],
    [
      'of two collections',
      { ...created, resource: 'CONTACT' },
      [{ ...changed, resources: ['contacts', 'contactsV2'] }],
    ],
    ['with a compound name', { ...created, resource: 'journalEntry' }, [{ ...changed, resources: ['journalEntries'] }]],
    ['that deletes', deleted, [gone]],
    ['that deletes what has a number for a key', { ...deleted, resourceId: 7 }, [{ ...gone, key: '7' }]],
    ['that revokes', { eventType: 'REVOKED', resource: 'TOKEN', filterDate: DATE }, [revoked]],
    ['that revokes, swapped and small', { eventType: 'token', resource: 'revoked', filterDate: DATE }, [revoked]],
    [
      'that revokes without a date',
      { eventType: 'REVOKED', resource: 'TOKEN' },
      [{ kind: 'loginRevoked', revokedAt: undefined }],
    ],
  ])('%s is understood', (_name, body, events) => {
    expect(parse(body)).toEqual({ events, ignored: 0 });
  });

  it.each([
    ['of an unknown type', { ...created, eventType: 'ARCHIVED' }],
    ['of an unknown resource', { ...created, resource: 'UNICORN' }],
    ['named like a property of every object', { ...created, resource: 'constructor' }],
    ['without resource', { eventType: 'CREATED' }],
    ['without type', { resource: 'INVOICE' }],
    ['of a login that was created', { eventType: 'CREATED', resource: 'TOKEN' }],
    ['of an invoice that was revoked', { ...created, eventType: 'REVOKED' }],
    ['that deletes nothing', { ...deleted, resourceId: undefined }],
    ['that deletes at no time', { ...deleted, filterDate: undefined }],
    ['that deletes at a time that is none', { ...deleted, filterDate: '2026-13-45' }],
    ['that deletes in time to come', { ...deleted, filterDate: '2027-01-01T00:00:00Z' }],
  ])('%s is ignored, and hinders no other', (_name, body) => {
    expect(parse(body)).toEqual({ events: [], ignored: 1 });
    expect(parse([created, body, 17, null])).toEqual({ events: [changed], ignored: 3 });
  });

  it.each([
    ['nothing', ''],
    ['text', 'hello'],
    ['half an event', '{"eventType":"CREATED","reso'],
    ['null', 'null'],
    ['a number', '42'],
    ['a string', '"INVOICE"'],
    ['an object of something else', '{"hello":"world"}'],
    ['an empty list', '[]'],
    ['a list without an event', '[1,"a",null,[],{}]'],
    ['a list of lists', '[[{"eventType":"CREATED","resource":"INVOICE"}]]'],
    ['too many events', JSON.stringify(Array.from({ length: MAX_EVENTS + 1 }, () => created))],
  ])('that is %s is refused', (_name, text) => {
    expect(parseWebhookBody(text, NOW)).toBeUndefined();
  });

  it('may hold as many events as are allowed', () => {
    expect(parse(Array.from({ length: MAX_EVENTS }, () => created))?.events).toHaveLength(MAX_EVENTS);
  });
});

describe('the table of webhook resources', () => {
  it.each(Object.entries(WEBHOOK_RESOURCES))('%s names collections that are synced', (_name, resources) => {
    expect(resources.filter((resource) => !RESOURCE_NAMES.includes(resource))).toEqual([]);
  });

  it.each(Object.keys(TARGET_SYSTEMS))('asks %s for the login only if it tells of it', (slug) => {
    const kinds = webhookKinds(createTargetSystems().get(slug));
    expect(kinds.some(({ webhookResource }) => webhookResource === 'TOKEN')).toBe(slug === 'lexware-office');
    expect(new Set(kinds.map((kind) => JSON.stringify(kind))).size).toBe(kinds.length);
  });
});

describe('a subscription', () => {
  const HOUR = 3_600_000;
  const at = (hours: number) => new Date(NOW.getTime() + hours * HOUR);

  it.each([
    ['after four fifths of its life', at(0), at(100), 80],
    ['after a week, if nobody knows when it expires', at(0), null, 168],
    ['at once, if it had expired when it was made', at(0), at(-1), 0],
  ])('is due %s', (_name, createdAt, expiresAt, hours) => {
    expect(renewalDueAt({ createdAt, expiresAt })).toBe(at(hours).getTime());
  });

  it.each([
    ['when the first is due', [100, 50], 40],
    ['after a week at the latest', [10_000], 168],
    ['after an hour at the soonest', [0.1], 1],
    ['after a week when there is none', [], 168],
  ])('is looked after again %s', (_name, lives, hours) => {
    const subscriptions = lives.map((life) => ({ createdAt: NOW, expiresAt: at(life) }));
    expect(lookAgainInMs(subscriptions, NOW.getTime())).toBe(hours * HOUR);
    expect(LOOK_AGAIN.soonestMs).toBeLessThan(LOOK_AGAIN.latestMs);
  });
});
