/** Starting, asking and steering syncs. */
import { setTimeout as sleep } from 'node:timers/promises';
import { defineCommand } from 'citty';
import type { z } from 'zod';
import type { syncStatus } from '../backend/schemas.js';
import { pagesInAll } from '../spec/resource-report.js';
import { keysOf } from '../spec/table.js';
import { API_ARGS, createApi } from './api.js';
import type { Api } from './api.js';
import { printJson, printTable } from './output.js';
import { CommandError, command, say } from './process.js';

type Status = z.output<typeof syncStatus>;

const id = { type: 'positional', description: 'Connection id', required: true } as const;
const ENDED = new Set<Status['state']>(['Completed', 'Failed', 'Cancelled', 'Terminated']);
const LOOK_EVERY_MS = 500;

const start = command({
  name: 'sync start',
  description:
    'Start a sync, or find it running. Example: maesn-sync sync start acme --resources invoices,customers --every "15 minutes"',
  args: {
    id,
    resources: { type: 'string', description: 'With commas between them. Default: all' },
    every: {
      type: 'string',
      description: 'From the start of one cycle to the next: "15 minutes". Default: one cycle only',
    },
    wait: {
      type: 'boolean',
      description: 'Show progress until the sync has ended, or its cycle; exit code 1 when it failed',
    },
    ...API_ARGS,
  },
  run: async ({ args, config }) => {
    const api = createApi(args, config);
    const resources = args.resources?.split(',').map((name) => name.trim());
    const started = await api.startSync(args.id, {
      ...(resources === undefined ? {} : { resources }),
      ...(args.every === undefined ? {} : { every: args.every }),
    });
    if (args.wait !== true) {
      if (args.json === true) printJson(started);
      else say(started.alreadyRunning ? runsAlready(args.id, args.every) : `Started ${started.workflowId}.`);
      return;
    }
    const ended = await waitForEnd(api, args.id, args.json === true ? () => undefined : showProgress());
    if (args.json === true) printJson(ended);
    const failed = Object.values(ended.lastReport?.resources ?? ended.resources).some(
      (report) => report?.status === 'failed',
    );
    if (failed || (ended.state !== 'Completed' && ended.state !== 'Idle')) throw new CommandError(ended.summary, 1);
  },
});

function runsAlready(connectionId: string, every: string | undefined): string {
  const how =
    every === undefined ? 'goes on as it was' : 'has these resources and this interval from its next cycle on';
  return `The sync of ${connectionId} runs already, and ${how}.`;
}

async function waitForEnd(api: Api, connectionId: string, show: (status: Status) => void): Promise<Status> {
  for (;;) {
    const status = await api.sync(connectionId);
    show(status);
    if (ENDED.has(status.state) || (status.state === 'Idle' && status.lastReport !== undefined)) return status;
    await sleep(LOOK_EVERY_MS);
  }
}

/** One line that changes on a terminal; elsewhere, a line for every change but that of a page. */
function showProgress(): (status: Status) => void {
  let last = '';
  return ({ summary, resource, state, retry }) => {
    if (process.stdout.isTTY) {
      process.stdout.write(`\r\u001B[K${summary.slice(0, process.stdout.columns - 1)}`);
      if (ENDED.has(state) || state === 'Idle') process.stdout.write('\n');
      return;
    }
    const line = [state, resource, retry?.nextAttemptAt].join(' ');
    if (line !== last) say(summary);
    last = line;
  };
}

const status = command({
  name: 'sync status',
  description: 'How a sync is doing; without an id, how all are doing',
  args: { id: { ...id, required: false }, ...API_ARGS },
  run: async ({ args, config }) => {
    const api = createApi(args, config);
    if (args.id !== undefined) {
      const one = await api.sync(args.id);
      if (args.json === true) printJson(one);
      else printStatus(one);
      return;
    }
    const all: Status[] = [];
    let after: string | undefined;
    do {
      const page = await api.syncs({ after, limit: 100 });
      all.push(...page.items);
      after = page.next;
    } while (after !== undefined);
    printStatuses(all, args.json === true);
  },
});

