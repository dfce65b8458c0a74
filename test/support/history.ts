/** Reading what Temporal wrote down. */
import type { Client } from '@temporalio/client';
import { tsToMs } from '@temporalio/common/lib/time.js';
import { historyToJSON } from '@temporalio/common/lib/proto-utils.js';
import protoModule from '@temporalio/proto';
import { z } from 'zod';

const { EventType } = protoModule.temporal.api.enums.v1;

export interface HistoryEvent {
  readonly type: string;
  /** Milliseconds since 1970; virtual time where the Workflow skips. */
  readonly atMs: number;
  /** For a skip of time: when the next attempt, or timer, was due. */
  readonly skippedToMs: number | undefined;
}

export async function readEvents(temporal: Client, workflowId: string, runId?: string): Promise<HistoryEvent[]> {
  const { events } = await temporal.workflow.getHandle(workflowId, runId).fetchHistory();
  return (events ?? []).map((event) => {
    const target = event.workflowExecutionTimeSkippingTransitionedEventAttributes?.targetTime;
    return {
      type: (EventType[event.eventType ?? 0] ?? 'unknown').replace('EVENT_TYPE_', ''),
      atMs: tsToMs(event.eventTime),
      skippedToMs: target ? tsToMs(target) : undefined,
    };
  });
}

/** The whole history as text, every payload decoded: what anybody who can read it can read. */
export async function readHistoryText(temporal: Client, workflowId: string, runId?: string): Promise<string> {
  const text = historyToJSON(await temporal.workflow.getHandle(workflowId, runId).fetchHistory());
  const decoded: unknown = JSON.parse(text, (name, value: unknown) =>
    name === 'data' && typeof value === 'string' ? Buffer.from(value, 'base64').toString('utf8') : value,
  );
  return JSON.stringify(decoded);
}

/** Names of the Signals that came, in order. */
export async function readSignals(temporal: Client, workflowId: string): Promise<string[]> {
  const { events } = await temporal.workflow.getHandle(workflowId).fetchHistory();
  return (events ?? []).flatMap(({ workflowExecutionSignaledEventAttributes: signalled }) =>
    signalled?.signalName ? [signalled.signalName] : [],
  );
}

const metadata = z.object({ currentDetails: z.string() });

/** What the Temporal UI shows as the Workflow's current details. */
export async function readDetails(temporal: Client, workflowId: string): Promise<string> {
  return metadata.parse(await temporal.workflow.getHandle(workflowId).query('__temporal_workflow_metadata'))
    .currentDetails;
}

/** Of a Local Activity's marker, what the SDK notes. */
const localActivity = z.object({ activity_type: z.string() });

/** Names of the Activities in the order in which they were scheduled, or had ended within a Workflow Task. */
export async function readActivities(temporal: Client, workflowId: string, runId?: string): Promise<string[]> {
  const { events } = await temporal.workflow.getHandle(workflowId, runId).fetchHistory();
  return (events ?? []).flatMap((event) => {
    const scheduled = event.activityTaskScheduledEventAttributes?.activityType?.name;
    if (typeof scheduled === 'string') return [scheduled];
    const data = event.markerRecordedEventAttributes?.details?.['data']?.payloads?.[0]?.data;
    if (event.markerRecordedEventAttributes?.markerName !== 'core_local_activity' || !data) return [];
    return [`${localActivity.parse(JSON.parse(Buffer.from(data).toString())).activity_type} (local)`];
  });
}
