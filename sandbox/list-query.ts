/** The parameters of a list, checked as strictly as Maesn and its target systems check them. */
import { z } from 'zod';
import { resourceRow } from '../src/spec/resources.js';
import type { Resource } from '../src/spec/resources.js';

export interface ListQuery {
  readonly resource: Resource;
  /** Of children: whose they are. */
  readonly parentKey?: string | undefined;
  /** Records of which this field has this value. */
  readonly only?: { readonly field: string; readonly value: string } | undefined;
  readonly page: number;
  readonly limit: number;
  /** Inclusive. */
  readonly sinceMs: number | undefined;
}

const LIMITS: readonly number[] = [5, 10, 20, 50, 100];
const DEFAULT_LIMIT = 20;

const isoDate = z.iso.datetime({ offset: true }).or(z.iso.date());

/** Lexware Office refuses fractions of a second. Source: Maesn’s documentation. */
const WHOLE_SECONDS = 'lexware-office';

/** The DATEV export reads these out of a fiscal year that the caller names. */
const NEEDS_FISCAL_YEAR: Readonly<Record<string, readonly Resource[]>> = {
  'datev-rewe-export': ['accounts', 'paymentTerms'],
};

/** What is wrong with the query, or what it asks for. Parameters that a collection does not have are ignored. */
export function parseListQuery(resource: Resource, targetSystem: string, params: URLSearchParams): ListQuery | string {
  const { paged, incremental } = resourceRow(resource);
  const page = paged ? toCount(params.get('page') ?? '1') : 1;
  if (page === undefined || page < 1) return 'page: must be a whole number from 1';
  const limit = paged ? toCount(params.get('limit') ?? String(DEFAULT_LIMIT)) : Infinity;
  if (limit === undefined || (paged && !LIMITS.includes(limit))) return `limit: must be one of ${LIMITS.join(', ')}`;

  const since = incremental ? params.get('lastModifiedAt') : null;
  if (since !== null && !isoDate.safeParse(since).success) return 'lastModifiedAt: must be an ISO 8601 date';
  if (since !== null && targetSystem === WHOLE_SECONDS && !/T\d\d:\d\d:\d\dZ$/.test(since)) {
    return 'lastModifiedAt: must be a time in whole seconds';
  }
  if (NEEDS_FISCAL_YEAR[targetSystem]?.includes(resource) === true && params.get('fiscalYearStartDate') === null) {
    return 'fiscalYearStartDate: is required';
  }
  return { resource, page, limit, sinceMs: since === null ? undefined : Date.parse(since) };
}

function toCount(text: string): number | undefined {
  return /^\d{1,9}$/.test(text) ? Number(text) : undefined;
}