function printStatus(one: Status): void {
  const { connection, state, summary, resources, lastReport, freshness, notOffered, temporalUi } = one;
  say(`${connection.connectionId} (${connection.targetSystem}): ${state}`);
  say(summary);
  const reports = state === 'Idle' ? (lastReport?.resources ?? resources) : resources;
  const rows = keysOf(reports).map((name) => {
    const report = reports[name];
    return [
      name,
      report?.status ?? '',
      [report?.pages ?? 0, pagesInAll(report ?? {})].filter((pages) => pages !== undefined).join(' of '),
      String(report?.records ?? 0),
      freshness[name]?.asOf ?? '',
      notOffered[name] === undefined
        ? (report?.failure?.message ?? '')
        : `not offered by ${connection.targetSystem}; asked again on ${notOffered[name].recheckAt}`,
    ];
  });
  if (rows.length > 0) printTable(['resource', 'status', 'pages', 'records', 'as of', 'failure'], rows);
  if (temporalUi !== undefined) say(temporalUi);
}

export function printStatuses(statuses: readonly Status[], json: boolean): void {
  if (json) printJson(statuses);
  else if (statuses.length === 0) say('None.');
  else {
    printTable(
      ['connection', 'system', 'state', 'since', 'next attempt', 'what'],
      statuses.map(({ connection, state, since, holds, retry, summary, temporalUi }) => [
        connection.connectionId,
        connection.targetSystem,
        retry === undefined ? state : 'Retrying',
        holds[0]?.since ?? since ?? '',
        retry?.nextAttemptAt ?? '',
        [summary, temporalUi].filter((part) => part !== undefined).join(' '),
      ]),
    );
  }
}

/** A command that tells a sync something, and has nothing to print but that it did. */
function steering(
  name: string,
  description: string,
  done: string,
  act: (api: Api, connectionId: string) => Promise<unknown>,
) {
  return command({
    name: `sync ${name}`,
    description,
    args: { id, ...API_ARGS },
    run: async ({ args, config }) => {
      await act(createApi(args, config), args.id);
      if (args.json === true) printJson({ connectionId: args.id, done });
      else say(`${args.id}: ${done}.`);
    },
  });
}

const pause = command({
  name: 'sync pause',
  description: 'Hold a connection: nothing is asked of Maesn for it until it is resumed',
  args: {
    id,
    reason: { type: 'string', description: 'Shown to whoever wonders why nothing moves', required: true },
    ...API_ARGS,
  },
  run: async ({ args, config }) => {
    await createApi(args, config).pauseSync(args.id, args.reason);
    if (args.json === true) printJson({ connectionId: args.id, done: 'paused' });
    else say(`${args.id}: paused.`);
  },
});

export const sync = defineCommand({
  meta: { name: 'sync', description: 'Start, ask and steer syncs' },
  subCommands: {
    start,
    status,
    pause,
    resume: steering('resume', 'Lift a pause; it goes on where it stopped', 'resumed', (api, of) => api.resumeSync(of)),
    'confirm-deletes': steering(
      'confirm-deletes',
      'Delete the suspiciously many records that are not listed any more',
      'they are deleted, and the sync goes on',
      (api, of) => api.decideDeletes(of, 'delete'),
    ),
    'refuse-deletes': steering(
      'refuse-deletes',
      'Keep them; the next full walk asks again',
      'they are kept, and the sync goes on',
      (api, of) => api.decideDeletes(of, 'keep'),
    ),
    now: steering('now', 'Start the next cycle of a repeating sync now', 'the next cycle begins', (api, of) =>
      api.syncNow(of),
    ),
    retry: steering(
      'retry',
      'Make a request that waits for its next attempt now',
      'the request is made again',
      (api, of) => api.retryNow(of),
    ),
    cancel: steering('cancel', 'End a sync after the page in flight', 'it ends after the page in flight', (api, of) =>
      api.cancelSync(of),
    ),
  },
});

export const stuck = command({
  name: 'stuck',
  description:
    'Every sync that has failed three times in a row or waits for minutes, waits for its end user, or is held: why, since when, until when',
  args: API_ARGS,
  run: async ({ args, config }) => printStatuses((await createApi(args, config).stuck()).items, args.json === true),
});
