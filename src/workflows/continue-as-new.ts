import { CancellationScope, CancelledFailure, continueAsNew } from '@temporalio/workflow';
import type { Workflow } from '@temporalio/workflow';

/**
 * To the next run, which would know nothing of a cancellation: one that comes in the same Workflow Task as what ends a wait does
 * not reject that wait.
 */
export async function continueUnlessCancelled<Next extends Workflow>(...args: Parameters<Next>): Promise<never> {
  if (CancellationScope.current().consideredCancelled) throw new CancelledFailure('it was cancelled');
  return continueAsNew<Next>(...args);
}
