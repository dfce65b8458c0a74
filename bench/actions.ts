/** What a Workflow costs at Temporal. Pure. */

/** The Activity that sends them, and how often they reach the server. */
export interface Heartbeats {
  readonly activity: string;
  readonly everyMs: number;
}

type Count = number | bigint | { toString(): string };

/** The part of an event of a history that is looked at. */
export interface HistoryEvent {
  readonly eventId?: Count | null;
  readonly eventTime?: { readonly seconds?: Count | null; readonly nanos?: number | null } | null;
  readonly activityTaskScheduledEventAttributes?: {
    readonly activityType?: { readonly name?: string | null } | null;
  } | null;
  readonly activityTaskStartedEventAttributes?: {
    readonly attempt?: number | null;
    readonly scheduledEventId?: Count | null;
  } | null;
  readonly activityTaskCompletedEventAttributes?: Ended | null;
  readonly activityTaskFailedEventAttributes?: Ended | null;
  readonly activityTaskCanceledEventAttributes?: Ended | null;
  readonly workflowExecutionStartedEventAttributes?: object | null;
  readonly workflowExecutionSignaledEventAttributes?: object | null;
  readonly workflowExecutionUpdateAcceptedEventAttributes?: object | null;
  readonly timerStartedEventAttributes?: object | null;
  readonly signalExternalWorkflowExecutionInitiatedEventAttributes?: object | null;
  readonly upsertWorkflowSearchAttributesEventAttributes?: object | null;
  readonly markerRecordedEventAttributes?: { readonly workflowTaskCompletedEventId?: Count | null } | null;
}

interface Ended {
  readonly startedEventId?: Count | null;
}

/**
 * About what Temporal Cloud would bill: Workflows started (also as new), attempts of Activities, the Local Activities of a Workflow
 * Task as one, timers, Signals, Updates, changes of search attributes, and heartbeats. These are not in a history: as many are
 * counted as fit into the time of the Activity that sends them.
 */
export function countActions(history: readonly HistoryEvent[], heartbeats?: Heartbeats): number {
  const beatingSince = new Map<string, number>();
  const beating = new Set<string>();
  const tasksWithMarkers = new Set<string>();
  let actions = 0;
  for (const event of history) {
    const id = String(event.eventId);
    const scheduled = event.activityTaskScheduledEventAttributes;
    const started = event.activityTaskStartedEventAttributes;
    const ended =
      event.activityTaskCompletedEventAttributes ??
      event.activityTaskFailedEventAttributes ??
      event.activityTaskCanceledEventAttributes;
    if (isSet(scheduled) && scheduled.activityType?.name === heartbeats?.activity) beating.add(id);
    if (isSet(started)) {
      actions += started.attempt ?? 1;
      if (beating.has(String(started.scheduledEventId))) beatingSince.set(id, toMs(event));
    }
    const since = isSet(ended) ? beatingSince.get(String(ended.startedEventId)) : undefined;
    if (since !== undefined && heartbeats !== undefined)
      actions += Math.ceil((toMs(event) - since) / heartbeats.everyMs);
    const marker = event.markerRecordedEventAttributes;
    if (isSet(marker)) tasksWithMarkers.add(String(marker.workflowTaskCompletedEventId));
    if (BILLED.some((name) => isSet(event[name]))) actions += 1;
  }
  return actions + tasksWithMarkers.size;
}

function isSet<Value>(value: Value): value is NonNullable<Value> {
  return value !== null && value !== undefined;
}

const BILLED = [
  'workflowExecutionStartedEventAttributes',
  'workflowExecutionSignaledEventAttributes',
  'workflowExecutionUpdateAcceptedEventAttributes',
  'timerStartedEventAttributes',
  'signalExternalWorkflowExecutionInitiatedEventAttributes',
  'upsertWorkflowSearchAttributesEventAttributes',
] as const satisfies readonly (keyof HistoryEvent)[];

function toMs({ eventTime }: HistoryEvent): number {
  return Number(eventTime?.seconds ?? 0) * 1_000 + (eventTime?.nanos ?? 0) / 1e6;
}
