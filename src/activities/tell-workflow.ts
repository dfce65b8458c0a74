/** What an Activity tells its own Workflow while it runs: a Workflow cannot see that its Activity is being retried. */
import { activityInfo, getClient } from '@temporalio/activity';
import { progressedSignal, retryingSignal } from '../workflows/messages.js';
import type { RetryingReport } from '../workflows/messages.js';

/** The server is asked for one thing only. What is not told now is told at the next occasion. */
const TELL_WITHIN_MS = 5_000;

/** Whether it was told: whatever becomes of that, the Activity does what it would have done. */
export async function tellRetrying(report: RetryingReport): Promise<boolean> {
  return signalled((handle) => handle.signal(retryingSignal, report));
}

export async function tellProgressed(): Promise<boolean> {
  return signalled((handle) => handle.signal(progressedSignal));
}

type Handle = ReturnType<ReturnType<typeof getClient>['workflow']['getHandle']>;

async function signalled(tell: (handle: Handle) => Promise<void>): Promise<boolean> {
  const { workflowExecution } = activityInfo();
  if (workflowExecution === undefined) return false;
  const { workflowId, runId } = workflowExecution;
  try {
    const client = getClient();
    const handle = client.workflow.getHandle(workflowId, runId);
    await client.connection.withDeadline(Date.now() + TELL_WITHIN_MS, () => tell(handle));
    return true;
  } catch {
    return false;
  }
}
