/**
 * What is said to the Workflows and what they answer. Signals, Updates and Queries carry ids, counts and times;
 * never a key, never a record. A Signal's payload is not trusted: what counts is read from the store.
 */
import { defineQuery, defineSignal, defineUpdate } from '@temporalio/workflow';
import type { FailureType } from '../spec/error-guide.js';
import { BEFORE_WALKS, sharedTurns } from '../spec/fairness.js';
import type { Resource } from '../spec/resources.js';
import { searchAttributesOf } from './search-attributes.js';
import type { SearchedBy } from './search-attributes.js';

/** Where an operator finds what to do. */
const RUNBOOK = 'What each state looks like, and what to do: `docs/runbook.md` of maesn-sync.';

// --- syncConnection -------------------------------------------------------------------------------------------

/** One per connection: the id is the mutex. */
export function syncConnectionId(connectionId: string): string {
  return `sync/${connectionId}`;
}

/** How everybody starts it who may. */
export function syncConnectionStart(of: OfOneConnection, input: SyncConnectionInput, taskQueue: string) {
  const { connectionId, targetSystem } = of;
  const args: [SyncConnectionInput] = [input];
  return {
    taskQueue,
    workflowId: syncConnectionId(connectionId),
    args,
    staticSummary: `${connectionId} (${targetSystem})`,
    staticDetails: `Pulls the books of \`${connectionId}\` from ${targetSystem} into the store, page by page; with an interval, again and again. ${RUNBOOK}`,
    priority: sharedTurns(connectionId),
    typedSearchAttributes: searchAttributesOf(of, 'Syncing'),
  };
}

/** Whose Workflow it is: the connection's row, or as much of it. */
export interface OfOneConnection extends SearchedBy {
  readonly connectionId: string;
  readonly targetSystem: string;
}

/** What a sync is to do. */
export interface SyncPlan {
  readonly resources: readonly Resource[];
  /** Milliseconds from the start of one cycle to the start of the next. Absent: one cycle, then the Workflow ends. */
  readonly everyMs?: number | undefined;
}

export interface RepeatingPlan extends SyncPlan {
  readonly everyMs: number;
}

export interface SyncConnectionInput extends SyncPlan {
  readonly connectionId: string;
  /** When this cycle is due, in milliseconds since 1970. Absent: at once. */
  readonly dueAt?: number | undefined;
  /** From 1; carried from run to run. */
  readonly cycle?: number | undefined;
  readonly lastReport?: SyncReport | undefined;
  /** A webhook has hinted at something that the run before did not come to. */
  readonly hinted?: boolean | undefined;
  /** The connection was held, or may have been, when the run before ended. */
  readonly holdsChanged?: boolean | undefined;
  /** How many cycles in a row, up to the one before, have brought nothing at all. */
  readonly failedCycles?: number | undefined;
}

export type ResourceStatus = 'waiting' | 'syncing' | 'completed' | 'unsupported' | 'failed';

export interface ResourceReport extends WalkCounts {
  readonly status: ResourceStatus;
  /** Failures that were tried again. */
  readonly retries: number;
  /** How often the walk stood still for reauthorisation. */
  readonly reauthorizations: number;
  /** Page on which it last stood still for reauthorisation. */
  readonly parkedAtPage?: number;
  readonly failure?: ResourceFailure;
}

export interface ResourceFailure {
  /** A row of the error guide. */
  readonly type: string;
  readonly message: string;
  /** What Maesn, the target system and the validation said; the first entries of each. */
  readonly errors?: readonly unknown[] | undefined;
  readonly downstreamErrors?: readonly unknown[] | undefined;
  readonly validationErrors?: readonly unknown[] | undefined;
}

export type SyncReport = {
  readonly startedAt: string;
  readonly endedAt: string;
  readonly resources: Partial<Record<Resource, ResourceReport>>;
};

/** `Retrying`: three failures in a row, and nothing since. `Waiting`: fewer, and the next attempt is minutes away or more. `Paused`: a person has placed a hold; `Held`: only maesn-sync itself has. */
export type SyncState = 'Idle' | 'Syncing' | 'Retrying' | 'Waiting' | 'AwaitingReauthorization' | 'Paused' | 'Held';

