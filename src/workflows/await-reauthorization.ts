/** The step in which a Workflow stands still until its connection's end user has signed in again. */
import { CancellationScope, condition, isCancellation, setHandler } from '@temporalio/workflow';
import { joinReauthorization, leaveReauthorization } from './activities.js';
import { reauthorizationSettledSignal } from './messages.js';
import type { ReauthorizationSettled } from './messages.js';

/**
 * Call once, before the first await. The function it gives resolves when the Workflow may try again, or is told that
 * nobody signed in in time. A Signal that comes too early or twice only leads to another try, which joins again.
 */
export function receiveReauthorization(connectionId: string) {
  let outcome: ReauthorizationSettled['outcome'] | undefined;
  setHandler(reauthorizationSettledSignal, (settled: Partial<ReauthorizationSettled> | undefined) => {
    // Whatever a stranger may have signalled, only the word itself ends the wait for good.
    outcome = settled?.outcome === 'expired' ? 'expired' : 'reauthorized';
  });
  const settled = () => outcome;

  return async function awaitReauthorization(refusedVersion: number): Promise<ReauthorizationSettled['outcome']> {
    outcome = undefined;
    try {
      if ((await joinReauthorization({ connectionId, refusedVersion })) === 'proceed') return 'reauthorized';
      await condition(() => outcome !== undefined);
    } catch (error) {
      if (isCancellation(error)) await CancellationScope.nonCancellable(() => leaveReauthorization({ connectionId }));
      throw error;
    }
    return settled() ?? 'reauthorized';
  };
}
