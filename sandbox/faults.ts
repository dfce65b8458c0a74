/** Faults as data: what a scripted request is answered with instead, and which requests those are. */
import { z } from 'zod';
import { RESOURCE_NAMES, resourceRow } from '../src/spec/resources.js';
import type { Resource } from '../src/spec/resources.js';
import { WRITE_OPERATIONS } from '../src/spec/writes.js';
import type { WriteOperation } from '../src/spec/writes.js';

const entries = z.array(z.unknown()).optional();

const fault = z.discriminatedUnion('kind', [
  z.strictObject({
    kind: z.literal('status'),
    status: z.number().int().min(200).max(599),
    /** Seconds, or an HTTP date. */
    retryAfter: z.union([z.number().int().nonnegative(), z.string().min(1)]).optional(),
    errors: entries,
    downstreamErrors: entries,
    validationErrors: entries,
  }),
  /** 200, and text that is not JSON. */
  z.strictObject({ kind: z.literal('garbage') }),
  z.strictObject({ kind: z.literal('html'), status: z.union([z.literal(200), z.literal(502)]).default(200) }),
  z.strictObject({ kind: z.literal('empty') }),
  /** The first half of the real answer; then the connection ends properly, or is destroyed. */
  z.strictObject({ kind: z.literal('truncated'), connection: z.enum(['ended', 'destroyed']).default('ended') }),
  /** 200, and JSON in which `data` is not a list. */
  z.strictObject({ kind: z.literal('wrongEnvelope') }),
  /** Never answers. */
  z.strictObject({ kind: z.literal('hang') }),
  /** The socket is destroyed before any byte. */
  z.strictObject({ kind: z.literal('cut') }),
  z.strictObject({ kind: z.literal('redirect'), location: z.string().min(1).default('/health') }),
  /** A valid envelope of at least this many bytes. */
  z.strictObject({ kind: z.literal('huge'), bytes: z.number().int().positive().default(100_000_000) }),
  /** From this request on the key is revoked, until the end user signs in again. */
  z.strictObject({ kind: z.literal('revoke') }),
  /** The list starts a task that will end as FAILED. Only for resources that are answered with tasks. */
  z.strictObject({ kind: z.literal('failedTask') }),
]);

export type Fault = z.infer<typeof fault>;
export type FaultKind = Fault['kind'];

export const FAULT_KINDS: readonly FaultKind[] = fault.options.map((option) => option.shape.kind.value);

type StatusFault = Extract<z.input<typeof fault>, { kind: 'status' }>;

/** A fault in full, one whose options are all left out as its kind alone, or a status without its kind. */
export type FaultAnswer = z.input<typeof fault> | Exclude<FaultKind, 'status'> | Omit<StatusFault, 'kind'>;

/** The collections, and the other calls an account key opens. */
const FAULT_TARGETS = [...RESOURCE_NAMES, ...WRITE_OPERATIONS, 'asyncTask', 'profile', 'userInfo', 'webhooks'] as const;
export type FaultTarget = (typeof FAULT_TARGETS)[number];

const times = z.union([z.number().int().positive(), z.literal(Infinity)]).default(1);

const rule = z
  .strictObject({
    target: z.enum(FAULT_TARGETS).optional(),
    request: z.number().int().positive().optional(),
    page: z.number().int().positive().optional(),
    times,
    applied: z.boolean().default(false),
    answer: fault,
  })
  .refine(({ target, applied }) => !applied || isWrite(target), '`applied` means something of writes alone')
  .refine(({ request, page }) => request === undefined || page === undefined, 'give `request` or `page`, not both')
  .refine(({ target, page }) => page === undefined || isPaged(target), '`page` never fires where there are no pages');

type Rule = z.infer<typeof rule>;

export interface FaultRule {
  /** Absent: every call that carries the account key, counted together. */
  readonly resource?: FaultTarget;
  /** In place of `resource`: a write. */
  readonly operation?: WriteOperation;
  /** Of a write: whether it is carried out all the same, before the fault answers. Default: false. */
  readonly applied?: boolean;
  /**
   * The first request that it fires at: 1 is the first one to this account and resource. Every request that carries
   * a good key counts, also those answered with a fault. Absent, like `page`: the next one.
   */
  readonly request?: number;
  /** Fires at requests for this page, however many others come between. */
  readonly page?: number;
  /** How often it fires: at `request` and those that follow it, or at requests for `page`. Default: 1. */
  readonly times?: number;
  readonly answer: FaultAnswer;
}

function isPaged(target: FaultTarget | undefined): boolean {
  if (target === undefined || target === 'asyncTask') return true;
  return isList(target) && resourceRow(target).paged;
}

function isList(target: FaultTarget): target is Resource {
  return RESOURCE_NAMES.some((resource) => resource === target);
}

export function isWrite(target: FaultTarget | undefined): target is WriteOperation {
  return WRITE_OPERATIONS.some((operation) => operation === target);
}

/** A fault, and whether a write is carried out all the same. */
export type TakenFault = Fault & { readonly applied: boolean };

export interface FaultedRequest {
  readonly target: FaultTarget;
  readonly page: number;
}

/** Asked about every call that no rule is for: what it is answered with instead. */
export type Weather = (request: FaultedRequest) => Pick<FaultRule, 'answer' | 'applied'> | undefined;

export type FaultScript = ReturnType<typeof createFaultScript>;

export function createFaultScript(asyncTargets: readonly FaultTarget[], weather: Weather = () => undefined) {
  const rules: { readonly rule: Rule; readonly from: number; readonly until: number; left: number }[] = [];
  const seen = new Map<FaultTarget | undefined, number>();
  const count = (target: FaultTarget | undefined) => seen.get(target) ?? 0;

  return {
    add(given: FaultRule): void {
      const { resource, operation, ...rest } = given;
      const target = operation ?? resource;
      const parsed = rule.safeParse({ ...rest, target, answer: toFault(given.answer) });
      if (!parsed.success) throw new TypeError(`fault: ${z.prettifyError(parsed.error)}`);
      const { request, answer } = parsed.data;
      if (request !== undefined && request + parsed.data.times - 1 <= count(target)) {
        throw new RangeError(`fault: request ${request} has already been answered, it can never fire`);
      }
      if (answer.kind === 'failedTask' && (target === undefined || !asyncTargets.includes(target))) {
        throw new RangeError('fault: `failedTask` never fires at what is not answered with tasks');
      }
      rules.push({
        rule: parsed.data,
        from: request ?? count(target) + 1,
        until: request === undefined ? Infinity : request + parsed.data.times - 1,
        left: parsed.data.times,
      });
    },

    /** The fault of this request, which is thereby used; of several, the one scripted first. */
    take({ target, page }: FaultedRequest): TakenFault | undefined {
      for (const counted of [target, undefined]) seen.set(counted, count(counted) + 1);
      const found = rules.find(
        ({ rule: { target: only, page: onlyPage }, from, until, left }) =>
          left > 0 &&
          (only === undefined || only === target) &&
          (onlyPage === undefined ? from <= count(only) && count(only) <= until : onlyPage === page),
      );
      if (found === undefined) {
        const caught = weather({ target, page });
        return (
          caught && { ...fault.parse(toFault(caught.answer)), applied: isWrite(target) && caught.applied === true }
        );
      }
      found.left -= 1;
      return { ...found.rule.answer, applied: found.rule.applied };
    },
  };
}

function toFault(answer: FaultAnswer): unknown {
  if (typeof answer === 'string') return { kind: answer };
  return 'kind' in answer ? answer : { kind: 'status', ...answer };
}
