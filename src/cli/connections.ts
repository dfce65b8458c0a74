/** Connections and what is kept of them. */
import { setTimeout as sleep } from 'node:timers/promises';
import { defineCommand } from 'citty';
import type { z } from 'zod';
import type { connection } from '../backend/schemas.js';
import type { Config } from '../config.js';
import { keysOf } from '../spec/table.js';
import { TARGET_SYSTEMS } from '../spec/target-systems.js';
import { API_ARGS, createApi, patiently } from './api.js';
import { nearest } from './nearest.js';
import { printJson, printTable, readSecret } from './output.js';
import { CommandError, command, drained, say } from './process.js';

const id = { type: 'positional', description: 'Connection id', required: true } as const;
const LOOK_EVERY_MS = 500;

/** What a connection is added with, and what says so. */
const SETTINGS = {
  'target-system': 'targetSystem',
  'company-id': 'companyId',
  'environment-name': 'environmentName',
  'fiscal-year-start-date': 'fiscalYearStartDate',
} as const;

export const connect = command({
  name: 'connect',
  description:
    'Connect or reconnect a customer: prints the page to sign in on. Example: maesn-sync connect acme --target-system xero --wait',
  args: {
    id,
    'target-system': { type: 'string', description: 'xero, lexware-office, ...: needed for a new connection' },
    'company-id': { type: 'string', description: 'For systems with several companies' },
    'environment-name': { type: 'string', description: 'For systems with several environments' },
    'fiscal-year-start-date': { type: 'string', description: 'ISO date; datev-rewe-export needs it' },
    'account-key': {
      type: 'boolean',
      description: 'Read an account key from standard input instead of asking for a login',
    },
    wait: { type: 'boolean', description: 'Until the customer has signed in' },
    ...API_ARGS,
  },
  run: async ({ args, config }) => {
    const api = createApi(args, config);
    const known = await api.connection(args.id).catch((error: unknown) => {
      if (error instanceof CommandError && error.exitCode === 3) return undefined;
      throw error;
    });
    if (known !== undefined) refuseOther(args, known);
    else requireTargetSystem(args, config);
    const given = keysOf(SETTINGS).map((flag) => [SETTINGS[flag], args[flag]]);
    const before = known ?? (await api.addConnection({ connectionId: args.id, ...Object.fromEntries(given) }));
    if (args['account-key'] === true) {
      const connected = await api.reauthorized(args.id, await readSecret('Account key'));
      if (args.json === true) printJson(connected);
      else say(`${args.id}: the account key is stored.`);
      return;
    }
    const login = await api.authorize(args.id);
    if (args.wait !== true) {
      if (args.json === true) printJson(login);
      else say(`The customer signs in here, until ${login.expiresAt}:\n${login.loginUrl}`);
      return;
    }
    console.error(`The customer signs in here, until ${login.expiresAt}:\n${login.loginUrl}`);
    while (Date.now() < Date.parse(login.expiresAt)) {
      const now = await api.connection(args.id);
      if (now.keyVersion > before.keyVersion && now.status === 'active') {
        if (args.json === true) printJson(now);
        else say(`${args.id}: connected.`);
        return;
      }
      await sleep(LOOK_EVERY_MS);
    }
    throw new CommandError(`${args.id}: nobody signed in until ${login.expiresAt}.`, 1);
  },
});

type Given = Readonly<Partial<Record<keyof typeof SETTINGS, string | undefined>>>;

/** What a connection was added with stays as it is. */
function refuseOther(args: Given, known: z.output<typeof connection>): void {
  for (const flag of keysOf(SETTINGS)) {
    const is = known[SETTINGS[flag]];
    if (args[flag] === undefined || args[flag] === is) continue;
    const now = is === null ? 'has none' : `has ${is}`;
    throw new CommandError(
      `--${flag} cannot be changed: ${known.connectionId} ${now}. Add another connection, or remove this one first.`,
      2,
    );
  }
}

/** One that is not known may be new at Maesn. */
function requireTargetSystem({ 'target-system': name }: Given, { MAESN_SYNC_TARGET_SYSTEMS: added }: Config): void {
  if (name === undefined) throw new CommandError('There is no such connection yet: name its --target-system', 2);
  const known = Object.keys({ ...TARGET_SYSTEMS, ...added });
  if (known.includes(name)) return;
  const meant = nearest(name, known);
  const question = meant === undefined ? '' : ` Did you mean ${meant}?`;
  console.error(`Warning: ${name} is no target system that this version of maesn-sync knows.${question}`);
}

export const reauthorized = command({
  name: 'reauthorized',
  description: 'Hand over an account key, new or the same; it is read from standard input',
  args: { id, ...API_ARGS },
  run: async ({ args, config }) => {
    const connected = await createApi(args, config).reauthorized(args.id, await readSecret('Account key'));
    if (args.json === true) printJson(connected);
    else say(`${args.id}: the account key is stored; what waits goes on once Maesn has accepted it.`);
  },
});

