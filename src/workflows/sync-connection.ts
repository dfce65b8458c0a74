import {
  ApplicationFailure,
  CancellationScope,
  CancelledFailure,
  allHandlersFinished,
  condition,
  isCancellation,
  setHandler,
  sleep,
  workflowInfo,
} from '@temporalio/workflow';
import type { ActivityOptions } from '@temporalio/workflow';
import { MAXIMUM_EVERY_MS, cycleIntervalMs } from '../spec/cadence.js';
import { RESOURCE_NAMES } from '../spec/resources.js';
import type { Resource } from '../spec/resources.js';
import {
  beginCycle,
  decideDeletes,
  HINTED,
  pauseConnection,
  pullResource,
  readHints,
  readHolds,
  readUnsupported,
  resumeConnection,
  tellApplication,
} from './activities.js';
import { receiveReauthorization } from './await-reauthorization.js';
import { continueUnlessCancelled } from './continue-as-new.js';
import { causeOf, endedByCancellation } from './failures.js';
import {
  decideDeletesUpdate,
  hintedSignal,
  holdsChangedSignal,
  pauseUpdate,
  planSignal,
  resumeUpdate,
  statusQuery,
  syncNowSignal,
} from './messages.js';
import type {
  DecideDeletesInput,
  PauseInput,
  PullResourceInput,
  PullResourceResult,
  PullSmallInput,
  PullTask,
  RepeatingPlan,
  ResumeInput,
  SyncConnectionInput,
  SyncReport,
  UnsupportedResources,
} from './messages.js';
import { isOneOf, isText, refuseIf } from './inputs.js';
import { receiveRetrying } from './retrying.js';
import { createSmallPulls } from './small-pulls.js';
import type { SmallPullsOfWalk } from './small-pulls.js';
import { concernsOneResource, createSyncState } from './sync-state.js';

/**
 * Webhooks come in bursts: what they hint at is pulled once, this long after the first of them. When the next one comes
 * sooner than that after a pull, it waits twice as long, and so on.
 */
const HINT_DELAY_MS = 2_000;
const MAXIMUM_HINT_DELAY_MS = 60_000;

/**
 * Pulls the chosen resources of one connection, one after the other: one place to stop at a 401, one cursor to go on
 * from. With `everyMs` each run is one cycle and the Workflow continues as new.
 */