export interface SyncConnectionStatus {
  readonly state: SyncState;
  /** ISO 8601: when this state began. */
  readonly since: string;
  readonly cycle: number;
  /** What is being pulled, or will be when it goes on. */
  readonly resource?: Resource | undefined;
  /** What keeps the connection from running, as the Workflow last read it; the store knows best. */
  readonly holds: readonly HoldReport[];
  /** ISO 8601: when the next cycle starts, while idle. */
  readonly nextCycleAt?: string | undefined;
  readonly resources: Partial<Record<Resource, ResourceReport>>;
  readonly lastReport?: SyncReport | undefined;
  /** While it is `Retrying` or `Waiting`. */
  readonly retrying?: RetryingReport | undefined;
  /** How many cycles in a row have brought nothing at all: with each, the next is later. */
  readonly failedCycles?: number | undefined;
}

/** A hold as the Workflow shows it. */
export interface HoldReport {
  readonly kind: string;
  readonly placedBy: string;
  readonly reason: string;
  /** ISO 8601 */
  readonly since: string;
}

export interface PauseInput {
  /** Shown to whoever wonders why nothing moves. At most 500 characters. */
  readonly reason: string;
  /** Who it was, for the journal. Default: somebody at Temporal. */
  readonly by?: string | undefined;
}

export interface ResumeInput {
  readonly by?: string | undefined;
}

export interface DecideDeletesInput {
  /** `keep`: they stay as they are; the next full walk asks again. */
  readonly decision: 'delete' | 'keep';
  readonly by?: string | undefined;
}

export const statusQuery = defineQuery<SyncConnectionStatus>('status');
/** For people at Temporal's UI or CLI: as `pauseSync`. Stops after the page in flight. Refused while paused. */
export const pauseUpdate = defineUpdate<SyncConnectionStatus, [PauseInput]>('pause');
/** As `resumeSync`: lifts the pause and no other hold. Goes on at the page where it stopped. Refused while not paused. */
export const resumeUpdate = defineUpdate<SyncConnectionStatus, [ResumeInput | undefined]>('resume');
/** As `decideDeletes` of the client: whether what is not listed any more is deleted. Refused while nothing waits for it. */
export const decideDeletesUpdate = defineUpdate<SyncConnectionStatus, [DecideDeletesInput]>('decideDeletes');
/** A hold was placed or lifted: the store says which. */
export const holdsChangedSignal = defineSignal('holdsChanged');
/** Starts the next cycle of a repeating sync now; while a cycle is under way, of any sync, one more right after it. */
export const syncNowSignal = defineSignal('syncNow');
/** What a sync that runs already is to do from its next cycle on: it was to be started once more, with an interval. */
export const planSignal = defineSignal<[RepeatingPlan]>('plan');
/** A webhook has said that something changed: the store says what. */
export const hintedSignal = defineSignal('hinted');
/** From reauthorizeConnection: whoever stood still may go on, or give up. */
export const reauthorizationSettledSignal = defineSignal<[ReauthorizationSettled]>('reauthorizationSettled');

export interface ReauthorizationSettled {
  readonly outcome: 'reauthorized' | 'expired';
}

// --- all that call Maesn, or the application --------------------------------------------------------------------

/** Makes a failed request that waits for its next attempt now. One that is under way is let be. */
export const retryNowSignal = defineSignal('retryNow');
/** From an Activity of the Workflow itself: it has failed three times in a row, or waits long for its next attempt. */
export const retryingSignal = defineSignal<[RetryingReport]>('retrying');
/** From the same one: it gets on again. */
export const progressedSignal = defineSignal('progressed');

/** What an Activity that fails again and again tells its Workflow: no record, no key. */
export interface RetryingReport {
  /** A row of the error guide, or one of ours. */
  readonly type: string;
  /** Method and path, or where to: `GET /accounting/invoices`. */
  readonly request?: string | undefined;
  readonly status?: number | undefined;
  readonly page?: number | undefined;
  /** In a row, of any type, when it told. */
  readonly failures: number;
  /** ISO 8601: of the first of them. */
  readonly since: string;
  /** ISO 8601: of the attempt after the last of them. */
  readonly nextAttemptAt?: string | undefined;
  /** What explains it, and concerns others too. */
  readonly incidentId?: number | undefined;
}

/** What an attempt hands to the next one, also where the Activity is begun anew: counts, times, and the task that runs at Maesn. */
export interface AttemptCounts {
  /** Failures in a row, per failure type. */
  readonly failures: Readonly<Record<string, number>>;
  /** Failures that were tried again, in all. */
  readonly retries: number;
  /** ISO 8601: of the first of those in a row. */
  readonly failingSince?: string | undefined;
  readonly task?: PullTask | undefined;
}

