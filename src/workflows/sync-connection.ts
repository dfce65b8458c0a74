import {
  ApplicationFailure,
  CancellationScope,
  CancelledFailure,
  allHandlersFinished,
  condition,
  continueAsNew,
  setHandler,
  workflowInfo,
} from '@temporalio/workflow';
import type { Resource } from '../spec/resources.js';
import { pullResource } from './activities.js';
import { receiveReauthorization } from './await-reauthorization.js';
import { causeOf, endedByCancellation } from './failures.js';
import { pauseUpdate, resumeUpdate, statusQuery, syncNowSignal } from './messages.js';
import type { PauseInput, PullTask, SyncConnectionInput, SyncReport } from './messages.js';
import { concernsOneResource, createSyncState } from './sync-state.js';

/**
 * Pulls the chosen resources of one connection, one after the other: one place to stop at a 401, one cursor to go on
 * from. With `everyMs` each run is one cycle and the Workflow continues as new.
 */
export async function syncConnection(input: SyncConnectionInput): Promise<SyncReport> {
  const { connectionId, everyMs, dueAt } = input;
  const walkId = workflowInfo().runId;
  const state = createSyncState(input);
  const awaitReauthorization = receiveReauthorization(connectionId);
  let pulling: CancellationScope | undefined;
  let askedFor = false;

  setHandler(statusQuery, () => state.status());
  setHandler(syncNowSignal, () => {
    askedFor = true;
  });
  setHandler(
    pauseUpdate,
    ({ reason }) => {
      state.pause({ reason });
      pulling?.cancel();
      return state.status();
    },
    {
      validator: (because) => {
        refuseIf(!isPauseInput(because), 'InvalidInput', 'pause takes { reason }, a text of at most 500 characters');
        refuseIf(state.paused !== undefined, 'AlreadyPaused', 'the sync is paused already');
      },
    },
  );
  setHandler(
    resumeUpdate,
    () => {
      state.resume();
      return state.status();
    },
    { validator: () => refuseIf(state.paused === undefined, 'NotPaused', 'the sync is not paused') },
  );

  // Waiting inside the run, not between runs: a run that has not begun would be deaf to all of the above.
  if (dueAt !== undefined) await condition(() => askedFor, Math.max(1, dueAt - Date.now()), { summary: 'next cycle' });
  await condition(() => state.paused === undefined);
  state.startCycle();
  const startedAtMs = Date.now();
  for (const resource of input.resources) await pull(resource);

  if (everyMs !== undefined) {
    await condition(allHandlersFinished);
    return continueAsNew<typeof syncConnection>({
      ...input,
      dueAt: startedAtMs + everyMs,
      cycle: state.status().cycle + 1,
      paused: state.paused,
      lastReport: state.report(),
    });
  }
  const failed = state.failedResources();
  if (failed.length === 0) return state.report();
  throw ApplicationFailure.create({
    type: 'SyncFailed',
    message: `${failed.length} of ${input.resources.length} resources failed: ${failed.join(', ')}. All others are in the store.`,
    nonRetryable: true,
    details: [state.report()],
  });

  /** To the resource's end, however often it is paused or has to wait. */
  async function pull(resource: Resource): Promise<void> {
    state.startResource(resource);
    let task: PullTask | undefined;
    for (;;) {
      await condition(() => state.paused === undefined);
      pulling = new CancellationScope();
      try {
        const result = await pulling.run(() =>
          pullResource.executeWithOptions({ summary: `${resource} of ${connectionId}` }, [
            { connectionId, resource, walkId, task },
          ]),
        );
        state.pulled(result);
        ({ task } = result);
        if (result.done) return;
      } catch (error) {
        if (endedByCancellation(error)) {
          // A pause cancels the pull alone; whoever cancels the Workflow cancels everything.
          if (CancellationScope.current().consideredCancelled) throw new CancelledFailure('the sync was cancelled');
          continue;
        }
        const cause = causeOf(error);
        if (cause.type === 'Unauthorized') {
          state.awaiting(cause);
          if ((await awaitReauthorization(cause.details?.keyVersion ?? 0)) === 'expired') throw expired(connectionId);
          state.reauthorized();
          continue;
        }
        if (!concernsOneResource(cause)) throw ApplicationFailure.nonRetryable(cause.message, cause.type);
        state.gaveUp(cause);
        return;
      } finally {
        pulling = undefined;
      }
    }
  }
}

/** An Update can come from anybody who reaches the Temporal server. */
function isPauseInput(value: unknown): value is PauseInput {
  if (typeof value !== 'object' || value === null || !('reason' in value)) return false;
  return typeof value.reason === 'string' && value.reason.length <= 500;
}

function refuseIf(refused: boolean, type: string, message: string): void {
  if (refused) throw ApplicationFailure.nonRetryable(message, type);
}

function expired(connectionId: string): ApplicationFailure {
  return ApplicationFailure.nonRetryable(
    `Nobody signed in again for connection ${connectionId} in time. Reconnect it, then start the sync again.`,
    'ReauthorizationExpired',
  );
}
