/**
 * One attempt of an Activity that calls Maesn: what earlier attempts met is in its heartbeat details, which travel
 * with every failure and outlive the Worker. When it has failed three times in a row, or waits for long, it tells its Workflow,
 * once, and once more when it gets on again.
 */
import { activityInfo, cancellationDetails, heartbeat } from '@temporalio/activity';
import type { ApplicationFailure } from '@temporalio/activity';
import { z } from 'zod';
import { LONG_WAIT_MS, isStuck } from '../spec/retry.js';
import { isFailureDetails } from '../workflows/messages.js';
import type { AttemptCounts, MetFailure, RetryingReport } from '../workflows/messages.js';
import {
  TurnIsFar,
  UNEXPECTED,
  isFinal,
  isMaesnError,
  isTemporalFailure,
  metBefore,
  rateLimitSpent,
  targetSystemOf,
  toApplicationFailure,
  toUnexpectedFailure,
  workerShutdown,
} from './failure.js';
import type { FailureAbout } from './failure.js';
import { count as countMetric } from './metrics.js';
import { tellProgressed, tellRetrying } from './tell-workflow.js';

const progressSchema = z.object({
  /** Failures in a row, per failure type. */
  failures: z.record(z.string(), z.number()).default({}),
  /** Failures that were tried again, in all. */
  retries: z.number().default(0),
  /** ISO 8601: of the first of those in a row. */
  failingSince: z.string().optional(),
  /** What the Workflow was told: that it fails again and again, or that the next attempt is long in coming. */
  told: z.enum(['nothing', 'waits', 'fails']).default('nothing'),
  page: z.number().optional(),
  totalPages: z.number().optional(),
  task: z.object({ page: z.number(), taskId: z.string() }).optional(),
});

/** What a heartbeat carries: counts, never a record. */
export type Progress = z.infer<typeof progressSchema>;

/** Of the last heartbeat of an Activity. */
export function parseProgress(details: unknown): Progress | undefined {
  return progressSchema.safeParse(details ?? undefined).data;
}

export interface AttemptOptions {
  /** Divides the guide's delays; see `retryDelayMs`. */
  readonly timeScale: number;
  readonly heartbeatEveryMs: number;
}

export interface AttemptAbout extends FailureAbout {
  /** Hears of the failure before the Workflow does. */
  readonly hears?: (failure: ApplicationFailure) => Promise<void>;
  /** Says which incident explains failures of a type. Asked before the Workflow is told. */
  readonly explain?: (failureType: string) => Promise<number | undefined>;
}

export interface Attempt {
  readonly progress: Readonly<Progress>;
  /** Notes where the Activity is; no failure is forgiven by it. */
  note(changes: Partial<Progress>): void;
  /** Something was achieved: failures count from 1 again. */
  progressed(changes?: Partial<Progress>): Promise<void>;
  /** What to throw for this error; a failure of Maesn is counted. */
  toFailure(error: unknown, about?: AttemptAbout): Promise<unknown>;
  /** What to throw for a failure that was met before this Activity began: it is the first of its own. */
  takeOver(met: MetFailure, about: Pick<AttemptAbout, 'explain'>): Promise<unknown>;
  end(): void;
}

/** A thousand pages are told in seconds; each heartbeat costs as much as a record. */
const TELL_EVERY_MS = 500;

