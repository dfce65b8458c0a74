/** What a Workflow wants to know before it has an Activity begun anew, so that nothing is forgotten by that. */
import { activityInfo, getClient } from '@temporalio/activity';
import { decodeArrayFromPayloads } from '@temporalio/common/lib/internal-non-workflow/index.js';
import type { AttemptCounts } from '../workflows/messages.js';
import { parseProgress } from './attempt.js';

export interface ReadRetryResult {
  /** An Activity of the Workflow waits for its next attempt; one that is under way need not be begun anew. */
  readonly waits: boolean;
  /** What its attempts have met, and started. */
  readonly before?: AttemptCounts | undefined;
}

/** How long the server may take. */
const READ_WITHIN_MS = 10_000;

export function createReadRetry() {
  /** As Temporal has it: of the Workflow's Activity that failed last. */
  return async function readRetry(): Promise<ReadRetryResult> {
    const { workflowExecution } = activityInfo();
    if (workflowExecution === undefined) throw new Error('this Activity belongs to a Workflow');
    const client = getClient();
    const { workflowId, runId } = workflowExecution;
    const { raw } = await client.connection.withDeadline(Date.now() + READ_WITHIN_MS, () =>
      client.workflow.getHandle(workflowId, runId).describe(),
    );
    const waiting = raw.pendingActivities?.find(({ nextAttemptScheduleTime }) => nextAttemptScheduleTime);
    if (waiting === undefined) return { waits: false };
    const [details] = await decodeArrayFromPayloads(
      client.options.loadedDataConverter,
      waiting.heartbeatDetails?.payloads,
    );
    const progress = parseProgress(details);
    if (progress === undefined) return { waits: true };
    const { failures, retries, failingSince, task } = progress;
    return { waits: true, before: { failures, retries, failingSince, task } };
  };
}
