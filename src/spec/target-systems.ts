/**
 * What is known of the systems behind Maesn: how fast each may be asked, and where one wants a parameter written
 * its own way. An unknown system gets the defaults and is never an error. Sources: the vendors' published limits, 2026.
 */
import type { Resource } from './resources.js';

export interface RateLimit {
  readonly requests: number;
  readonly perMs: number;
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
  sageactive: { rateLimits: [{ requests: 3_000, perMs: MINUTE }] },
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

/**
 * The time from one request to the next that keeps a walk, which asks one page after another, inside the
 * limits it can exceed within an hour. A daily budget is not spread over the day: the day's first sync would crawl.
 */
export function requestIntervalMs(slug: string): number {
  const paced = targetSystem(slug).rateLimits.filter((limit) => limit.perMs <= HOUR);
  return Math.max(0, ...paced.map((limit) => limit.perMs / limit.requests));
}

/** `lastModifiedAt` as the target system wants it. */
export function formatLastModifiedAt(slug: string, time: Date): string {
  const text = time.toISOString();
  return targetSystem(slug).wholeSeconds === true ? text.replace(/\.\d{3}Z$/, 'Z') : text;
}