/** `before`: what an Activity had met in whose place this one was begun. */
export function startAttempt({ timeScale, heartbeatEveryMs }: AttemptOptions, before?: AttemptCounts): Attempt {
  const info = activityInfo();
  const { isLocal } = info;
  const earlier: unknown = info.heartbeatDetails;
  let progress: Progress = parseProgress(earlier ?? before) ?? { failures: {}, retries: 0, told: 'nothing' };
  let beatAt = -Infinity;
  const beat = () => {
    beatAt = performance.now();
    // Within a Workflow Task nobody hears it.
    if (!isLocal) heartbeat(progress);
  };
  beat();
  // A slow answer is not a dead Worker: the heartbeat does not wait for it.
  const ticking = setInterval(beat, heartbeatEveryMs);

  /** A task, or failures that are over, are told at once; where it is, now and then: the store knows better. */
  function change(changes: Partial<Progress>): void {
    const { task, failures, told } = progress;
    progress = { ...progress, ...changes };
    const isNews =
      progress.task !== task ||
      progress.told !== told ||
      Object.keys(failures).length !== Object.keys(progress.failures).length;
    if (isNews || performance.now() - beatAt >= TELL_EVERY_MS) beat();
  }

  function count(error: unknown, about: FailureAbout): ApplicationFailure {
    const type = isMaesnError(error) ? error.failure.type : UNEXPECTED;
    const failureCount = (progress.failures[type] ?? 0) + 1;
    const { retries, page, task, failingSince = new Date().toISOString() } = progress;
    const failure = isMaesnError(error)
      ? toApplicationFailure(error.failure, { ...about, failureCount, retries, page, task, timeScale })
      : toUnexpectedFailure(error, failureCount);
    progress = {
      ...progress,
      failures: { ...progress.failures, [type]: failureCount },
      retries: retries + 1,
      failingSince,
    };
    beat();
    return failure;
  }

  /** One Signal for a row of failures, or two where it waited long before. One that was lost is sent again with the next failure. */
  async function tellIfStuck(failure: ApplicationFailure, explain: AttemptAbout['explain']): Promise<void> {
    const { failures: perType, failingSince = new Date().toISOString(), told } = progress;
    const failures = Object.values(perType).reduce((sum, of) => sum + of, 0);
    if (isLocal || told === 'fails' || isFinal(failure)) return;
    const tells = isStuck(failures) ? 'fails' : 'waits';
    const { nextRetryDelay } = failure;
    const isLong = typeof nextRetryDelay === 'number' && nextRetryDelay >= LONG_WAIT_MS;
    if (tells === told || (tells === 'waits' && !isLong)) return;
    const reported = toReport(failure);
    const incidentId = await explain?.(reported.type).catch(() => undefined);
    const report = { ...reported, failures: Math.max(1, failures), since: failingSince, incidentId };
    if (await tellRetrying(report)) change({ told: tells });
  }

  return {
    get progress() {
      return progress;
    },
    note(changes) {
      change(changes);
    },
    async progressed(changes = {}) {
      const wasTold = progress.told !== 'nothing';
      change({ ...changes, failures: {}, failingSince: undefined });
      if (wasTold && (await tellProgressed())) change({ told: 'nothing' });
    },
    async toFailure(error, { hears, explain, ...about } = {}) {
      if (cancellationDetails()?.workerShutdown === true) return workerShutdown();
      if (isTemporalFailure(error)) return error;
      if (error instanceof TurnIsFar) {
        const failure = rateLimitSpent(error);
        // It is no failure that counts, but a wait that may be long.
        await tellIfStuck(failure, undefined);
        return failure;
      }
      const failure = count(error, about);
      if (!isFinal(failure)) {
        const type = failure.type ?? UNEXPECTED;
        countMetric('maesn_sync_retries_total', { target_system: targetSystemOf(error), type });
      }
      await hears?.(failure);
      await tellIfStuck(failure, explain);
      return failure;
    },
    async takeOver(met, { explain }) {
      const { type, failureCount, retries, page, task } = met.details;
      const failingSince = new Date().toISOString();
      change({ failures: { [type]: failureCount }, retries: retries + 1, failingSince, page, task });
      const failure = metBefore(met);
      await tellIfStuck(failure, explain);
      return failure;
    },
    end() {
      clearInterval(ticking);
    },
  };
}

function toReport(failure: ApplicationFailure): Omit<RetryingReport, 'failures' | 'since'> {
  const details: unknown = failure.details?.[0];
  const type = failure.type ?? UNEXPECTED;
  if (isFailureDetails(details)) {
    const { request, status, page, nextAttemptAt } = details;
    return { type, request, status, page, nextAttemptAt };
  }
  const { nextRetryDelay } = failure;
  return typeof nextRetryDelay === 'number'
    ? { type, nextAttemptAt: new Date(Date.now() + nextRetryDelay).toISOString() }
    : { type };
}
