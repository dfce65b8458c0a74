/**
 * The body of a webhook. Maesn documents one shape and has sent others: one event or a list of them, `resource` or
 * `resourceType`, and the two fields swapped. Whatever cannot be used is counted, never an error.
 */
import { z } from 'zod';
import { WATERMARK_OVERLAP_MS } from '../spec/resources.js';
import type { Resource } from '../spec/resources.js';
import { LOGIN_RESOURCE, REVOKED, isChange, resourcesOf } from '../spec/webhook-resources.js';
import { isoDate, recordKey } from './records.js';

export type WebhookEvent =
  | { readonly kind: 'changed'; readonly resources: readonly Resource[] }
  | {
      readonly kind: 'deleted';
      readonly resources: readonly Resource[];
      readonly key: string;
      /** When, as Maesn says. */
      readonly deletedAt: Date;
    }
  | { readonly kind: 'loginRevoked'; readonly revokedAt: Date | undefined };

export interface WebhookBody {
  readonly events: readonly WebhookEvent[];
  /** Entries of the body that nothing can be done with. */
  readonly ignored: number;
}

/** A body that is JSON has no more; 1 MiB holds about 7,000. */
export const MAX_EVENTS = 5_000;

/** `InvoiceLine`, `invoice-line` -> `INVOICE_LINE` */
const word = z
  .string()
  .max(100)
  .transform((text) =>
    text
      .trim()
      .replaceAll(/([a-z])([A-Z])/g, '$1_$2')
      .replaceAll(/[\s-]+/g, '_')
      .toUpperCase(),
  )
  .optional()
  .catch(undefined);

const entry = z
  .looseObject({
    eventType: word,
    resource: word,
    resourceType: word,
    resourceId: recordKey.optional().catch(undefined),
    filterDate: isoDate.optional().catch(undefined),
  })
  .refine(({ eventType, resource, resourceType }) => (eventType ?? resource ?? resourceType) !== undefined);

type Entry = z.output<typeof entry>;

/** `undefined`: not JSON, no event in it, or more of them than `MAX_EVENTS`. */
export function parseWebhookBody(text: string, now: Date): WebhookBody | undefined {
  const body = parseJson(text);
  const values: readonly unknown[] = Array.isArray(body) ? body : [body];
  if (values.length > MAX_EVENTS) return undefined;
  const entries = values.map((value) => entry.safeParse(value));
  if (!entries.some(({ success }) => success)) return undefined;
  const events = entries.flatMap(({ data }) => (data === undefined ? [] : (toEvent(data, now) ?? [])));
  return { events, ignored: values.length - events.length };
}

function toEvent(given: Entry, now: Date): WebhookEvent | undefined {
  const { resourceId, filterDate } = given;
  const { eventType, resource } = inOrder(given.eventType, given.resource ?? given.resourceType);
  if (resource === LOGIN_RESOURCE) {
    return eventType === REVOKED ? { kind: 'loginRevoked', revokedAt: filterDate } : undefined;
  }
  const resources = resourcesOf(resource);
  if (resources === undefined || !isChange(eventType)) return undefined;
  if (eventType !== 'DELETED') return { kind: 'changed', resources };
  // Without its time nobody can tell whether the record has come back since; a time to come is no time of a deletion.
  if (resourceId === undefined || filterDate === undefined) return undefined;
  if (filterDate.getTime() > now.getTime() + WATERMARK_OVERLAP_MS) return undefined;
  return { kind: 'deleted', resources, key: resourceId, deletedAt: filterDate };
}

function inOrder(eventType = '', resource = ''): { readonly eventType: string; readonly resource: string } {
  const swapped = isChange(resource) || resource === REVOKED;
  return swapped ? { eventType: resource, resource: eventType } : { eventType, resource };
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
