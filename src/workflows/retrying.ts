/** The Activity of a Workflow that is tried again and again: what it tells, and having its next attempt made now. */
import { HandlerUnfinishedPolicy } from '@temporalio/common';
import { CancellationScope, setHandler } from '@temporalio/workflow';
import { readRetry } from './activities.js';
import { endedByCancellation } from './failures.js';
import { isText } from './inputs.js';
import { progressedSignal, retryNowSignal, retryingSignal } from './messages.js';
import type { AttemptCounts, RetryingReport } from './messages.js';

export interface Retrying {
  /** Set while the Activity that runs has failed three times in a row, or waits for long. */
  readonly report: RetryingReport | undefined;
  /**
   * Runs an Activity, which may be begun anew: what its attempts had met goes along, so that "retry now" changes when the
   * next attempt is made, and nothing else.
   */
  run<Result>(activity: (before: AttemptCounts | undefined) => Promise<Result>): Promise<Result>;
}

/** Call once, before the first await. A Workflow has one Activity at a time that is run by it. */
export function receiveRetrying(onChange: () => void): Retrying {
  let report: RetryingReport | undefined;
  let running: CancellationScope | undefined;
  let before: AttemptCounts | undefined;
  let isBegunAnew = false;

  function change(to: RetryingReport | undefined): void {
    if (report === to) return;
    report = to;
    onChange();
  }

  setHandler(retryingSignal, (given) => {
    // One that comes when the Activity has ended is from an attempt that nobody waits for.
    if (running !== undefined) change(parseReport(given) ?? report);
  });
  setHandler(progressedSignal, () => change(undefined));
  setHandler(
    retryNowSignal,
    async () => {
      const scope = running;
      if (scope === undefined) return;
      // Where Temporal does not say, the attempt is made now all the same.
      const read = await readRetry().catch(() => ({ waits: true, before: undefined }));
      if (running !== scope || !read.waits) return;
      ({ before } = read);
      isBegunAnew = true;
      scope.cancel();
    },
    // A Workflow that ends meanwhile has nothing to make now.
    { unfinishedPolicy: HandlerUnfinishedPolicy.ABANDON },
  );

  return {
    get report() {
      return report;
    },
    async run(activity) {
      before = undefined;
      for (;;) {
        isBegunAnew = false;
        running = new CancellationScope();
        try {
          const given = before;
          return await running.run(() => activity(given));
        } catch (error) {
          // Whoever cancels more than this Activity means more than its next attempt.
          const isMeant = isBegunAnew && !CancellationScope.current().consideredCancelled;
          if (!isMeant || !endedByCancellation(error)) throw error;
        } finally {
          running = undefined;
          change(undefined);
        }
      }
    },
  };
}

/** A Signal can come from anybody who reaches the Temporal server. `undefined`: it is no report. */
export function parseReport(given: unknown): RetryingReport | undefined {
  if (typeof given !== 'object' || given === null) return undefined;
  const {
    type,
    request,
    status,
    page,
    failures,
    since,
    nextAttemptAt,
    incidentId,
  }: Partial<Record<keyof RetryingReport, unknown>> = given;
  if (!isText(type) || !isCount(failures) || !isTime(since)) return undefined;
  return {
    type,
    failures,
    since,
    request: isText(request) ? request : undefined,
    status: isCount(status) ? status : undefined,
    page: isCount(page) ? page : undefined,
    nextAttemptAt: isTime(nextAttemptAt) ? nextAttemptAt : undefined,
    incidentId: isCount(incidentId) ? incidentId : undefined,
  };
}

function isCount(value: unknown): value is number {
  return typeof value === 'number' && Number.isSafeInteger(value) && value >= 0;
}

function isTime(value: unknown): value is string {
  return typeof value === 'string' && /^\d{4}-\d\d-\d\dT[\d:.]{5,12}Z$/.test(value);
}
