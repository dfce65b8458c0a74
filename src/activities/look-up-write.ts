/**
 * Finds out what became of a write that nobody has answered: by its natural key, or by what has changed in its list since the
 * moment before it was sent. What cannot be told is a question for a person, never a guess.
 */
import { judgeChanged, judgeCreated } from '../spec/write-outcome.js';
import type { Fields, WriteOutcome } from '../spec/write-outcome.js';
import { MAX_SENDS } from '../spec/write-steps.js';
import { WRITE_OPERATIONS, naturalKeyOf, recordOf, writePath, writeRow } from '../spec/writes.js';
import type { LookUp } from '../spec/writes.js';
import { WATERMARK_OVERLAP_MS, resourceRow } from '../spec/resources.js';
import { recordKey } from '../maesn/records.js';
import type { Seen, Write, WriteBody } from '../store/index.js';
import type { TriedBefore, WriteRecordInput, WriteStep } from '../workflows/messages.js';
import { startAttempt } from './attempt.js';
import type { ActivityDependencies } from './dependencies.js';
import { createWriteEnd, stepOf } from './end-write.js';
import { isFinal, isMaesnError, tooEarly } from './failure.js';
import { fetchPage } from './fetch-page.js';
import {
  companyQuery,
  openConnection,
  requireAuthorization,
  triedVersion,
  waitWhilePaused,
} from './open-connection.js';
import type { AuthorizedConnection } from './open-connection.js';
import { createSender } from './send.js';
import type { Sender } from './send.js';

/** More records than that have changed since: then it is not looked for among them. */
const MAX_PAGES = 50;
/** Another write of the list is on its way: whose a record is, is known when it has arrived. */
const RIVAL_UNDER_WAY_MS = 2_000;
/** A record that was created before, by a clock that differs so much. */
const CLOCKS_DIFFER_MS = 5 * 60_000;

type ByList = Extract<LookUp, { by: 'list' }>;

