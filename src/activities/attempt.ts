/**
 * One attempt of an Activity that calls Maesn: what earlier attempts met is in its heartbeat details, which travel
 * with every failure and outlive the Worker.
 */
import { activityInfo, cancellationDetails, heartbeat } from '@temporalio/activity';
import { z } from 'zod';
import {
  UNEXPECTED,
  isMaesnError,
  isTemporalFailure,
  targetSystemOf,
  toApplicationFailure,
  toUnexpectedFailure,
  workerShutdown,
} from './failure.js';
import type { FailureAbout } from './failure.js';
import { count } from './metrics.js';

const progressSchema = z.object({
  /** Failures in a row, per failure type. */
  failures: z.record(z.string(), z.number()).default({}),
  /** Failures that were tried again, in all. */
  retries: z.number().default(0),
  page: z.number().optional(),
  totalPages: z.number().optional(),
  task: z.object({ page: z.number(), taskId: z.string() }).optional(),
});

/** What a heartbeat carries: counts, never a record. */
export type Progress = z.infer<typeof progressSchema>;

export interface AttemptOptions {
  /** Divides the guide's delays; see `retryDelayMs`. */
  readonly timeScale: number;
  readonly heartbeatEveryMs: number;
}

export interface Attempt {
  readonly progress: Readonly<Progress>;
  /** Notes where the Activity is; no failure is forgiven by it. */
  note(changes: Partial<Progress>): void;
  /** Something was achieved: failures count from 1 again. */
  progressed(changes?: Partial<Progress>): void;
  /** What to throw for this error; a failure of Maesn is counted. */
  toFailure(error: unknown, about?: FailureAbout): unknown;
  end(): void;
}

/** A thousand pages are told in seconds; each heartbeat costs as much as a record. */
const TELL_EVERY_MS = 500;

export function startAttempt({ timeScale, heartbeatEveryMs }: AttemptOptions): Attempt {
  const earlier: unknown = activityInfo().heartbeatDetails;
  let progress: Progress = progressSchema.safeParse(earlier ?? {}).data ?? { failures: {}, retries: 0 };
  let beatAt = -Infinity;
  const beat = () => {
    beatAt = performance.now();
    heartbeat(progress);
  };
  beat();
  // A slow answer is not a dead Worker: the heartbeat does not wait for it.
  const ticking = setInterval(beat, heartbeatEveryMs);

  /** A task, or failures that are over, are told at once; where it is, now and then: the store knows better. */
  function change(changes: Partial<Progress>): void {
    const { task, failures } = progress;
    progress = { ...progress, ...changes };
    const isNews = progress.task !== task || Object.keys(failures).length !== Object.keys(progress.failures).length;
    if (isNews || performance.now() - beatAt >= TELL_EVERY_MS) beat();
  }

  return {
    get progress() {
      return progress;
    },
    note(changes) {
      change(changes);
    },
    progressed(changes = {}) {
      change({ ...changes, failures: {} });
    },
    toFailure(error, about = {}) {
      if (cancellationDetails()?.workerShutdown === true) return workerShutdown();
      if (isTemporalFailure(error)) return error;
      const type = isMaesnError(error) ? error.failure.type : UNEXPECTED;
      const failureCount = (progress.failures[type] ?? 0) + 1;
      const { retries, page } = progress;
      const failure = isMaesnError(error)
        ? toApplicationFailure(error.failure, { ...about, failureCount, retries, page, timeScale })
        : toUnexpectedFailure(error, failureCount);
      if (failure.nonRetryable !== true)
        count('maesn_sync_retries_total', { target_system: targetSystemOf(error), type });
      progress = { ...progress, failures: { ...progress.failures, [type]: failureCount }, retries: retries + 1 };
      beat();
      return failure;
    },
    end() {
      clearInterval(ticking);
    },
  };
}
