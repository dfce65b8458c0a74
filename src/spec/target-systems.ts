/**
 * What is known of the systems behind Maesn: how fast each may be asked, and where one wants a parameter written
 * its own way. An unknown system gets the defaults and is never an error. Sources: the vendors' published limits, 2026.
 */
import type { ScopedLimit } from './pace.js';
import type { Resource } from './resources.js';

export interface RateLimit {
  readonly requests: number;
  readonly perMs: number;
  /** Whose requests it counts together. Default: those of a connection. */
  readonly scope?: 'connection' | 'client';
}

export interface TargetSystem {
  /** Every limit holds at once. Empty: none known. */
  readonly rateLimits: readonly RateLimit[];
  /** Requests that may be under way at once for one connection. */
  readonly concurrency?: number;
  /** Whether `lastModifiedAt` must be whole seconds. */
  readonly wholeSeconds?: boolean;
  /** Whether Maesn tells by webhook what changes there. */
  readonly webhooks?: boolean;
  /** Whether it also tells by webhook that a login was revoked. */
  readonly tellsRevocation?: boolean;
  /** Resources that want `fiscalYearStartDate`, which the connection then carries. */
  readonly needsFiscalYearStartDate?: readonly Resource[];
}

const SECOND = 1_000;
const MINUTE = 60 * SECOND;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;

const EXACT: TargetSystem = {
  // It counts errors, and blocks a key after 10 an hour: a login that dies must cost one, not as many as are in flight.
  concurrency: 1,
  rateLimits: [
    { requests: 60, perMs: MINUTE },
    { requests: 5_000, perMs: DAY },
  ],
};

export const TARGET_SYSTEMS: Readonly<Record<string, TargetSystem>> = {
  abacus: {
    rateLimits: [
      { requests: 200, perMs: MINUTE },
      { requests: 12_000, perMs: HOUR },
      { requests: 30_000, perMs: DAY },
    ],
  },
  abaconnect: { rateLimits: [], concurrency: 1 },
  bexio: { rateLimits: [] },
  buchhaltungsbutler: { rateLimits: [{ requests: 100, perMs: MINUTE }] },
  businesscentral: {
    rateLimits: [
      { requests: 300, perMs: MINUTE },
      { requests: 6_000, perMs: 5 * MINUTE },
    ],
    concurrency: 5,
    webhooks: true,
  },
  'datev-rewe': { rateLimits: [{ requests: 100, perMs: 5 * SECOND }] },
  'datev-rewe-export': { rateLimits: [], needsFiscalYearStartDate: ['accounts', 'paymentTerms'] },
  'datev-rewe-longtoken': { rateLimits: [{ requests: 100, perMs: 5 * SECOND }] },
  'datev-unternehmen-online': { rateLimits: [] },
  'exact-de': EXACT,
  'exact-gb': EXACT,
  'exact-nl': { ...EXACT, webhooks: true },
  freshbooks: { rateLimits: [], webhooks: true },
  'lexware-office': {
    rateLimits: [{ requests: 2, perMs: SECOND }],
    wholeSeconds: true,
    webhooks: true,
    tellsRevocation: true,
  },
  moneybird: { rateLimits: [], webhooks: true },
  qonto: { rateLimits: [], webhooks: true },
  quickbooks: { rateLimits: [{ requests: 500, perMs: MINUTE }], concurrency: 10, webhooks: true },
  sageactive: { rateLimits: [{ requests: 3_000, perMs: MINUTE, scope: 'client' }] },
  sevdesk: { rateLimits: [] },
  weclapp: { rateLimits: [], webhooks: true },
  xentral: { rateLimits: [{ requests: 100, perMs: MINUTE }] },
  xero: {
    rateLimits: [
      { requests: 60, perMs: MINUTE },
      { requests: 5_000, perMs: DAY },
    ],
    concurrency: 5,
    webhooks: true,
  },
};

const UNKNOWN: TargetSystem = { rateLimits: [] };

export function targetSystem(slug: string): TargetSystem {
  return Object.hasOwn(TARGET_SYSTEMS, slug) ? (TARGET_SYSTEMS[slug] ?? UNKNOWN) : UNKNOWN;
}

/** Of a system whose limit nobody has published: enough to hide its latency, not enough to be a nuisance. */
const UNPUBLISHED_CONCURRENCY = 4;

/** How many requests of one connection may be under way at once. */
export function requestsInFlight(slug: string): number {
  return targetSystem(slug).concurrency ?? UNPUBLISHED_CONCURRENCY;
}

/** The limits that a request of this connection counts for, each with what it is counted by. */
export function scopedLimits(slug: string, connectionId: string): ScopedLimit[] {
  return targetSystem(slug).rateLimits.map((limit) => ({
    scope: limit.scope === 'client' ? `client/${slug}` : `connection/${connectionId}`,
    limit,
  }));
}

/** `lastModifiedAt` as the target system wants it. */
export function formatLastModifiedAt(slug: string, time: Date): string {
  const text = time.toISOString();
  return targetSystem(slug).wholeSeconds === true ? text.replace(/\.\d{3}Z$/, 'Z') : text;
}
