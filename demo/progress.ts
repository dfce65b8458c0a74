/** Bars on a terminal; lines elsewhere. */
import { MultiBar, Presets } from 'cli-progress';
import type { SingleBar } from 'cli-progress';
import type { SyncStatus } from '../src/client.js';

export interface Progress {
  say(line: string): void;
  show(status: SyncStatus): void;
  stop(): void;
}

export function createProgress(): Progress {
  return process.stdout.isTTY ? createBars() : createLines();
}

/** What is worth a line: a resource that has ended, a wait that has begun. */
function createLines(): Progress {
  const told = new Set<string>();
  const once = (key: string, line: string) => {
    if (told.has(key)) return;
    told.add(key);
    console.log(line);
  };
  return {
    say: (line) => console.log(line),
    show(status) {
      for (const [name, report] of Object.entries(status.resources)) {
        if (report.status === 'waiting' || report.status === 'syncing') continue;
        once(name, `${name}: ${report.status}, ${report.pages} pages, ${report.records} records`);
      }
      if (status.retry !== undefined) once(status.retry.message, `  ${firstSentences(status.retry.message)}`);
      if (status.state === 'AwaitingReauthorization') {
        const page = status.resource === undefined ? undefined : status.resources[status.resource]?.parkedAtPage;
        once(
          `parked ${status.since?.toISOString()}`,
          `${status.resource}: parked at page ${page}, the end user must sign in again`,
        );
      }
    },
    stop: () => undefined,
  };
}

/** What happened and what will: the advice after it is for operators. */
function firstSentences(message: string): string {
  return message.slice(0, message.indexOf('Z.') + 2);
}

function createBars(): Progress {
  const bars = new MultiBar(
    { format: '{resource} {bar} {value}/{total} pages  {note}', hideCursor: true, clearOnComplete: false, barsize: 30 },
    Presets.shades_grey,
  );
  const byName = new Map<string, SingleBar>();
  return {
    say: (line) => bars.log(`${line}\n`),
    show(status) {
      for (const [name, report] of Object.entries(status.resources)) {
        if (report.status === 'waiting') continue;
        const ended = report.status !== 'syncing';
        const total = ended ? report.pages : Math.max(report.totalPages ?? 0, report.pages);
        const bar = byName.get(name) ?? bars.create(total, 0, { resource: name.padEnd(15), note: '' });
        byName.set(name, bar);
        bar.setTotal(total);
        bar.update(report.pages, { note: ended ? `${report.status}, ${report.records} records` : noteOf(status) });
      }
      bars.update();
    },
    stop: () => bars.stop(),
  };
}

function noteOf({ state, retry }: SyncStatus): string {
  if (state === 'AwaitingReauthorization') return 'awaits reauthorisation';
  return retry === undefined ? '' : `${retry.type}, next attempt at ${retry.nextAttemptAt?.toISOString()}`;
}