/** Given to an Activity that is begun anew because somebody wants its next attempt now. */
export interface TriedBefore {
  readonly before?: AttemptCounts | undefined;
}

// --- reauthorizeConnection ------------------------------------------------------------------------------------

/** One per connection, however many Workflows wait for it. */
export function reauthorizeConnectionId(connectionId: string): string {
  return `reauthorize/${connectionId}`;
}

export interface ReauthorizationTimes {
  /** Milliseconds between two reminders to the application. */
  readonly remindEveryMs: number;
  /** Milliseconds after which nobody is expected to sign in any more. */
  readonly expireAfterMs: number;
}

export interface ReauthorizeConnectionInput extends ReauthorizationTimes {
  readonly connectionId: string;
}

/** How everybody starts it who may: Workflow type, id and input. */
export function reauthorizeConnectionStart(
  of: OfOneConnection,
  { remindEveryMs, expireAfterMs }: ReauthorizationTimes,
) {
  const { connectionId } = of;
  const args: [ReauthorizeConnectionInput] = [{ connectionId, remindEveryMs, expireAfterMs }];
  return {
    workflowId: reauthorizeConnectionId(connectionId),
    args,
    staticSummary: `${connectionId}: the end user must sign in again`,
    staticDetails: `All that \`${connectionId}\` has to do waits for this one. It ends when Maesn takes the login that the end user brings back, and they go on where they stopped. ${RUNBOOK}`,
    // A login that is back releases all that waits for it.
    priority: { ...sharedTurns(connectionId), priorityKey: BEFORE_WALKS },
    typedSearchAttributes: searchAttributesOf(of, 'AwaitingReauthorization'),
  };
}

export interface ReauthorizeConnectionStatus {
  readonly state: 'Opening' | 'AwaitingReauthorization' | 'Probing' | 'Releasing';
  /** ISO 8601 */
  readonly since: string;
  readonly round: number;
  readonly reminders: number;
  /** ISO 8601 */
  readonly expiresAt?: string | undefined;
  /** What the probe of the last key that was sent back said. */
  readonly lastProbe?: string | undefined;
}

export const reauthorizationStatusQuery = defineQuery<ReauthorizeConnectionStatus>('status');
/** From whoever met a 401: a round has begun. */
export const joinedSignal = defineSignal('joined');
/** Maesn has said that the login was revoked. What counts is Maesn's answer to a probe. */
export const revokedSignal = defineSignal('revoked');
/** From the application: the end user has signed in again and the new key is stored. */
export const reauthorizedSignal = defineSignal('reauthorized');

// --- deliverEvents ----------------------------------------------------------------------------------------------

/** One per connection: its events are delivered in order. */
export function deliverEventsId(connectionId: string): string {
  return `events/${connectionId}`;
}

/** And one for what is of no single connection; of each task queue, since several may share a namespace. */
export function deliverIncidentsId(taskQueue: string): string {
  // No connection is named like this.
  return `events/@${taskQueue}`;
}

export interface DeliverEventsInput {
  readonly connectionId: string | null;
}

export interface DeliverEventsResult {
  readonly delivered: number;
  /** Some are left, and may be tried at once. */
  readonly more: boolean;
}

/** How everybody starts it who may: Workflow id, input, and the Signal that also reaches one that is just ending. */
export function deliverEventsStart(of: SearchedBy, taskQueue: string) {
  const { connectionId } = of;
  const args: [DeliverEventsInput] = [{ connectionId }];
  return {
    taskQueue,
    workflowId: connectionId === null ? deliverIncidentsId(taskQueue) : deliverEventsId(connectionId),
    args,
    staticSummary: `events of ${connectionId ?? 'incidents'} to the application`,
    staticDetails: `Posts events from the outbox to the application, in order, until there is none left. ${RUNBOOK}`,
    priority: sharedTurns(connectionId ?? 'incidents'),
    typedSearchAttributes: searchAttributesOf(of, 'Delivering'),
  };
}

/** Something is in the outbox. */
export const eventsAddedSignal = defineSignal('eventsAdded');

// --- keepSubscribed ---------------------------------------------------------------------------------------------

