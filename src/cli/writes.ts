/** Writing through Maesn, each thing once, and what became of it. */
import { defineCommand } from 'citty';
import { RESOLUTIONS } from '../store/index.js';
import { API_ARGS, createApi } from './api.js';
import type { Api } from './api.js';
import { createProgress, printJson, printTable, toLine } from './output.js';
import { CommandError, command, say } from './process.js';
import { readAnswers, sendWrites, waitForWrites } from './send-writes.js';
import type { Sent, Write, WriteStatus } from './send-writes.js';
import { readWrites } from './write-file.js';

const id = { type: 'positional', description: 'Connection id', required: true } as const;
const key = { type: 'positional', description: 'Idempotency key', required: true } as const;

export const write = command({
  name: 'write',
  description:
    'Have things created, changed or deleted, each once. Example: maesn-sync write acme --file invoices.ndjson --operation createInvoice --wait',
  args: {
    id,
    file: {
      type: 'string',
      description:
        'A JSON object, a JSON array, or a line each: {idempotencyKey, operation, parameters?, body?}. -: standard input',
      required: true,
    },
    operation: { type: 'string', description: 'Of those that name none: createInvoice, ...' },
    wait: {
      type: 'boolean',
      description: 'Until all have ended or are undecided; exit code 1 when one was not applied',
    },
    ...API_ARGS,
  },
  run: async ({ args, config }) => {
    const api = createApi(args, config);
    const entries = await readWrites(args.file, args.operation);
    const progress = createProgress();
    const total = entries.length;
    const sent = await sendWrites(api, args.id, entries, (n) => progress(`Sent ${n} of ${total}`, n === total));
    const taken = sent.flatMap((one) => one.write ?? []);
    const writes =
      args.wait === true
        ? await waitForWrites(api, args.id, taken, (now) => {
            const [ended, undecided] = [count(now, 'ended'), count(now, 'undecided')];
            progress(`Ended ${ended} of ${now.length}, undecided ${undecided}`, ended + undecided === now.length);
          })
        : taken;
    await report(api, sent, writes, args.json === true);
  },
});

function count(writes: readonly Write[], state: Write['state']): number {
  return writes.filter((one) => one.state === state).length;
}

/** How many became what, and of each that was not applied why. */
async function report(api: Api, sent: readonly Sent[], writes: readonly Write[], json: boolean): Promise<void> {
  const failed = writes.filter(
    ({ state, outcome }) => state === 'undecided' || (state === 'ended' && outcome !== 'applied'),
  );
  const answers = await readAnswers(api, failed);
  const notTaken = sent.flatMap(({ entry, problem }) => {
    return problem === undefined ? [] : [{ ...entry.write, place: entry.place, problem }];
  });
  if (json) printJson([...writes.map((one) => answers.get(one.id) ?? one), ...notTaken]);
  else {
    const counts = new Map<string, number>();
    for (const name of [...writes.map(stateOf), ...notTaken.map(() => 'not taken')]) {
      counts.set(name, (counts.get(name) ?? 0) + 1);
    }
    printTable(
      ['outcome', 'writes'],
      [...counts].map(([name, times]) => [name, String(times)]),
    );
    const rows = [
      ...[...answers.values()].map((one) => [one.idempotencyKey, one.operation, stateOf(one), reasonOf(one)]),
      ...notTaken.map((one) => [one.idempotencyKey, one.operation, 'not taken', `${one.place}: ${one.problem}`]),
    ];
    if (rows.length > 0) say('');
    if (rows.length > 0) printTable(['key', 'operation', 'outcome', 'why'], rows);
  }
  const failures = failed.length + notTaken.length;
  if (failures > 0) throw new CommandError(`${failures} of ${sent.length} were not applied, or nobody knows.`, 1);
}

/** `undecided`, or of one that has ended what it ended as: `partly applied`. */
function stateOf({ state, outcome }: Write): string {
  return (outcome ?? state).replaceAll('_', ' ');
}

/** With what Maesn said. */
function reasonOf({ because, answer }: WriteStatus): string {
  const words = answer === undefined ? '' : JSON.stringify(answer);
  return toLine([because ?? '', words].filter((part) => part !== '').join(' '));
}

const list = command({
  name: 'writes list',
  description: 'What was to be written, newest first; without an id, of all connections',
  args: {
    id: { ...id, required: false },
    state: {
      type: 'string',
      description: 'undecided: what a person must decide; waiting, sending, unknown, task, ended',
    },
    before: { type: 'string', description: 'From before this number' },
    limit: { type: 'string', description: 'At most 200. Default: 50' },
    ...API_ARGS,
  },
  run: async ({ args, config }) => {
    const query = { state: args.state, before: args.before, limit: args.limit };
    const { items } = await createApi(args, config).writes(query, args.id);
    if (args.json === true) return printJson(items);
    if (items.length === 0) return say('None.');
    printTable(
      ['number', 'connection', 'key', 'operation', 'state', 'since', 'why'],
      items.map((one) => [
        String(one.id),
        one.connectionId,
        one.idempotencyKey,
        one.operation,
        stateOf(one),
        one.changedAt,
        toLine(one.because ?? ''),
      ]),
    );
  },
});

const show = command({
  name: 'writes show',
  description: 'How far a write is, or what became of it, with what Maesn answered',
  args: { id, key, ...API_ARGS },
  run: async ({ args, config }) => {
    const one = await createApi(args, config).write(args.id, args.key);
    if (args.json === true) return printJson(one);
    const { idempotencyKey, connectionId, operation, sends, changedAt, because, resource, recordKey, answer } = one;
    say(`${idempotencyKey} of ${connectionId}: ${operation} ${Object.values(one.parameters).join(' ')}`.trimEnd());
    say(`${stateOf(one)} since ${changedAt}; sent ${sends === 1 ? 'once' : `${sends} times`}`);
    if (because !== null) say(toLine(because));
    if (recordKey !== null) say(`Record: ${resource ?? ''} ${toLine(recordKey)}`);
    if (answer !== undefined) printJson(answer);
  },
});

const resolve = command({
  name: 'writes resolve',
  description:
    'Say what became of a write that is undecided: applied, not_applied (it is sent again), abandon (let it be)',
  args: {
    id,
    key,
    decision: { type: 'positional', description: RESOLUTIONS.join(', '), required: true },
    ...API_ARGS,
  },
  run: async ({ args, config }) => {
    const resolved = await createApi(args, config).resolveWrite(args.id, args.key, args.decision);
    if (args.json === true) printJson(resolved);
    else say(`${args.key} of ${args.id}: ${stateOf(resolved)}.`);
  },
});

const cancel = command({
  name: 'writes cancel',
  description: 'End a write that was not sent yet; one that may have been applied becomes undecided',
  args: { id, key, ...API_ARGS },
  run: async ({ args, config }) => {
    await createApi(args, config).cancelWrite(args.id, args.key);
    if (args.json === true) printJson({ connectionId: args.id, idempotencyKey: args.key, done: 'told to end' });
    else say(`${args.key} of ${args.id}: told to end.`);
  },
});

export const writes = defineCommand({
  meta: { name: 'writes', description: 'What was to be written, and what became of it' },
  subCommands: { list, show, resolve, cancel },
});
