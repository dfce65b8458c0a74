import { WorkflowNotFoundError } from '@temporalio/client';
import type { Client } from '@temporalio/client';
import type { SignalDefinition } from '@temporalio/common';

/** By id alone, without run: one that has continued as new meanwhile gets it too. `false`: there is no such Workflow (any more). */
export async function signalUnlessGone<Args extends unknown[]>(
  temporal: Client,
  workflowId: string,
  signal: SignalDefinition<Args>,
  ...args: Args
): Promise<boolean> {
  try {
    await temporal.workflow.getHandle(workflowId).signal(signal, ...args);
    return true;
  } catch (error) {
    if (isGone(error)) return false;
    throw error;
  }
}

/** Whether a Workflow that is asked or told something is not there (any more). */
export function isGone(error: unknown): boolean {
  return error instanceof WorkflowNotFoundError;
}