export async function syncConnection(input: SyncConnectionInput): Promise<SyncReport> {
  const { connectionId, dueAt } = input;
  const { runId } = workflowInfo();
  const state = createSyncState(input);
  const awaitReauthorization = receiveReauthorization(connectionId);
  const retrying = receiveRetrying(() => state.retrying(retrying.report));
  let pulling: CancellationScope | undefined;
  /** What the runs after this one are to do, where it is something else. */
  let replanned: RepeatingPlan | undefined;
  /** Asked for, and not begun. */
  let asks = 0;
  let hinted = input.hinted === true;
  let hintedWalks = 0;
  let hintDelayMs = HINT_DELAY_MS;
  let hintsPulledAt = 0;
  /** Who waits for the end user does not look: what may be held then, the store knows, and no Update is refused for it. */
  let holdsChanged = input.holdsChanged === true;
  let unsupported: UnsupportedResources = {};

  setHandler(statusQuery, () => state.status());
  setHandler(syncNowSignal, () => void (asks += 1));
  setHandler(planSignal, replan);
  setHandler(hintedSignal, () => void (hinted = true));
  setHandler(holdsChangedSignal, async () => {
    holdsChanged = true;
    const scope = pulling;
    if (scope === undefined) return;
    // What waits for its next attempt goes on waiting where nothing is held.
    const holds = await readHolds({ connectionId }).catch(() => []);
    if (holds.length > 0 && pulling === scope) scope.cancel();
  });
  setHandler(
    pauseUpdate,
    async ({ reason, by }) => {
      state.held(await pauseConnection({ connectionId, reason, by }));
      readHoldsAgain();
      return state.status();
    },
    {
      validator: (because) => {
        refuseIf(
          !isPauseInput(because),
          'InvalidInput',
          'pause takes { reason, by? }, texts of at most 500 characters',
        );
        refuseIf(state.isPaused && !holdsChanged, 'AlreadyPaused', 'the sync is paused already');
      },
    },
  );
  setHandler(
    resumeUpdate,
    async ({ by } = {}) => {
      state.held(await resumeConnection({ connectionId, by }));
      readHoldsAgain();
      return state.status();
    },
    {
      validator: (who) => {
        refuseIf(!isResumeInput(who), 'InvalidInput', 'resume takes { by? }, a text of at most 500 characters');
        refuseIf(!state.isPaused && !holdsChanged, 'NotPaused', 'the sync is not paused');
      },
    },
  );
  setHandler(
    decideDeletesUpdate,
    async ({ decision, by }) => {
      state.held(await decideDeletes({ connectionId, decision, by }));
      readHoldsAgain();
      return state.status();
    },
    {
      validator: (decided) => {
        refuseIf(
          !isDecision(decided),
          'InvalidInput',
          'decideDeletes takes { decision, by? }: "delete" or "keep", and a text of at most 500 characters',
        );
        refuseIf(!state.isGuarded && !holdsChanged, 'NothingToDecide', 'no deletes wait for a decision');
      },
    },
  );

  return state.toEnd(runCycle);

  async function runCycle(): Promise<SyncReport> {
    try {
      // Waiting inside the run, not between runs: a run that has not begun would be deaf to all of the above.
      if (dueAt !== undefined) await untilDue(dueAt);
      const startedAt = state.startCycle();
      const { cycle } = state.status();
      const { resources } = input;
      const begun = await whileNotHeld(() => beginCycle({ connectionId, runId, cycle, startedAt, resources }));
      ({ unsupported } = begun);
      const walk = { connectionId, walkId: runId, resources };
      const small = createSmallPulls(walk, begun);
      for (const resource of resources) {
        const known = unsupported[resource];
        if (known === undefined) await pull(resource, { ...walk, small });
        else state.skipped(resource, known);
      }
      if (hinted && (replanned ?? input).everyMs === undefined) await pullHinted();

      const report = state.report();
      const failures = state.failedResources();
      if (failures.length > 0) await tell('sync.failed', { cycle, ...report });
      else if (begun.completed !== true) await tell('sync.completed', { cycle, ...report });
      if (!allHandlersFinished()) await condition(allHandlersFinished);
      const { everyMs } = replanned ?? input;
      // Whoever has asked meanwhile wants another one: this one may have passed what they mean.
      if (everyMs !== undefined || asks > 0) {
        const failedCycles = state.isInVain ? (input.failedCycles ?? 0) + 1 : 0;
        // One that brought nothing may have taken long to do so: the pause after it is a whole one.
        const from = failedCycles === 0 ? Date.parse(startedAt) : Date.now();
        const isDueNow = everyMs === undefined || asks > 0;
        return await continueUnlessCancelled<typeof syncConnection>({
          ...handedOn(),
          failedCycles,
          dueAt: isDueNow ? Date.now() : from + cycleIntervalMs(everyMs, failedCycles),
          cycle: cycle + 1,
          lastReport: report,
        });
      }
      if (failures.length === 0) return report;
      throw ApplicationFailure.create({
        type: 'SyncFailed',
        message: `${failures.length} of ${input.resources.length} resources failed: ${failures.join(', ')}. All others are in the store.`,
        nonRetryable: true,
        details: [report],
      });
    } finally {
      // A hold that somebody is just placing or lifting is written before the Workflow ends.
      if (!allHandlersFinished()) await CancellationScope.nonCancellable(() => condition(allHandlersFinished));
    }
  }

  /** To the run that waits for the next cycle: it pulls what was hinted at meanwhile, and knows at once that it is held. */
  function handedOn(): SyncConnectionInput {
    return { ...input, ...replanned, hinted, holdsChanged: holdsChanged || state.isHeld };
  }

  function replan(given: unknown): void {
    if (!isPlan(given)) return;
    const { resources, everyMs } = given;
    const isAsItWas = JSON.stringify([resources, everyMs]) === JSON.stringify([input.resources, input.everyMs]);
    replanned = isAsItWas ? undefined : { resources, everyMs };
  }

  function readHoldsAgain(): void {
    holdsChanged = true;
    if (state.isHeld) pulling?.cancel();
  }

  async function untilDue(time: number): Promise<void> {
    while (Date.now() < time) {
      if (asks > 0) {
        // At most one is for later: it may have come when the cycle was over, which a Workflow Task that is done again does not know.
        asks = Math.min(asks - 1, 1);
        return;
      }
      if (holdsChanged) await readHoldsNow();
      if (hinted && !state.isHeld) await pullHinted();
      if (asks > 0) continue;
      const isDone = replanned !== undefined || workflowInfo().continueAsNewSuggested;
      // What they are about to change, the next run must know.
      if (isDone && !allHandlersFinished()) {
        await condition(allHandlersFinished);
        continue;
      }
      if (replanned !== undefined) {
        const nextAt = Math.min(time, Date.now() + replanned.everyMs);
        await continueUnlessCancelled<typeof syncConnection>({ ...handedOn(), dueAt: nextAt });
      }
      // A long wait with many hints must not outgrow a history.
      if (workflowInfo().continueAsNewSuggested) await continueUnlessCancelled<typeof syncConnection>(handedOn());
      const called = () => asks > 0 || holdsChanged || replanned !== undefined || (hinted && !state.isHeld);
      await condition(called, Math.max(1, time - Date.now()), { summary: 'next cycle' });
    }
  }

  async function readHoldsNow(): Promise<void> {
    holdsChanged = false;
    state.held(await readHolds({ connectionId }));
    // While it is held, nobody says what webhooks hint at.
    hinted ||= !state.isHeld;
  }

  /** What webhooks have hinted at. What they hint at meanwhile is for the next time: a cycle that is due is not held up. */
  async function pullHinted(): Promise<void> {
    hintDelayMs =
      Date.now() - hintsPulledAt < hintDelayMs ? Math.min(2 * hintDelayMs, MAXIMUM_HINT_DELAY_MS) : HINT_DELAY_MS;
    await sleep(hintDelayMs, { summary: 'more webhooks may come' });
    hinted = false;
    hintedWalks += 1;
    const walkId = `${runId}/${hintedWalks}`;
    const resources = await readHints({ connectionId, walkId, resources: input.resources });
    const walk = { connectionId, walkId, resources };
    const small = createSmallPulls(walk);
    for (const resource of resources) await pull(resource, { ...walk, small, options: HINTED });
    hintsPulledAt = Date.now();
  }

  /** Its answer, however often it has to wait: a hold cancels it, and it is asked again when nothing is held any more. */
  async function whileNotHeld<Answer>(ask: () => Promise<Answer>): Promise<Answer> {
    for (;;) {
      while (holdsChanged || state.isHeld) {
        if (!holdsChanged) await condition(() => holdsChanged);
        await readHoldsNow();
      }
      pulling = new CancellationScope();
      try {
        return await pulling.run(ask);
      } catch (error) {
        if (!endedByCancellation(error)) throw error;
        // A hold cancels the pull alone; whoever cancels the Workflow cancels everything.
        if (CancellationScope.current().consideredCancelled) throw new CancelledFailure('the sync was cancelled');
      } finally {
        pulling = undefined;
      }
    }
  }

  /** To the resource's end, however often it is held or has to wait. */
  async function pull(resource: Resource, walk: Walk): Promise<void> {
    state.startResource(resource);
    const ended = walk.small.ended(resource);
    if (ended !== undefined) {
      state.pulled(ended);
      return state.endResource();
    }
    let task: PullTask | undefined;
    for (;;) {
      try {
        const from = { connectionId, resource, walkId: walk.walkId, task };
        const result = await whileNotHeld(() => pullOnce(from, walk));
        if (result.held === true) {
          holdsChanged = true;
          continue;
        }
        state.pulled(result);
        ({ task } = result);
        if (result.done) return state.endResource();
      } catch (error) {
        if (isCancellation(error)) throw error;
        const cause = causeOf(error);
        if (cause.type === 'Unauthorized') {
          state.awaiting(cause);
          if ((await awaitReauthorization(cause.details?.keyVersion ?? 0)) === 'expired') {
            throw await failed(expired(connectionId));
          }
          state.reauthorized();
          // A new key may open more.
          unsupported = await readUnsupported({ connectionId });
          continue;
        }
        if (!concernsOneResource(cause)) throw await failed(ApplicationFailure.nonRetryable(cause.message, cause.type));
        state.gaveUp(cause);
        return state.endResource();
      }
    }
  }

  /** As far as one call goes. What is small is tried within the Workflow Task; what that does not bring to its end, an Activity does. */
  async function pullOnce(from: PullResourceInput, { small, options }: Walk): Promise<PullResourceResult> {
    const { resource } = from;
    const { result, met } = await small.take(resource);
    if (result?.done === true || result?.held === true) return result;
    const { task } = result ?? from;
    const summary = summaryOf(resource);
    return retrying.run((before) =>
      pullResource.executeWithOptions({ summary, ...options }, [
        { ...from, task, ...(before === undefined ? { met } : { before }) },
      ]),
    );
  }

  function summaryOf(resource: Resource): string {
    const { nextPage } = state;
    return `${resource} of ${connectionId}${nextPage === 1 ? '' : `, from page ${nextPage}`}`;
  }

  /** The application hears of it, unless the connection itself is what is gone. */
  async function failed(failure: ApplicationFailure): Promise<ApplicationFailure> {
    if (failure.type !== 'ConnectionNotFound') {
      const { type, message } = failure;
      await tell('sync.failed', { cycle: state.status().cycle, failure: { type, message }, ...state.report() });
    }
    return failure;
  }

  async function tell(type: 'sync.completed' | 'sync.failed', data: object): Promise<void> {
    await tellApplication({ connectionId, type, occasion: runId, data: { runId, ...data } });
  }
}