/** One per connection whose target system has webhooks. */
export function keepSubscribedId(connectionId: string): string {
  return `webhooks/${connectionId}`;
}

/** How everybody starts it who may; the Signal also begins one that is just ending anew. */
export function keepSubscribedStart(of: OfOneConnection, taskQueue: string) {
  const { connectionId, targetSystem } = of;
  const args: [KeepSubscribedInput] = [{ connectionId }];
  return {
    taskQueue,
    workflowId: keepSubscribedId(connectionId),
    args,
    signal: syncStartedSignal,
    staticSummary: `webhooks of ${connectionId} (${targetSystem})`,
    staticDetails: `Keeps Maesn’s webhooks of \`${connectionId}\` from expiring. ${RUNBOOK}`,
    priority: { ...sharedTurns(connectionId), priorityKey: BEFORE_WALKS },
    typedSearchAttributes: searchAttributesOf(of, 'Idle'),
  };
}

export interface KeepSubscribedInput {
  readonly connectionId: string;
  readonly refused?: RefusedWebhooks | undefined;
}

/** Kinds of events that the target system does not tell (`CREATED ITEM`), and when it said so, in ms since 1970. */
export type RefusedWebhooks = Readonly<Record<string, number>>;

/** A sync was started: its webhooks are wanted (again). */
export const syncStartedSignal = defineSignal('syncStarted');

// --- writeRecord ------------------------------------------------------------------------------------------------

/** One per idempotency key. */
export function writeRecordId({ connectionId, idempotencyKey }: WriteRecordInput): string {
  return `write/${connectionId}/${idempotencyKey}`;
}

/** How everybody starts it who may; what is written is in the store. The Signal also wakes one that runs. */
export function writeRecordStart(of: WriteRecordInput & SearchedBy, operation: string, taskQueue: string) {
  const { connectionId, idempotencyKey } = of;
  const args: [WriteRecordInput] = [{ connectionId, idempotencyKey }];
  return {
    taskQueue,
    workflowId: writeRecordId(of),
    args,
    signal: writeChangedSignal,
    staticSummary: `${operation} of ${connectionId}`,
    staticDetails: `Carries out the write \`${idempotencyKey}\` once: where it is not known what became of it, that is looked up before it is sent again. ${RUNBOOK}`,
    priority: sharedTurns(connectionId),
    typedSearchAttributes: searchAttributesOf(of, 'Writing'),
  };
}

export interface WriteRecordInput {
  readonly connectionId: string;
  readonly idempotencyKey: string;
}

export type WriteOutcomeName = 'applied' | 'partly_applied' | 'refused' | 'abandoned' | 'cancelled';

export interface WriteRecordResult {
  readonly outcome: WriteOutcomeName;
  readonly recordKey?: string | undefined;
  /** How often it was sent. */
  readonly sends: number;
  /** Of what was not applied: why, without records. */
  readonly because?: string | undefined;
}

/** What is to be done next for a write, as the store has it. */
export type WriteStep =
  | { readonly next: 'send' | 'waitForTurn' | 'lookUp' | 'poll' }
  | { readonly next: 'decide'; readonly because: string; readonly sends: number }
  | { readonly next: 'nothing'; readonly result: WriteRecordResult };

export interface ResolveWriteInput {
  /** `not_applied`: it is sent again. `abandon`: it is let be, applied or not. */
  readonly decision: 'applied' | 'not_applied' | 'abandon';
  /** Of the write that was looked at; refused when it has been sent again since. */
  readonly sends?: number | undefined;
  readonly by?: string | undefined;
}

export interface WriteRecordStatus {
  readonly doing: WriteStep['next'] | 'awaitReauthorization';
  /** ISO 8601 */
  readonly since: string;
}

export const writeStatusQuery = defineQuery<WriteRecordStatus>('status');
/** For people at Temporal's UI or CLI: as `resolveWrite`. Refused unless the write is undecided. */
export const resolveWriteUpdate = defineUpdate<void, [ResolveWriteInput]>('resolve');
/** The write before it has ended, or somebody has decided: the store says what is next. */
export const writeChangedSignal = defineSignal('writeChanged');

// --- writeBatch -------------------------------------------------------------------------------------------------

/** One per call that asked for many writes. */
export function writeBatchId({ connectionId, batchId }: WriteBatchInput): string {
  return `writes/${connectionId}/${batchId}`;
}

