/** What a sync knows of itself; status, report and the text in the Temporal UI are all derived from it. */
import { meansNotOffered } from '../spec/capabilities.js';
import { isFailureType } from '../spec/error-guide.js';
import { NOTHING_YET, reportPulled, reportSkipped } from '../spec/resource-report.js';
import { describeRetrying, stateOfRetry } from '../spec/retry-text.js';
import type { Resource } from '../spec/resources.js';
import type { FailureCause } from './failures.js';
import type {
  HoldReport,
  PullResourceResult,
  ResourceReport,
  RetryingReport,
  SyncConnectionInput,
  SyncConnectionStatus,
  SyncReport,
  SyncState,
  UnsupportedResource,
} from './messages.js';
import { createShownState } from './show-state.js';

export function createSyncState(input: SyncConnectionInput) {
  const resources = new Map<Resource, ResourceReport>(input.resources.map((resource) => [resource, NOTHING_YET]));
  const { cycle = 1, lastReport, dueAt, failedCycles = 0 } = input;
  const skipped = new Set<Resource>();
  let startedAt: string | undefined;
  let resource: Resource | undefined;
  let holds: readonly HoldReport[] = [];
  let awaitingPage: number | undefined;
  let isAwaiting = false;
  let isPulling = false;
  let retrying: RetryingReport | undefined;
  const { show: showState, toEnd } = createShownState();
  let shown: { readonly state: SyncState; readonly since: string } | undefined;

  function state(): SyncState {
    if (holds.length > 0) return holds.some(({ kind }) => kind === 'paused') ? 'Paused' : 'Held';
    if (isAwaiting) return 'AwaitingReauthorization';
    if (retrying !== undefined) return stateOfRetry(retrying);
    return startedAt !== undefined || isPulling ? 'Syncing' : 'Idle';
  }

  function report(of: Resource): ResourceReport {
    return resources.get(of) ?? NOTHING_YET;
  }

  function change(of: Resource, changes: Partial<ResourceReport>): void {
    resources.set(of, { ...report(of), ...changes });
    show();
  }

  function show(): void {
    // Of a row of failures it is when it began, not when it was told.
    if (shown?.state !== state()) shown = { state: state(), since: retrying?.since ?? now() };
    showState(state(), describe(status()));
  }

  function status(): SyncConnectionStatus {
    return {
      state: state(),
      since: shown?.since ?? now(),
      cycle,
      resource,
      holds,
      nextCycleAt: startedAt === undefined && dueAt !== undefined ? new Date(dueAt).toISOString() : undefined,
      resources: Object.fromEntries(resources),
      lastReport,
      retrying: holds.length > 0 || isAwaiting ? undefined : retrying,
      failedCycles,
    };
  }

  // Of a first cycle, which begins at once, there is nothing to show before it has.
  if (dueAt !== undefined) show();
  return {
    status,
    toEnd,
    retrying(reported: RetryingReport | undefined) {
      retrying = reported;
      show();
    },
    /** Where the next task begins, as far as the Workflow knows: pages before it are in the store. */
    get nextPage() {
      return resource === undefined ? 1 : report(resource).pages + 1;
    },
    get isHeld() {
      return holds.length > 0;
    },
    get isPaused() {
      return holds.some(({ kind }) => kind === 'paused');
    },
    get isGuarded() {
      return holds.some(({ kind }) => kind === 'delete_guard');
    },
    held(by: readonly HoldReport[]) {
      holds = by;
      show();
    },
    /** Answers when. */
    startCycle(): string {
      startedAt = now();
      for (const of of resources.keys()) resources.set(of, NOTHING_YET);
      show();
      return startedAt;
    },
    startResource(next: Resource) {
      resource = next;
      isPulling = true;
      resources.set(next, { ...NOTHING_YET, status: 'syncing' });
      show();
    },
    skipped(of: Resource, known: UnsupportedResource) {
      skipped.add(of);
      change(of, reportSkipped(known));
    },
    endResource() {
      isPulling = false;
      show();
    },
    pulled(result: PullResourceResult) {
      if (resource === undefined) return;
      change(resource, reportPulled(report(resource), result));
    },
    awaiting(cause: FailureCause) {
      if (resource === undefined) return;
      isAwaiting = true;
      awaitingPage = cause.details?.page;
      const { reauthorizations, retries } = report(resource);
      change(resource, {
        ...cause.details?.walk,
        reauthorizations: reauthorizations + 1,
        retries: retries + (cause.details?.retries ?? 0),
        ...(awaitingPage === undefined ? {} : { parkedAtPage: awaitingPage }),
      });
    },
    reauthorized() {
      isAwaiting = false;
      show();
    },
    gaveUp(cause: FailureCause) {
      if (resource === undefined) return;
      const { type, message, details } = cause;
      const unsupported = meansNotOffered({ type, page: details?.page });
      change(resource, {
        ...details?.walk,
        status: unsupported ? 'unsupported' : 'failed',
        retries: report(resource).retries + (details?.retries ?? 0),
        failure: {
          type,
          message,
          errors: details?.errors,
          downstreamErrors: details?.downstreamErrors,
          validationErrors: details?.validationErrors,
        },
      });
    },
    report(): SyncReport {
      return { startedAt: startedAt ?? now(), endedAt: now(), resources: Object.fromEntries(resources) };
    },
    /** Nothing that was asked for has come. */
    get isInVain() {
      const asked = [...resources].filter(([of]) => !skipped.has(of));
      return asked.length > 0 && asked.every(([, { status: of }]) => of === 'failed');
    },
    failedResources(): Resource[] {
      return [...resources].filter(([, { status: of }]) => of === 'failed').map(([of]) => of);
    },
  };
}

export type SyncStateHolder = ReturnType<typeof createSyncState>;

/** Whether the sync goes on with the next resource: everything the error guide knows concerns one resource only. */
export function concernsOneResource(cause: FailureCause): boolean {
  return isFailureType(cause.type) && cause.type !== 'Unauthorized';
}

/** Markdown for the Temporal UI. */
function describe(status: SyncConnectionStatus): string {
  const { state, since, resource, holds, nextCycleAt, resources, retrying, failedCycles = 0 } = status;
  const held = holds.map(({ placedBy, reason, since: from }) => `${reason} (${placedBy}, since ${from})`).join('; ');
  const doing = `Pulling \`${resource ?? '...'}\``;
  const why = {
    Idle: `${failedCycles === 0 ? '' : `Asked less often: ${failedCycles} failed cycles in a row. `}The next cycle starts at ${nextCycleAt ?? 'once'}.`,
    Syncing: `${doing}.`,
    Retrying: '',
    Waiting: '',
    AwaitingReauthorization: `Stopped at \`${resource ?? '...'}\`: the end user must sign in again, and the application was told. It goes on at the same page.`,
    Paused: `Paused: ${held}`,
    Held: `Held: ${held}`,
  }[state];
  const rows = Object.entries(resources).map(
    ([name, { status: of, pages, records, failure }]) =>
      // Of what is under way the store knows more.
      `| ${name} | ${of} | ${of === 'syncing' ? '…' : pages} | ${of === 'syncing' ? '…' : records} | ${failure?.message.replaceAll('|', '/') ?? ''} |`,
  );
  return [
    retrying === undefined ? `**${state}** since ${since}. ${why}` : describeRetrying(doing, retrying),
    '',
    '| resource | status | pages | records | failure |',
    '|-|-|-|-|-|',
    ...rows,
  ].join('\n');
}

function now(): string {
  return new Date().toISOString();
}
