/** What is known of resources, and of what happens to many connections at once. */
import { defineCommand } from 'citty';
import { API_ARGS, createApi } from './api.js';
import { printJson, printTable, toLine } from './output.js';
import { command, say } from './process.js';

const id = { type: 'positional', description: 'Connection id', required: true } as const;

const list = command({
  name: 'resources list',
  description: 'Which resources a connection offers, how fresh they are, and what Maesn warned of',
  args: { id, ...API_ARGS },
  run: async ({ args, config }) => {
    const { items } = await createApi(args, config).resources(args.id);
    if (args.json === true) return printJson(items);
    if (items.length === 0) return say('Nothing was asked for yet.');
    printTable(
      ['resource', 'offered', 'as of', 'asked again on'],
      items.map(({ resource, offered, reason, asOf, recheckAt }) => [
        resource,
        offered === null ? 'not known yet' : offered ? 'yes' : `no (${reason?.status ?? reason?.type ?? ''})`,
        asOf ?? '',
        recheckAt ?? '',
      ]),
    );
    const warned = items.flatMap(({ resource, warnings }) => warnings.map((warning) => ({ resource, ...warning })));
    if (warned.length === 0) return;
    say('');
    printTable(
      ['resource', 'times', 'first', 'last', 'warning'],
      warned.map(({ resource, count, firstAt, lastAt, text }) => [
        resource,
        String(count),
        firstAt,
        lastAt,
        toLine(text),
      ]),
    );
  },
});

const recheck = command({
  name: 'resources recheck',
  description: 'Ask again for a resource that is not offered. Example: maesn-sync resources recheck acme offers',
  args: {
    id,
    resource: { type: 'positional', description: 'invoices, customers, ...', required: true },
    ...API_ARGS,
  },
  run: async ({ args, config }) => {
    await createApi(args, config).recheckResource(args.id, args.resource);
    if (args.json === true) printJson({ connectionId: args.id, resource: args.resource, done: 'asked for again' });
    else say(`${args.id}: ${args.resource} is asked for again.`);
  },
});

export const resources = defineCommand({
  meta: { name: 'resources', description: 'What is known of the resources of a connection' },
  subCommands: { list, recheck },
});

export const incidents = command({
  name: 'incidents',
  description:
    'What happened to many connections at once, newest first: our API key was refused, a target system failed',
  args: {
    open: { type: 'boolean', description: 'Those that are not over alone' },
    limit: { type: 'string', description: 'At most 1000. Default: 100' },
    ...API_ARGS,
  },
  run: async ({ args, config }) => {
    const query = { open: args.open === true ? 'true' : undefined, limit: args.limit };
    const { items } = await createApi(args, config).incidents(query);
    if (args.json === true) return printJson(items);
    if (items.length === 0) return say('None.');
    printTable(
      ['id', 'what', 'system', 'connections', 'opened', 'last seen', 'closed'],
      items.map((one) => [
        String(one.id),
        one.kind,
        one.targetSystem ?? 'all',
        String(one.connections),
        one.openedAt,
        one.lastSeenAt,
        one.closedAt ?? 'no',
      ]),
    );
  },
});
