/** What callers may say, checked the same way whether it comes through the library, the HTTP API or a command. */
import { z } from 'zod';
import { MAXIMUM_EVERY_MS } from '../spec/cadence.js';
import { hasFourDigitYear } from '../spec/dates.js';
import { RESOURCE_NAMES } from '../spec/resources.js';

/** Your own id of a customer's system: it becomes part of Workflow ids, so it holds nothing that is secret. */
export const connectionId = z
  .string()
  .regex(
    /^[A-Za-z0-9][A-Za-z0-9._:-]{0,99}$/,
    'must be 1 to 100 letters, digits and ._:- and begin with a letter or digit',
  );

/** Printable ASCII: it travels in an HTTP header. */
export const accountKey = z
  .string()
  .regex(/^[!-~]{1,4096}$/, 'must be the account key that Maesn gave: up to 4096 characters, without spaces');

export const targetSystemName = z
  .string()
  .regex(/^[a-z0-9][a-z0-9-]{0,99}$/, 'must be a target system such as "xero" or "lexware-office"');

/** A text that Postgres can hold: NUL and half of a surrogate pair it cannot. */
const text = (max: number) =>
  z
    .string()
    .min(1)
    .max(max)
    // oxlint-disable-next-line no-control-regex -- NUL is what is meant
    .regex(/^[^\u0000]*$/, 'must not contain NUL')
    .refine((value) => value.isWellFormed(), 'must be well-formed Unicode');

/** Of a date, those that Postgres and JSON write alike. */
const YEARS = 'must be in the years 1 to 9999';

/** Wherever it is said: what counts is its year in UTC. */
export const moment = z.date().refine(hasFourDigitYear, YEARS);

export const addConnectionInput = z.strictObject({
  connectionId,
  targetSystem: targetSystemName,
  accountKey: accountKey.optional(),
  companyId: text(500).optional(),
  environmentName: text(500).optional(),
  fiscalYearStartDate: z.iso
    .date()
    .refine((date) => !date.startsWith('0000'), YEARS)
    .optional(),
});

const UNIT_MS: Readonly<Record<string, number>> = { s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 };
/** 1 to 999 of each. */
const INTERVAL = /^([1-9]\d{0,2}) ?(s|seconds?|m|minutes?|h|hours?|d|days?)$/;
const INTERVAL_WITHIN_A_DAY =
  /^(?:([1-9]\d{0,2}) ?(s|seconds?|m|minutes?)|([1-9]|1\d|2[0-4]) ?(h|hours?)|(1) ?(d|day))$/;

const DAY_MS = 86_400_000;

/** In milliseconds; what it takes, the HTTP document says to the last number. */
function duration({ interval, maximumMs, rule }: { interval: RegExp; maximumMs: number; rule: string }) {
  return z.union(
    [
      z.number().int().min(1_000).max(maximumMs),
      z
        .string()
        .regex(interval)
        .transform((given) => {
          const [amount = '', unit = ''] = (interval.exec(given) ?? []).slice(1).filter((part) => part !== undefined);
          return Number(amount) * (UNIT_MS[unit.charAt(0)] ?? 0);
        }),
    ],
    rule,
  );
}

export const resourceName = z.enum(RESOURCE_NAMES);

export const startSyncOptions = z.strictObject({
  resources: z.array(resourceName).min(1).optional(),
  every: duration({
    interval: INTERVAL,
    maximumMs: MAXIMUM_EVERY_MS,
    rule: 'must be milliseconds (1,000 to 999 days), or an interval such as "15 minutes" (1 to 999 of s, m, h, d)',
  })
    .optional()
    .meta({ description: 'Milliseconds, or `"15 minutes"`. Default: one cycle only.' }),
});

export const pauseOptions = z.strictObject({ reason: text(500) });

export const decideDeletesOptions = z.strictObject({ decision: z.enum(['delete', 'keep']) });

export const listOptions = z.strictObject({
  afterId: connectionId.optional(),
  limit: z.number().int().min(1).max(200).default(50),
});

export const eventsOptions = z.strictObject({
  afterId: z.number().int().min(0).default(0),
  limit: z.number().int().min(1).max(1_000).default(100),
  connectionId: connectionId.optional(),
});

export const journalOptions = z.strictObject({
  beforeId: z.number().int().min(1).optional(),
  limit: z.number().int().min(1).max(1_000).default(100),
});

export const incidentsOptions = z.strictObject({
  open: z.boolean().default(false),
  beforeId: z.number().int().min(1).optional(),
  limit: z.number().int().min(1).max(1_000).default(100),
});

/** The key of a child holds its parent's too. */
export const recordKey = text(2_000);

export const recordsOptions = z.strictObject({
  afterKey: recordKey.optional(),
  limit: z.number().int().min(1).max(1_000).default(100),
  modifiedSince: moment.optional(),
  includeDeleted: z.boolean().optional(),
});

export const eventIds = z.array(z.number().int().min(1).max(Number.MAX_SAFE_INTEGER)).min(1).max(1_000);

export const retryTargetSystemOptions = z.strictObject({
  targetSystem: targetSystemName,
  over: duration({
    interval: INTERVAL_WITHIN_A_DAY,
    maximumMs: DAY_MS,
    rule: 'must be milliseconds (1,000 to a day), or an interval of at most a day such as "15 minutes"',
  })
    .default(10 * 60_000)
    .meta({
      description: 'Milliseconds, or `"10 minutes"`: how long it takes until all were told. Default: 10 minutes.',
    }),
});

/** What a system without a login page wants; which of them, Maesn documents per system. */
export const credentials = z
  .strictObject({
    apiKey: text(4_096).optional(),
    username: text(500).optional(),
    password: text(4_096).optional(),
    baseUrl: z.url({ protocol: /^https?$/ }).optional(),
    tenantId: text(500).optional(),
  })
  .refine((given) => Object.keys(given).length > 0, 'must hold at least one of apiKey, username, password, ...');