export interface WriteBatchInput {
  readonly connectionId: string;
  readonly batchId: string;
}

export function writeBatchStart(of: WriteBatchInput & SearchedBy, taskQueue: string) {
  const { connectionId, batchId } = of;
  const args: [WriteBatchInput] = [{ connectionId, batchId }];
  return {
    taskQueue,
    workflowId: writeBatchId(of),
    args,
    signal: writeChangedSignal,
    staticSummary: `many writes of ${connectionId}`,
    staticDetails: `Begins the writes of the batch \`${batchId}\`, some at a time, and ends with the last of them. ${RUNBOOK}`,
    priority: sharedTurns(connectionId),
    typedSearchAttributes: searchAttributesOf(of, 'Writing'),
  };
}

/** How many are where. */
export type WriteBatchReport = Readonly<
  Record<'total' | 'unstarted' | 'running' | 'undecided' | WriteOutcomeName, number>
>;

/** None is to be sent or looked up any more; a person may still have to decide about some. */
export function hasEnded({ unstarted, running }: WriteBatchReport): boolean {
  return unstarted === 0 && running === 0;
}

export const writeBatchQuery = defineQuery<WriteBatchReport | undefined>('status');

// --- watchIncidents ---------------------------------------------------------------------------------------------

/** One; of each task queue, since several may share a namespace. */
export function watchIncidentsId(taskQueue: string): string {
  return `incidents/@${taskQueue}`;
}

/** How everybody starts it who may; the Signal also reaches one that is just ending. */
export function watchIncidentsStart(taskQueue: string) {
  return {
    taskQueue,
    workflowId: watchIncidentsId(taskQueue),
    signal: incidentOpenedSignal,
    staticSummary: 'whether incidents are over',
    staticDetails: `Asks Maesn again and again, with one connection for each open incident, whether it is over. ${RUNBOOK}`,
    typedSearchAttributes: searchAttributesOf({ connectionId: null }, 'Idle'),
  };
}

export const incidentOpenedSignal = defineSignal('incidentOpened');

// --- retryTargetSystem ------------------------------------------------------------------------------------------

/** One at a time for each target system; of each task queue, since several may share a namespace. */
export function retryTargetSystemId(targetSystem: string, taskQueue: string): string {
  return `retry/@${taskQueue}/${targetSystem}`;
}

export interface RetryTargetSystemInput {
  readonly targetSystem: string;
  /** Milliseconds over which they are spread. */
  readonly overMs: number;
  /** Who has asked for it, for the journal. */
  readonly by: string;
  /** Carried from run to run: until when, in ms since 1970, the last Workflow that was told, and how many were. */
  readonly until?: number | undefined;
  readonly after?: string | undefined;
  readonly told?: number | undefined;
}

export interface RetryTargetSystemReport {
  readonly told: number;
  /** Absent: not known yet. */
  readonly left?: number | undefined;
}

export function retryTargetSystemStart(input: RetryTargetSystemInput, taskQueue: string) {
  const { targetSystem } = input;
  const args: [RetryTargetSystemInput] = [input];
  return {
    taskQueue,
    workflowId: retryTargetSystemId(targetSystem, taskQueue),
    args,
    staticSummary: `retry now what retries of ${targetSystem}`,
    staticDetails: `Wakes one after the other what waits for its next attempt at ${targetSystem}. ${RUNBOOK}`,
    typedSearchAttributes: searchAttributesOf({ connectionId: null, targetSystem }, 'Syncing'),
  };
}

export const retryTargetSystemQuery = defineQuery<RetryTargetSystemReport>('status');

export interface RetrySomeInput {
  readonly targetSystem: string;
  readonly by: string;
  /** Milliseconds since 1970. */
  readonly until: number;
  readonly after?: string | undefined;
}

export interface RetrySomeResult {
  readonly after: string | undefined;
  readonly told: number;
  readonly left: number;
  readonly nextInMs: number;
}

// --- what Activities take and give ----------------------------------------------------------------------------

export interface PullResourceInput extends TriedBefore {
  readonly connectionId: string;
  readonly resource: Resource;
  /** Names the walk: asked again with the same one, a walk goes on where it stands, or is done. */
  readonly walkId: string;
  /** The task that holds the next page, when the last call ended while it was running. */
  readonly task?: PullTask | undefined;
  /** What was met within the Workflow Task: the first attempt fails with it, so that Temporal waits, counts and shows it. */
  readonly met?: MetFailure | undefined;
}