interface Walk extends PullSmallInput {
  readonly small: SmallPullsOfWalk;
  readonly options?: Pick<ActivityOptions, 'priority'>;
}

/** A Signal or an Update can come from anybody who reaches the Temporal server. */
function isPlan(value: unknown): value is RepeatingPlan {
  if (typeof value !== 'object' || value === null || !('resources' in value) || !('everyMs' in value)) return false;
  const { resources, everyMs } = value;
  return (
    Array.isArray(resources) &&
    resources.length > 0 &&
    resources.every((resource) => isOneOf(resource, RESOURCE_NAMES)) &&
    Number.isSafeInteger(everyMs) &&
    Number(everyMs) > 0 &&
    Number(everyMs) <= MAXIMUM_EVERY_MS
  );
}

function isPauseInput(value: unknown): value is PauseInput {
  return typeof value === 'object' && isResumeInput(value) && 'reason' in value && isText(value.reason);
}

function isResumeInput(value: unknown): value is ResumeInput {
  if (value === undefined) return true;
  return (
    typeof value === 'object' && value !== null && (!('by' in value) || value.by === undefined || isText(value.by))
  );
}

function isDecision(value: unknown): value is DecideDeletesInput {
  if (typeof value !== 'object' || value === null || !('decision' in value)) return false;
  return isResumeInput(value) && (value.decision === 'delete' || value.decision === 'keep');
}

function expired(connectionId: string): ApplicationFailure {
  return ApplicationFailure.nonRetryable(
    `Nobody signed in again for connection ${connectionId} in time. Reconnect it, then start the sync again.`,
    'ReauthorizationExpired',
  );
}
