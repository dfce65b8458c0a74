import {
  ActivityFailure,
  CancellationScope,
  CancelledFailure,
  condition,
  continueAsNew,
  setHandler,
} from '@temporalio/workflow';
import { describeRetrying, stateOfRetry } from '../spec/retry-text.js';
import { endSubscriptions, renewSubscriptions } from './activities.js';
import { receiveReauthorization } from './await-reauthorization.js';
import { continueUnlessCancelled } from './continue-as-new.js';
import { causeOf, endedByCancellation } from './failures.js';
import { syncStartedSignal } from './messages.js';
import type { KeepSubscribedInput, RefusedWebhooks } from './messages.js';
import { receiveRetrying } from './retrying.js';
import { createShownState } from './show-state.js';

/**
 * Has Maesn call us about one connection for as long as it is synced. Each run is one look at the subscriptions, which are
 * in the store; whatever becomes of this Workflow, the next one finds them there.
 */
export async function keepSubscribed({ connectionId, refused: earlier }: KeepSubscribedInput): Promise<void> {
  const awaitReauthorization = receiveReauthorization(connectionId);
  let refused: RefusedWebhooks | undefined = earlier;
  let syncStarted = false;
  let details = `Webhooks of connection \`${connectionId}\`.`;
  const shown = createShownState();
  const retrying = receiveRetrying(() => show());
  setHandler(syncStartedSignal, () => void (syncStarted = true));
  return shown.toEnd(keep);

  async function keep(): Promise<void> {
    try {
      if (await lookAndWait()) return await continueUnlessCancelled<typeof keepSubscribed>({ connectionId, refused });
      await end();
      // A sync that was started meanwhile wants them again.
      if (!syncStarted) return;
    } catch (error) {
      if (!endedByCancellation(error)) {
        if (causeOf(error).type === 'ConnectionNotFound') return;
        throw error;
      }
      await CancellationScope.nonCancellable(end);
      // The same here: a new run has not been cancelled.
      if (!syncStarted) throw new CancelledFailure('nobody syncs this connection any more');
    }
    return continueAsNew<typeof keepSubscribed>({ connectionId, refused });
  }

  /** `false`: they are not wanted any more. */
  async function lookAndWait(): Promise<boolean> {
    syncStarted = false;
    try {
      const result = await retrying.run((before) =>
        renewSubscriptions.executeWithOptions({ summary: `webhooks of ${connectionId}` }, [
          { connectionId, refused, nowMs: Date.now(), before },
        ]),
      );
      if (!result.wanted) return false;
      ({ refused } = result);
      details = describe(result.subscriptions, result.comeBackInMs);
      show();
      await condition(() => syncStarted, result.comeBackInMs, { summary: 'next look' });
      return true;
    } catch (error) {
      const cause = causeOf(error);
      if (cause.type !== 'Unauthorized' || endedByCancellation(error)) throw error;
      shown.show('AwaitingReauthorization', `${details}\n\nThe end user must sign in again.`);
      const outcome = await awaitReauthorization(cause.details?.keyVersion ?? 0);
      show();
      return outcome === 'reauthorized';
    }
  }

  async function end(): Promise<void> {
    try {
      await endSubscriptions({ connectionId });
    } catch (error) {
      // Maesn was not reached for an hour, or the connection is gone: what is left expires by itself.
      if (!(error instanceof ActivityFailure)) throw error;
    }
  }

  function show(): void {
    const { report } = retrying;
    if (report === undefined) shown.show('Idle', details);
    else shown.show(stateOfRetry(report), describeRetrying('Having Maesn call us', report));
  }

  function describe(subscriptions: number, comeBackInMs: number): string {
    return [
      `**${subscriptions} webhooks** of connection \`${connectionId}\`.`,
      `Looked at again at ${new Date(Date.now() + comeBackInMs).toISOString()}.`,
      ...Object.keys(refused ?? {}).map((kind) => `- not told by the target system: ${kind}`),
    ].join('\n\n');
  }
}
