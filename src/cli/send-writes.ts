/** Sends many writes, and waits for them. Whoever sends the same again writes nothing twice. */
import { setTimeout as sleep } from 'node:timers/promises';
import type { z } from 'zod';
import type { write, writeStatus } from '../backend/schemas.js';
import { naturalKeyOf, writeSubject } from '../spec/writes.js';
import { Refusal, patiently } from './api.js';
import type { Api } from './api.js';
import type { Entry } from './write-file.js';

export type Write = z.output<typeof write>;
export type WriteStatus = z.output<typeof writeStatus>;

export interface Sent {
  readonly entry: Entry;
  /** Absent: it was not taken. */
  readonly write?: WriteStatus;
  /** Why it was not taken. */
  readonly problem?: string;
}

const AT_ONCE = 20;
const LOOK_EVERY_MS = 500;
/** As many as a page of the list may hold. */
const LOOK_AT = 200;
/** The key stands for another write: the others are none the worse for it. */
const KEY_REUSED = 422;

export async function sendWrites(
  api: Api,
  connectionId: string,
  entries: readonly Entry[],
  show: (sent: number) => void,
): Promise<Sent[]> {
  const sent = new Map<Entry, Sent>();
  // What is about the same record keeps its order.
  const bySubject = new Map<string, Entry[]>();
  for (const entry of entries) {
    const { operation, parameters, body } = entry.write;
    const subject = writeSubject(operation, parameters, naturalKeyOf(operation, body));
    const alike = bySubject.get(subject) ?? [];
    alike.push(entry);
    bySubject.set(subject, alike);
  }
  await forEach([...bySubject.values()], async (alike) => {
    for (const entry of alike) {
      sent.set(entry, await send(api, connectionId, entry));
      show(sent.size);
    }
  });
  return entries.flatMap((entry) => sent.get(entry) ?? []);
}

async function send(api: Api, connectionId: string, entry: Entry): Promise<Sent> {
  const { idempotencyKey, ...content } = entry.write;
  try {
    return { entry, write: await patiently(() => api.addWrite(connectionId, idempotencyKey, content)) };
  } catch (error) {
    if (!(error instanceof Refusal) || error.status !== KEY_REUSED) throw error;
    return { entry, problem: error.message };
  }
}

/** Until each has ended or is undecided. */
export async function waitForWrites(
  api: Api,
  connectionId: string,
  writes: readonly Write[],
  show: (writes: readonly Write[]) => void,
): Promise<Write[]> {
  const known = new Map(writes.map((one) => [one.id, one]));
  for (;;) {
    const now = [...known.values()];
    show(now);
    if (now.every(({ state }) => state === 'ended' || state === 'undecided')) return now;
    await sleep(LOOK_EVERY_MS);
    const open = now.filter(({ state }) => state !== 'ended').map(({ id }) => id);
    for (const one of await look(api, connectionId, open)) if (known.has(one.id)) known.set(one.id, one);
  }
}

/** Page by page of the list, where one of them is. */
async function look(api: Api, connectionId: string, ids: readonly number[]): Promise<Write[]> {
  const found: Write[] = [];
  let left = ids.toSorted((a, b) => b - a);
  for (let [newest] = left; newest !== undefined; [newest] = left) {
    const query = { before: newest + 1, limit: LOOK_AT };
    const { items } = await patiently(() => api.writes(query, connectionId));
    found.push(...items);
    const last = items.at(-1)?.id ?? 0;
    left = left.filter((id) => id < last);
  }
  return found;
}

/** With what Maesn said, which the list does not have. */
export async function readAnswers(api: Api, writes: readonly Write[]): Promise<Map<number, WriteStatus>> {
  const read = new Map<number, WriteStatus>();
  await forEach(writes, async ({ id, connectionId, idempotencyKey }) => {
    read.set(id, await patiently(() => api.write(connectionId, idempotencyKey)));
  });
  return read;
}

async function forEach<Item>(items: readonly Item[], act: (item: Item) => Promise<void>): Promise<void> {
  const queue = items.values();
  const workers = Array.from({ length: AT_ONCE }, async () => {
    for (const item of queue) await act(item);
  });
  await Promise.all(workers);
}
