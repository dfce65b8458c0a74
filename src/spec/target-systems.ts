/**
 * What is known of the systems behind Maesn: how fast each may be asked, and where one wants a parameter written
 * its own way. An unknown system gets the defaults and is never an error. Sources: the vendors' published limits, 2026.
 */
import { errorsAllowed } from './error-budget.js';
import type { ScopedLimit } from './pace.js';
import type { Resource } from './resources.js';

export interface RateLimit {
  readonly requests: number;
  readonly perMs: number;
  /** Whose requests it counts together. Default: those of a connection. */
  readonly scope?: 'connection' | 'client';
}

/** After so many errors in that time at one endpoint the target system blocks the key. */
export type ErrorLimit = Pick<RateLimit, 'requests' | 'perMs'>;

export interface TargetSystem {
  /** As its users know it, where its slug does not say it. */
  readonly name?: string;
  /** Every limit holds at once. Empty: none known. */
  readonly rateLimits: readonly RateLimit[];
  /** Counted per connection and endpoint; see `error-budget.ts`. */
  readonly errorLimit?: ErrorLimit;
  /** One request at a time, whoever sends it: while it runs, and while a task runs that it has started, any other fails. */
  readonly exclusive?: boolean;
  /** Requests that may be under way at once for one connection. */
  readonly concurrency?: number;
  /** Whether `lastModifiedAt` must be whole seconds. */
  readonly wholeSeconds?: boolean;
  /**
   * After so long, what was written shows up for certain when it is looked up: what does not was not applied, and may be sent
   * again. Absent: that is not known, and a person is asked. UNVERIFIED for every system: for operators to say.
   */
  readonly readsOwnWritesAfterMs?: number;
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
  name: 'Exact Online',
  errorLimit: { requests: 10, perMs: HOUR },
  // A login that dies must cost one error, not as many as are in flight.
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
  abaconnect: { name: 'AbaConnect', rateLimits: [], exclusive: true },
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

/** What an operator may say of a system, by slug: what was agreed with a vendor, or of a system that is new. */
export type TargetSystemOverrides = Readonly<
  Record<
    string,
    Partial<
      Pick<
        TargetSystem,
        | 'rateLimits'
        | 'concurrency'
        | 'errorLimit'
        | 'exclusive'
        | 'wholeSeconds'
        | 'webhooks'
        | 'readsOwnWritesAfterMs'
      >
    >
  >
>;

/** Of a system whose limit nobody has published: enough to hide its latency, not enough to be a nuisance. */
const UNPUBLISHED_CONCURRENCY = 4;

export interface TargetSystems {
  readonly get: (slug: string) => TargetSystem;
  /** How many requests of one connection may be under way at once. */
  readonly requestsInFlight: (slug: string) => number;
  /** The limits that a request of this connection counts for, each with what it is counted by. */
  readonly scopedLimits: (slug: string, connectionId: string) => ScopedLimit[];
  /** `lastModifiedAt` as the target system wants it. */
  readonly formatLastModifiedAt: (slug: string, time: Date) => string;
}

/** The table, with the operator's own words where there are some: field by field, a list as a whole. */
export function createTargetSystems(overrides: TargetSystemOverrides = {}): TargetSystems {
  const rows = new Map(Object.entries(TARGET_SYSTEMS));
  for (const [slug, override] of Object.entries(overrides)) {
    rows.set(slug, { ...(rows.get(slug) ?? UNKNOWN), ...override });
  }
  const get = (slug: string) => rows.get(slug) ?? UNKNOWN;

  return {
    get,
    requestsInFlight(slug) {
      const { exclusive, concurrency = UNPUBLISHED_CONCURRENCY, errorLimit } = get(slug);
      if (exclusive === true) return 1;
      // More than there may be errors would only wait for one another.
      return errorLimit === undefined ? concurrency : Math.max(1, Math.min(concurrency, errorsAllowed(errorLimit)));
    },
    scopedLimits: (slug, connectionId) =>
      get(slug).rateLimits.map((limit) => ({
        scope: limit.scope === 'client' ? `client/${slug}` : `connection/${connectionId}`,
        limit,
      })),
    formatLastModifiedAt(slug, time) {
      const text = time.toISOString();
      return get(slug).wholeSeconds === true ? text.replace(/\.\d{3}Z$/, 'Z') : text;
    },
  };
}
