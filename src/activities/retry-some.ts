/** Telling those that retry to make their next attempt now, some at a time. */
import { activityInfo, heartbeat, sleep } from '@temporalio/activity';
import type { Client } from '@temporalio/client';
import { z } from 'zod';
import { retryNowSignal } from '../workflows/messages.js';
import type { RetrySomeInput, RetrySomeResult } from '../workflows/messages.js';
import { MAESN_CONNECTION, retryingOf } from '../workflows/search-attributes.js';
import type { ActivityDependencies } from './dependencies.js';
import { signalUnlessGone } from './signal-workflow.js';

/** At most 20 a second, however many there are: Temporal, the Workers and the store have others to serve. */
const LEAST_APART_MS = 50;
/** What is further apart than that, the Workflow waits for. */
const WAITED_HERE_MS = 5_000;
/** One call takes no longer, so that the Workflow can say how far it is. */
const TELL_FOR_MS = 30_000;

const progressSchema = z.object({ after: z.string().optional(), told: z.number() });

export function createRetrySome({ store, temporal }: ActivityDependencies) {
  /** Safe to repeat: the one that it died at may be told twice, which is as once. */
  return async function retrySome({ targetSystem, by, until, after: from }: RetrySomeInput): Promise<RetrySomeResult> {
    const earlier: unknown = activityInfo().heartbeatDetails;
    let { after = from, told } = progressSchema.safeParse(earlier).data ?? { told: 0 };
    const startedAt = Date.now();
    const waiting = (await listRetrying(temporal, targetSystem)).filter(({ workflowId }) => workflowId > (after ?? ''));
    let left = waiting.length;
    for (const { workflowId, connectionId } of waiting) {
      await signalUnlessGone(temporal, workflowId, retryNowSignal);
      await store.journal.add({
        connectionId,
        actor: by,
        action: 'sync.retried',
        detail: { workflowId, targetSystem },
        occasion: `${activityInfo().workflowExecution?.runId ?? ''}, ${workflowId}`,
      });
      after = workflowId;
      told += 1;
      left -= 1;
      heartbeat({ after, told });
      const nextInMs = Math.max(LEAST_APART_MS, (until - Date.now()) / Math.max(1, left));
      const isOver = nextInMs > WAITED_HERE_MS || Date.now() - startedAt > TELL_FOR_MS;
      if (left > 0 && isOver) return { after, told, left, nextInMs: Math.round(nextInMs) };
      if (left > 0) await sleep(nextInMs);
    }
    return { after, told, left: 0, nextInMs: 0 };
  };
}

async function listRetrying(temporal: Client, targetSystem: string) {
  const found: { readonly workflowId: string; readonly connectionId: string }[] = [];
  for await (const { workflowId, typedSearchAttributes } of temporal.workflow.list({
    query: retryingOf({ targetSystem }),
  })) {
    const connectionId = typedSearchAttributes.get(MAESN_CONNECTION);
    if (connectionId !== undefined) found.push({ workflowId, connectionId });
  }
  return found.toSorted((a, b) => (a.workflowId < b.workflowId ? -1 : 1));
}