const list = command({
  name: 'connections list',
  description: 'All connections',
  args: API_ARGS,
  run: async ({ args, config }) => {
    const api = createApi(args, config);
    const items = await all((after) => api.connections({ after, limit: 200 }));
    if (args.json === true) printJson(items);
    else {
      printTable(
        ['connection', 'system', 'status', 'awaiting since'],
        items.map((one) => [one.connectionId, one.targetSystem, one.status, one.awaitingSince ?? '']),
      );
    }
  },
});

const remove = command({
  name: 'connections remove',
  description: 'End the Workflows of a connection and delete it, its key and all of its records',
  args: { id, yes: { type: 'boolean', description: 'Do it: what is deleted is gone' }, ...API_ARGS },
  run: async ({ args, config }) => {
    if (args.yes !== true) throw new CommandError('Everything of the connection would be deleted: say --yes', 2);
    await createApi(args, config).removeConnection(args.id);
    if (args.json === true) printJson({ connectionId: args.id, done: 'removed' });
    else say(`${args.id}: removed.`);
  },
});

export const connections = defineCommand({
  meta: { name: 'connections', description: 'List and remove connections' },
  subCommands: { list, remove },
});

export const journal = command({
  name: 'journal',
  description: 'Who did what with a connection, newest first; also of one that was removed',
  args: { id, limit: { type: 'string', description: 'At most 1000. Default: 100' }, ...API_ARGS },
  run: async ({ args, config }) => {
    const { items } = await createApi(args, config).journal(args.id, { limit: args.limit });
    if (args.json === true) printJson(items);
    else {
      printTable(
        ['at', 'who', 'what', 'detail'],
        items.map(({ at, actor, action, detail }) => [at, actor, action, JSON.stringify(detail)]),
      );
    }
  },
});

export const records = command({
  name: 'records',
  description:
    'What the store holds, a JSON record a line. Example: maesn-sync records acme invoices --all | jq .record',
  args: {
    id,
    resource: { type: 'positional', description: 'invoices, customers, ...', required: true },
    key: { type: 'positional', description: 'One record only', required: false },
    after: { type: 'string', description: 'From behind this key' },
    limit: { type: 'string', description: 'Of a page: at most 1000. Default: 100, with --all 1000' },
    'modified-since': { type: 'string', description: 'ISO 8601, with a time zone' },
    'include-deleted': { type: 'boolean', description: 'Also what the target system does not hold any more' },
    all: { type: 'boolean', description: 'Page after page, to the end' },
    ...API_ARGS,
  },
  run: async ({ args, config }) => {
    const api = createApi(args, config);
    const { id: of, resource, key } = args;
    if (key !== undefined) return printJson(await api.record(of, resource, key));
    const query = {
      limit: args.limit ?? (args.all === true ? '1000' : undefined),
      modifiedSince: args['modified-since'],
      includeDeleted: args['include-deleted'] === true ? 'true' : undefined,
    };
    let { after } = args;
    do {
      const page = await patiently(() => api.records(of, resource, { ...query, after }));
      for (const item of page.items) say(JSON.stringify(item));
      // Else a reader that is slower than we are would have all pages in our memory.
      await drained();
      after = page.next;
    } while (args.all === true && after !== undefined);
  },
});

const eventsList = command({
  name: 'events list',
  description: 'What the application is told, oldest first',
  args: {
    connection: { type: 'string', description: 'Of one connection only' },
    after: { type: 'string', description: 'From behind this event' },
    limit: { type: 'string', description: 'At most 1000. Default: 100' },
    ...API_ARGS,
  },
  run: async ({ args, config }) => {
    const query = { connectionId: args.connection, after: args.after, limit: args.limit };
    const { items } = await createApi(args, config).events(query);
    if (args.json === true) printJson(items);
    else {
      printTable(
        ['id', 'at', 'connection', 'type', 'delivered', 'last error'],
        items.map((one) => [
          String(one.id),
          one.createdAt,
          one.connectionId ?? '',
          one.type,
          one.deliveredAt ??
            (one.incidentId === null ? `no, ${one.attempts} attempts` : `no, incident ${one.incidentId}`),
          one.lastError ?? '',
        ]),
      );
    }
  },
});

const replay = command({
  name: 'events replay',
  description: 'Deliver an event once more, under the same id',
  args: { event: { type: 'positional', description: 'Id, as events list shows it', required: true }, ...API_ARGS },
  run: async ({ args, config }) => {
    const event = Number(args.event);
    if (!Number.isSafeInteger(event)) throw new CommandError(`${args.event} is not the id of an event`, 2);
    const { items } = await createApi(args, config).replayEvents([event]);
    if (args.json === true) printJson(items);
    else say(`Event ${args.event} is delivered once more.`);
  },
});

export const events = defineCommand({
  meta: { name: 'events', description: 'List and replay what the application is told' },
  subCommands: { list: eventsList, replay },
});

/** All pages of a list. */
async function all<Item>(
  read: (after: string | undefined) => Promise<{ readonly items: readonly Item[]; readonly next?: string | undefined }>,
): Promise<Item[]> {
  const items: Item[] = [];
  let after: string | undefined;
  do {
    const page = await read(after);
    items.push(...page.items);
    after = page.next;
  } while (after !== undefined);
  return items;
}