export interface MetFailure {
  readonly message: string;
  readonly details: FailureDetails;
}

export interface PullTask {
  readonly page: number;
  readonly taskId: string;
}

export interface BeginCycleInput {
  readonly connectionId: string;
  readonly runId: string;
  /** From 1. */
  readonly cycle: number;
  readonly startedAt: string;
  readonly resources: readonly Resource[];
}

export interface BegunCycle extends SmallPulls {
  /** Nothing is left to be pulled, and the application was told so. */
  readonly completed?: boolean;
}

export interface PullSmallInput {
  readonly connectionId: string;
  /** As `PullResourceInput` has it, one for all. */
  readonly walkId: string;
  /** In this order, up to the first that is not small. */
  readonly resources: readonly Resource[];
}

/** What is known of resources before they are pulled, and what was pulled at once. */
export interface SmallPulls {
  readonly unsupported: UnsupportedResources;
  /** Likely to need no more than a few pages. Those that have no result yet are still to be asked for. */
  readonly small: readonly Resource[];
  readonly results: Partial<Record<Resource, PullResourceResult>>;
  /** After it, nothing was asked any more. */
  readonly failed?: SmallPullFailure | undefined;
}

export interface SmallPullFailure {
  readonly resource: Resource;
  /** Absent where it is no answer of Maesn. */
  readonly met?: MetFailure | undefined;
}

/** What a target system does not offer, and until when that is believed. Times in ISO 8601. */
export type UnsupportedResources = Partial<Record<Resource, UnsupportedResource>>;

export interface UnsupportedResource {
  readonly type: string;
  readonly status?: number | undefined;
  readonly checkedAt: string;
  readonly recheckAt: string;
}

/** How far a walk has come, as the store counts it. */
export interface WalkCounts {
  readonly pages: number;
  readonly records: number;
  /** Records stored although something is wrong with them. */
  readonly flagged: number;
  /** As Maesn counted them on the last page; absent where it does not. */
  readonly totalPages?: number | undefined;
  /** How often the list was read, because it changed meanwhile; the counts are those of the last time. */
  readonly passes?: number | undefined;
  /** Of a walk that has ended: whether every record that was listed all the while is in the store. */
  readonly verified?: boolean | undefined;
  /** Records that a walk which has ended found to be gone. */
  readonly deleted?: number | undefined;
}

export interface PullResourceResult extends WalkCounts {
  readonly done: boolean;
  /** The connection has holds, and Maesn was not asked (any more). */
  readonly held?: boolean | undefined;
  readonly retries: number;
  readonly task?: PullTask | undefined;
}

export interface RenewSubscriptionsInput extends KeepSubscribedInput, TriedBefore {
  /** The Workflow's time, in milliseconds since 1970. */
  readonly nowMs: number;
}

export type RenewSubscriptionsResult =
  | {
      readonly wanted: true;
      readonly subscriptions: number;
      readonly refused: RefusedWebhooks;
      /** When to look again. */
      readonly comeBackInMs: number;
    }
  /** No sync of the connection runs (any more), or Maesn cannot reach us. */
  | { readonly wanted: false };

/** `details[0]` of every failure that comes from Maesn. At most 3 KiB. */
export interface FailureDetails {
  readonly type: FailureType;
  readonly request: string;
  readonly status?: number | undefined;
  readonly page?: number | undefined;
  /** Version of the account key that was used. */
  readonly keyVersion?: number | undefined;
  /** Which failure of this type in a row it was. */
  readonly failureCount: number;
  /** Failures of the same Activity that were tried again before this one. */
  readonly retries: number;
  readonly walk?: WalkCounts | undefined;
  /** The task that runs at Maesn, which the next attempt goes on with. */
  readonly task?: PullTask | undefined;
  /** ISO 8601; absent when it is not tried again. */
  readonly nextAttemptAt?: string | undefined;
  readonly errors?: readonly unknown[] | undefined;
  readonly downstreamErrors?: readonly unknown[] | undefined;
  readonly validationErrors?: readonly unknown[] | undefined;
}

/** Only the Activities' `toApplicationFailure` gives a failure details, and it fills all of them. */
export function isFailureDetails(details: unknown): details is FailureDetails {
  return typeof details === 'object' && details !== null && 'failureCount' in details && 'request' in details;
}