export function createLookUpWrite(dependencies: ActivityDependencies) {
  const { maesn, store, targetSystems, options } = dependencies;
  const end = createWriteEnd(dependencies);

  return async function lookUpWrite({ before, ...of }: WriteRecordInput & TriedBefore): Promise<WriteStep> {
    const { connectionId } = of;
    const attempt = startAttempt(options, before);
    let keyVersion: number | undefined;
    let seen = asLookedUp({ sentAt: null });
    try {
      const write = await store.writes.find(of);
      // An attempt to send it is still about, or has died: from now on it does not count.
      if (write?.state === 'sending') await store.writes.claim(of);
      const body = await store.writes.body(of);
      if (write?.state !== 'unknown' || body === undefined) return await stepOf(dependencies, of);
      seen = asLookedUp(write);
      const opened = await openConnection(store, connectionId);
      await waitWhilePaused(store, connectionId, options.timeScale);
      keyVersion = triedVersion(opened);
      const { readsOwnWritesAfterMs } = targetSystems.get(opened.targetSystem);
      waitUntilVisible(write, readsOwnWritesAfterMs ?? 0);
      const connection = requireAuthorization(opened);
      const outcome = await judge(connection, write, body);
      if (outcome.outcome === 'applied') await end.applied(write, { outcome: 'applied', data: outcome.record });
      else if (outcome.outcome === 'undecided') await undecided(write, outcome.because);
      else if (readsOwnWritesAfterMs === undefined) {
        await undecided(
          write,
          'it was not found, and this target system is not known to show for certain what was written',
        );
      } else if (write.sends >= MAX_SENDS) await undecided(write, `it was sent ${write.sends} times and never applied`);
      else await store.writes.release(write, { seen });
      return await stepOf(dependencies, of);
    } catch (error) {
      const failure = await attempt.toFailure(error, { keyVersion });
      if (!isMaesnError(error) || !isFinal(failure) || error.failure.type === 'Unauthorized') throw failure;
      // Whoever refuses the question does not answer it later either.
      await store.writes.move(of, { seen, state: 'undecided', because: `it could not be looked up: ${error.message}` });
      return await stepOf(dependencies, of);
    } finally {
      attempt.end();
    }
  };

  /** Until the request that was sent has ended here, and what it did can be seen there. */
  function waitUntilVisible({ sentAt }: Write, readsOwnWritesAfterMs: number): void {
    const visibleAt = (sentAt?.getTime() ?? 0) + maesn.timeoutMs + readsOwnWritesAfterMs;
    const waitMs = visibleAt - Date.now();
    if (waitMs > 0) throw tooEarly('OutcomeNotVisibleYet', 'What became of the write cannot be seen yet.', waitMs);
  }

  function undecided(write: Write, because: string): Promise<void> {
    return store.writes.move(write, { state: 'undecided', because, seen: asLookedUp(write) });
  }

  async function judge(connection: AuthorizedConnection, write: Write, body: WriteBody): Promise<WriteOutcome> {
    const { lookUp } = writeRow(write.operation);
    if (lookUp === null) return { outcome: 'undecided', because: 'there is no way to look up a write of this kind' };
    const sender = createSender(dependencies, connection);
    return lookUp.by === 'path'
      ? judgeByPath(connection, sender, write, body)
      : judgeByList(connection, sender, write, body, lookUp);
  }

  async function judgeByPath(
    connection: AuthorizedConnection,
    sender: Sender,
    { operation, parameters }: Write,
    body: WriteBody,
  ): Promise<WriteOutcome> {
    const { method, path } = writeRow(operation);
    const request = {
      path: writePath(operation, parameters),
      query: companyQuery(connection),
      accountKey: connection.accountKey,
    };
    const record = await sender
      .send({ endpoint: `GET ${path}`, ask: () => maesn.record(request) })
      .catch((error: unknown) => {
        if (isMaesnError(error) && error.failure.type === 'NotFound') return undefined;
        throw error;
      });
    return judgeChanged({ method: method === 'POST' ? 'PUT' : method, wanted: recordOf(operation, body), record });
  }

  async function judgeByList(
    connection: AuthorizedConnection,
    sender: Sender,
    write: Write,
    body: WriteBody,
    lookUp: ByList,
  ): Promise<WriteOutcome> {
    const { operation, connectionId, idempotencyKey, firstSentAt } = write;
    const { resource, naturalKey } = lookUp;
    const rivals = await store.writes.rivals({ connectionId, idempotencyKey, operations: creatorsOf(resource) });
    if (rivals.some(({ state }) => state === 'sending'))
      throw tooEarly('OutcomeNotVisibleYet', 'Another write of this list is under way.', RIVAL_UNDER_WAY_MS);
    const value = naturalKeyOf(operation, body);
    const before = firstSentAt ?? new Date();
    const filter = value !== undefined && naturalKey?.filter !== undefined ? { [naturalKey.filter]: value } : undefined;
    const candidates = await list(connection, sender, {
      resource,
      filter,
      since: filter === undefined ? new Date(before.getTime() - WATERMARK_OVERLAP_MS) : null,
    });
    if (candidates === undefined) {
      return { outcome: 'undecided', because: `more than ${MAX_PAGES} pages have changed since` };
    }
    const keys = candidates.flatMap((candidate) => keyIn(resource, candidate) ?? []);
    const anothers = await store.writes.anothers({ connectionId, idempotencyKey, resource, keys, before });
    return judgeCreated({
      wanted: recordOf(operation, body),
      naturalKey: value === undefined ? undefined : naturalKey?.field,
      candidates,
      isAnothers: (candidate) => anothers.has(keyIn(resource, candidate) ?? '') || wasCreatedBefore(candidate, before),
      rivals: rivals.map((rival) => recordOf(rival.operation, rival.body)),
    });
  }

  /** All of it; `undefined`: it is too much. */
  async function list(
    connection: AuthorizedConnection,
    sender: Sender,
    {
      resource,
      filter,
      since,
    }: Pick<ByList, 'resource'> & {
      readonly filter: Readonly<Record<string, string>> | undefined;
      readonly since: Date | null;
    },
  ): Promise<readonly Fields[] | undefined> {
    const found: Fields[] = [];
    const { path } = resourceRow(resource);
    for (let page = 1; page <= MAX_PAGES; page += 1) {
      const fetched = await fetchPage({
        maesn,
        connection,
        sender,
        targetSystems,
        pageLimit: options.pageLimit,
        hasTime: () => true,
        signal: new AbortController().signal,
        wanted: { resource, path, page, since, filter },
      });
      for (const record of fetched?.records ?? []) if (isFields(record)) found.push(record);
      if (fetched?.last !== false) return found;
    }
    return undefined;
  }
}

/** What is found out is about this send; another attempt may have found out the same, and have sent it again. */
function asLookedUp({ sentAt }: Pick<Write, 'sentAt'>): Seen {
  return { states: ['unknown'], sentAt };
}

/** Whatever else can bring a record into this list. */
function creatorsOf(resource: ByList['resource']) {
  return WRITE_OPERATIONS.filter((operation) => {
    const { method, resource: list } = writeRow(operation);
    return method === 'POST' && list === resource;
  });
}

function keyIn(resource: ByList['resource'], record: Fields): string | undefined {
  const { key } = resourceRow(resource);
  return key === null ? undefined : recordKey.safeParse(record[key]).data;
}

function wasCreatedBefore({ createdDate }: Fields, before: Date): boolean {
  return typeof createdDate === 'string' && Date.parse(createdDate) < before.getTime() - CLOCKS_DIFFER_MS;
}

function isFields(value: unknown): value is Fields {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
