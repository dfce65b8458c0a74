/** The commands, as processes: what they print, and how they end. */
import { once } from 'node:events';
import { text as readAll } from 'node:stream/consumers';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { msToTs } from '@temporalio/common/lib/time.js';
import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest';
import { z } from 'zod';
import pack from '../package.json' with { type: 'json' };
import { isPolling } from '../src/cli/doctor.js';
import { nearest } from '../src/cli/nearest.js';
import { TARGET_SYSTEMS } from '../src/spec/target-systems.js';
import { TEST_TOKEN, startTestBackend } from './support/backend.js';
import type { TestBackend } from './support/backend.js';
import { runCli, startCli } from './support/cli.js';
import type { CliResult, RunCliOptions } from './support/cli.js';
import { startHarness } from './support/harness.js';
import type { Harness } from './support/harness.js';
import { TEST_SEALING_KEY, createTestDatabase, openTestStore } from './support/store.js';
import { startReceiver } from './support/receiver.js';
import type { Receiver } from './support/receiver.js';
import { standIn } from './support/stand-in.js';
import { untilRetrying } from './support/sync-states.js';
import { waitFor } from './support/wait.js';

let harness: Harness;
let backend: TestBackend;
let receiver: Receiver;
beforeAll(async () => {
  receiver = await startReceiver();
  harness = await startHarness({ overrides: receiver.overrides });
  backend = await startTestBackend(harness, receiver.overrides);
});
afterAll(async () => {
  await backend.close();
  await harness.close();
  await receiver.close();
});

const run = (args: readonly string[], options: RunCliOptions = {}): Promise<CliResult> =>
  runCli(args, { ...options, env: { MAESN_SYNC_URL: backend.url, MAESN_SYNC_TOKEN: TEST_TOKEN, ...options.env } });

const takenOf = (connectionId: string) => receiver.taken.filter(({ data }) => data.connectionId === connectionId);

describe('a sync', () => {
  it('is waited for to its end, with progress, and ends the command as it ended', async () => {
    const { connectionId, account } = await harness.connect({ records: { items: 250, bills: 5 } });
    const good = await run(['sync', 'start', connectionId, '--resources', 'items', '--wait']);
    expect(good).toMatchObject({ code: 0, stderr: '' });
    expect(good.stdout).toMatch(/Completed on/);
    account.fault({ resource: 'bills', answer: { status: 403 } });
    const bad = await run(['sync', 'start', connectionId, '--resources', 'items,bills', '--wait', '--json']);
    expect(bad).toMatchObject({ code: 1, stderr: expect.stringContaining('1 of 2 resources failed: bills') });
    expect(JSON.parse(bad.stdout)).toMatchObject({ state: 'Failed' });
    const all = await run(['sync', 'status']);
    expect(all.stdout).toMatch(new RegExp(`${connectionId} +sevdesk +Failed`));
  });

  it('that looked for changes and found none has read one page, not one of none', async () => {
    const { connectionId } = await harness.connect({ records: { items: 5 } });
    const cycle = async () => {
      await harness.sync.startSync(connectionId, { resources: ['items'] });
      await waitFor('it ends', async () => (await harness.sync.syncStatus(connectionId)).state === 'Completed');
      return (await run(['sync', 'status', connectionId])).stdout;
    };
    expect(await cycle()).toMatch(/^items +completed +1 of 1 +5 /m);
    expect(await cycle()).toMatch(/^items +completed +1 +0 /m);
  });

  it('that is stuck is listed with why, since when and until when', async () => {
    const { connectionId, account } = await harness.connect({ records: { items: 5 } });
    account.fault({ resource: 'items', answer: { status: 429, retryAfter: 600 } });
    await harness.sync.startSync(connectionId, { resources: ['items'] });
    await untilRetrying(harness.sync, connectionId);
    const { stdout } = await run(['stuck']);
    expect(stdout).toMatch(
      new RegExp(`${connectionId} +sevdesk +Retrying +20.*Z +20.*Z +429 from sevdesk, first time`),
    );
    expect(await run(['sync', 'retry', connectionId])).toMatchObject({ code: 0 });
    await waitFor('it goes on', async () => (await harness.sync.syncStatus(connectionId)).state === 'Completed');
    expect(JSON.parse((await run(['stuck', '--json'])).stdout)).toEqual([]);
  });
});

describe('a customer', () => {
  it('is connected while the command waits', async () => {
    const account = harness.sandbox.addAccount({ targetSystem: 'xero', records: { items: 3 } });
    let signingIn: Promise<unknown> | undefined;
    const connected = await run(['connect', 'by-command', '--target-system', 'xero', '--wait'], {
      onStderr: (text) => {
        const [loginUrl] = /http\S+\/sandbox\/login\/\S+/.exec(text) ?? [];
        if (loginUrl === undefined) return;
        const body = new URLSearchParams({ action: 'signIn', account: account.name });
        signingIn = fetch(loginUrl, { method: 'POST', body }).then((response) => response.text());
      },
    });
    expect(await signingIn).toContain('You are connected');
    expect(connected).toMatchObject({ code: 0, stdout: 'by-command: connected.\n' });
    expect((await run(['connections', 'list'])).stdout).toMatch(/by-command +xero +active/);
    const journal = await run(['journal', 'by-command']);
    expect(journal.stdout).toMatch(/end user +key\.stored/);
    expect(await run(['connections', 'remove', 'by-command'])).toMatchObject({ code: 2 });
    expect(await run(['connections', 'remove', 'by-command', '--yes'])).toMatchObject({ code: 0 });
    expect(await run(['sync', 'status', 'by-command'])).toMatchObject({ code: 3, stdout: '' });
  });

  it('is not connected with other settings than it was added with', async () => {
    const { connectionId } = await harness.connect({ records: {}, targetSystem: 'xero' });
    expect(await run(['connect', connectionId, '--target-system', 'xero'])).toMatchObject({ code: 0 });
    for (const [flag, value, told] of [
      ['--target-system', 'sevdesk', 'has xero'],
      ['--company-id', '2', 'has none'],
    ] as const) {
      const refused = await run(['connect', connectionId, flag, value]);
      expect(refused).toMatchObject({ code: 2, stdout: '' });
      expect(refused.stderr).toContain(`${flag} cannot be changed: ${connectionId} ${told}.`);
    }
  });

  it.each([
    ['xerro', {}, 'Warning: xerro is no target system that this version of maesn-sync knows. Did you mean xero?\n'],
    ['zoho-books', { MAESN_SYNC_TARGET_SYSTEMS: '{"zoho-books":{}}' }, ''],
  ])(
    'of a target system that may be new (%s) is connected, with a warning where nobody has named it',
    async (name, env, stderr) => {
      const args = ['connect', `of-${name}`, '--target-system', name, '--account-key'];
      expect(await run(args, { env, stdin: 'key' })).toMatchObject({ code: 0, stderr });
    },
  );

  it('hands a key over by standard input, and it is shown nowhere', async () => {
    const { connectionId, account } = await harness.connect({ records: { items: 3 } });
    const handed = await run(['reauthorized', connectionId, '--json'], { stdin: `${account.accountKey}\n` });
    expect(handed).toMatchObject({ code: 0 });
    expect(JSON.parse(handed.stdout)).toMatchObject({ keyVersion: 2 });
    expect(JSON.stringify(handed)).not.toContain(account.accountKey);
    expect(await run(['reauthorized', connectionId], { stdin: '' })).toMatchObject({ code: 2 });
  });
});

it('all records are listed in large pages, and patiently where that is too fast', async () => {
  const asked: string[] = [];
  const busy = await standIn((request, response) => {
    asked.push(request.url ?? '');
    const [status, body] =
      asked.length === 2
        ? [429, { type: 'about:blank', title: 'Slow down', status: 429, detail: 'Ask again.', code: 'TooManyRequests' }]
        : [200, { items: [], ...(asked.length === 1 ? { next: 'k' } : {}) }];
    response.writeHead(status, { 'content-type': 'application/json', 'retry-after': '0' });
    response.end(JSON.stringify(body));
  });
  const all = await run(['records', 'acme', 'items', '--all'], { env: { MAESN_SYNC_URL: busy } });
  expect(all).toEqual({ code: 0, stdout: '', stderr: '' });
  const path = '/connections/acme/resources/items/records?limit=1000';
  expect(asked).toEqual([path, `${path}&after=k`, `${path}&after=k`]);
});

it.each([
  ['xerro', 'xero'],
  ['lexwareoffice', 'lexware-office'],
  ['quickboks', 'quickbooks'],
  ['zoho', undefined],
  ['', undefined],
])('a slug typed as %s meant %s', (typed, meant) => {
  expect(nearest(typed, Object.keys(TARGET_SYSTEMS))).toBe(meant);
});

describe('whoever reads records', () => {
  const PAGES = 4;
  const items = Array.from({ length: 1_000 }, (_, index) => ({
    key: String(index),
    record: { text: 'x'.repeat(2_000) },
    modifiedAt: null,
    problems: null,
    syncedAt: '2026-01-01T00:00:00Z',
    deletedAt: null,
  }));
  const large = { ...items[0], key: 'large', record: 'x'.repeat(2_000_000) };
  const lengthOfPage = items.reduce((sum, item) => sum + JSON.stringify(item).length + 1, 0);

  async function readSlowly(args: readonly string[], take: (taken: number) => boolean) {
    let taken = 0;
    const takenWhenAsked: number[] = [];
    const url = await standIn((request, response) => {
      takenWhenAsked.push(taken);
      const next = takenWhenAsked.length < PAGES ? { next: String(takenWhenAsked.length) } : {};
      const answer = request.url?.endsWith('/large') === true ? large : { items, ...next };
      response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(answer));
    });
    const child = startCli(['records', 'acme', 'items', ...args], { MAESN_SYNC_URL: url });
    child.stdin.end();
    const [exited, errors] = [once(child, 'exit'), readAll(child.stderr)];
    // Leaving the loop closes the pipe.
    for await (const chunk of child.stdout as AsyncIterable<Buffer>) {
      taken += chunk.length;
      if (!take(taken)) break;
      await nextTurn();
    }
    const [code]: unknown[] = await exited;
    return { code, stderr: await errors, taken, takenWhenAsked };
  }

  it('slowly gets all of them, and no page is asked for before the one before it was taken', async () => {
    const { takenWhenAsked, ...result } = await readSlowly(['--all'], () => true);
    expect(result).toEqual({ code: 0, stderr: '', taken: PAGES * lengthOfPage });
    // What pipes hold by themselves is less than half of a page.
    for (const [index, taken] of takenWhenAsked.entries()) {
      expect(taken).toBeGreaterThanOrEqual((index - 0.5) * lengthOfPage);
    }
  });

  it('slowly gets a large one to its end', async () => {
    const lengthOfLarge = JSON.stringify(large, undefined, 2).length + 1;
    expect(await readSlowly(['large'], () => true)).toMatchObject({ code: 0, stderr: '', taken: lengthOfLarge });
  });

  it('and stops ends the command, without a word', async () => {
    const { code, stderr, takenWhenAsked } = await readSlowly(['--all'], (taken) => taken < lengthOfPage / 2);
    expect({ code, stderr }).toEqual({ code: 141, stderr: '' });
    expect(takenWhenAsked).toHaveLength(1);
  });
});

it('records and events are listed, found and replayed', async () => {
  const { connectionId } = await harness.connect({ records: { items: 120 } });
  await run(['sync', 'start', connectionId, '--resources', 'items', '--wait']);
  const listed = (await run(['records', connectionId, 'items', '--all', '--limit', '50'])).stdout.trim().split('\n');
  expect(listed).toHaveLength(120);
  const { key } = z.object({ key: z.string() }).parse(JSON.parse(listed[0] ?? ''));
  expect(JSON.parse((await run(['records', connectionId, 'items', key])).stdout)).toMatchObject({ key });
  expect(await run(['records', connectionId, 'items', 'none'])).toMatchObject({ code: 3 });

  await waitFor('both events are taken', () => takenOf(connectionId).length === 2);
  const events = z
    .array(z.object({ id: z.number(), type: z.string() }))
    .parse(JSON.parse((await run(['events', 'list', '--connection', connectionId, '--json'])).stdout));
  expect(events.map(({ type }) => type)).toEqual(['sync.started', 'sync.completed']);
  expect(await run(['events', 'replay', String(events[0]?.id)])).toMatchObject({ code: 0 });
  await waitFor('it came again', () => takenOf(connectionId).length === 3);
  expect(await run(['events', 'replay', 'soon'])).toMatchObject({ code: 2 });
});

describe('writes', () => {
  const INVOICE = '{"operation":"createInvoice","body":{"invoiceNumber":"A-1"}';
  const states = z.array(z.object({ idempotencyKey: z.string(), state: z.string().optional() }));
  const list = async (connectionId: string) => {
    const { stdout } = await run(['writes', 'list', connectionId, '--json']);
    return states.parse(JSON.parse(stdout));
  };

  // Nothing is sent: what becomes of a write, the tests say.
  beforeAll(() => harness.stopWorker());
  afterAll(() => harness.startWorker());

  it('are sent from a file and waited for, and the report says of each that was not applied why', async () => {
    const { connectionId } = await harness.connect({ records: {} });
    const lines = ['applied', 'refused', 'undecided'].map((key) => `{"idempotencyKey":"${key}","body":{"name":"n"}}`);
    const args = ['write', connectionId, '--file', '-', '--operation', 'createContact', '--wait'];
    const running = run(args, { stdin: lines.join('\n\n') });
    const { writes } = harness.store;
    await waitFor('all are taken', async () => (await writes.list({ connectionId, limit: 10 })).length === 3);
    const of = (idempotencyKey: string) => ({ connectionId, idempotencyKey });
    await writes.end({ ...of('applied'), outcome: 'applied', answer: { data: {} } });
    const answer = { validationErrors: [{ message: 'No \u001B[2Jname' }] };
    await writes.end({ ...of('refused'), outcome: 'refused', because: 'BadRequest: Maesn answered 400', answer });
    await writes.move(of('undecided'), { state: 'undecided', because: 'nobody knows' });
    const { code, stdout, stderr } = await running;
    expect(code, stderr).toBe(1);
    expect(stderr).toMatch(/Sent 3 of 3\n[^]*Ended 2 of 3, undecided 1\n2 of 3 were not applied, or nobody knows\.\n$/);
    for (const name of ['applied', 'refused', 'undecided']) expect(stdout).toMatch(new RegExp(`^${name} +1$`, 'm'));
    expect(stdout).toMatch(/^refused +createContact +refused +BadRequest: Maesn answered 400 .*No .*name/m);
    expect(stdout).toMatch(/^undecided +createContact +undecided +nobody knows$/m);
    expect(stdout).not.toContain('\u001B');

    const again = await run([...args, '--json'], { stdin: `[${lines.join(',')}]` });
    expect(again.code).toBe(1);
    expect(JSON.parse(again.stdout)).toMatchObject([{ outcome: 'applied' }, { outcome: 'refused', answer }, {}]);
  });

  it('that are applied, or only asked for, end the command with 0', async () => {
    const { connectionId } = await harness.connect({ records: {} });
    const stdin = `${INVOICE},"idempotencyKey":"order-1"}`;
    const asked = await run(['write', connectionId, '--file', '-'], { stdin });
    expect(asked).toMatchObject({ code: 0, stdout: expect.stringMatching(/^waiting +1$/m) });
    await harness.store.writes.end({ connectionId, idempotencyKey: 'order-1', outcome: 'applied' });
    const ended = await run(['write', connectionId, '--file', '-', '--wait'], { stdin });
    expect(ended).toMatchObject({ code: 0, stdout: expect.stringMatching(/^applied +1$/m) });
  });

  it('whose file is wrong are not sent, and each line that is wrong is named', async () => {
    const { connectionId } = await harness.connect({ records: {} });
    const stdin = [
      `${INVOICE},"idempotencyKey":"a"}`,
      '{"operation":"createInvoice"',
      `${INVOICE},"idempotencyKey":"b c"}`,
      '{"operation":"deleteBill","idempotencyKey":"d","parameters":{}}',
      `${INVOICE},"idempotencyKey":"a"}`,
    ].join('\n');
    const { code, stderr } = await run(['write', connectionId, '--file', '-'], { stdin });
    expect(code).toBe(2);
    expect(stderr).toMatch(
      /^line 2: is not JSON\nline 3: idempotencyKey: must be .*\nline 4: parameters\.billId: is needed\n/,
    );
    expect(stderr).toMatch(/line 5: idempotencyKey: is that of line 1\nNothing was sent\.\n$/);
    expect(await list(connectionId)).toEqual([]);
    expect(await run(['write', connectionId, '--file', '-'])).toMatchObject({ code: 2 });
    expect(await run(['write', connectionId, '--file', '/nowhere.json'])).toMatchObject({ code: 2 });
  });

  it('under the key of another one are told, and the others are sent', async () => {
    const { connectionId } = await harness.connect({ records: {} });
    const body = { invoiceNumber: 'A-0' };
    await harness.sync.write(connectionId, { idempotencyKey: 'a', operation: 'createInvoice', body });
    const stdin = `${INVOICE},"idempotencyKey":"a"}\n${INVOICE},"idempotencyKey":"b"}`;
    const { code, stdout } = await run(['write', connectionId, '--file', '-'], { stdin });
    expect(code).toBe(1);
    expect(stdout).toMatch(/^a +createInvoice +not taken +line 1: .*stands for another write/m);
    expect((await list(connectionId)).map(({ idempotencyKey }) => idempotencyKey)).toEqual(['b', 'a']);
  });

  it('about one record keep the order of the file', async () => {
    const { connectionId } = await harness.connect({ records: {} });
    const keys = Array.from({ length: 30 }, (_, index) => `k-${index}`);
    const entries = keys.map((idempotencyKey) => {
      return {
        idempotencyKey,
        operation: 'patchContact',
        parameters: { contactId: 'c' },
        body: { name: idempotencyKey },
      };
    });
    await run(['write', connectionId, '--file', '-'], { stdin: JSON.stringify(entries) });
    expect((await list(connectionId)).map(({ idempotencyKey }) => idempotencyKey)).toEqual(keys.toReversed());
  });

  it('are listed, shown, decided and cancelled', async () => {
    const { connectionId } = await harness.connect({ records: {} });
    const of = { connectionId, idempotencyKey: 'order-1' };
    await run(['write', connectionId, '--file', '-'], { stdin: `${INVOICE},"idempotencyKey":"order-1"}` });
    expect((await run(['writes', 'list', connectionId, '--state', 'undecided'])).stdout).toBe('None.\n');
    await harness.store.writes.move(of, { state: 'undecided', because: 'nobody knows' });
    const listed = await run(['writes', 'list', '--state', 'undecided']);
    expect(listed.stdout).toMatch(
      new RegExp(`${connectionId} +order-1 +createInvoice +undecided +20.*Z +nobody knows`),
    );
    const shown = await run(['writes', 'show', connectionId, 'order-1']);
    expect(shown.stdout).toMatch(/^order-1 of .*: createInvoice\nundecided since 20.*; sent 0 times\nnobody knows\n$/);
    expect(await run(['writes', 'resolve', connectionId, 'order-1', 'maybe'])).toMatchObject({ code: 2 });
    const resolved = await run(['writes', 'resolve', connectionId, 'order-1', 'not_applied']);
    expect(resolved).toMatchObject({ code: 0, stdout: `order-1 of ${connectionId}: waiting.\n` });
    expect(await run(['writes', 'resolve', connectionId, 'order-1', 'applied'])).toMatchObject({ code: 1 });
    expect(await run(['writes', 'cancel', connectionId, 'order-1'])).toMatchObject({ code: 0 });
    expect(await run(['writes', 'show', connectionId, 'none'])).toMatchObject({ code: 3 });
    expect(await run(['writes', 'show', connectionId, '..'])).toMatchObject({ code: 2 });
  });
});

describe('what is wrong is named, and the command ends with', () => {
  it.each<[string, number, RegExp, readonly string[], Record<string, string>?]>([
    ['a flag that nobody knows', 2, /sync start does not know --evry/, ['sync', 'start', 'a', '--evry', '1m']],
    ['one argument too many', 2, /does not know b/, ['stuck', 'b']],
    ['one argument too few', 2, /reason/i, ['sync', 'pause', 'a']],
    ['an address that is none', 2, /--url foo must be an http or https URL, such as/, ['stuck', '--url', 'foo']],
    ['an address that is none, of the doctor', 2, /--url foo must be/, ['doctor', '--url', 'foo']],
    ['a command that is none', 2, /Unknown command/, ['nap']],
    ['a resource that is none', 2, /resources\.0/, ['sync', 'start', 'a', '--resources', 'cats']],
    [
      'a connection that is not there',
      3,
      /There is no connection nobody/,
      ['sync', 'pause', 'nobody', '--reason', 'x'],
    ],
    ['an id that is a path', 2, /\.\. is not the id of a connection/, ['sync', 'status', '..']],
    ['a new connection without system', 2, /--target-system/, ['connect', 'brand-new']],
    ['a wrong token', 1, /bearer token.*Set MAESN_SYNC_TOKEN/, ['stuck'], { MAESN_SYNC_TOKEN: 'wrong' }],
    [
      'a backend that is not there',
      4,
      /was not reached: .*Is maesn-sync serve running/,
      ['stuck'],
      { MAESN_SYNC_URL: 'http://127.0.0.1:9' },
    ],
    ['something that is no backend', 4, /is that the backend\?/, ['stuck'], { MAESN_SYNC_URL: 'sandbox' }],
    ...['dev', 'serve'].map((name): [string, number, RegExp, readonly string[], Record<string, string>] => [
      `a backend that others would reach without a token (${name})`,
      2,
      /MAESN_SYNC_TOKENS: must be set when MAESN_SYNC_ADDRESS is not loopback/,
      [name],
      { MAESN_SYNC_ADDRESS: '0.0.0.0:0' },
    ]),
    ['a wrong environment', 2, /MAESN_TIMEOUT: must be a duration/, ['stuck'], { MAESN_TIMEOUT: 'soon' }],
  ])('%s: %i', async (_name, code, message, args, env = {}) => {
    const sandbox = env['MAESN_SYNC_URL'] === 'sandbox' ? { MAESN_SYNC_URL: harness.sandbox.url } : {};
    const result = await run(args, { env: { ...env, ...sandbox } });
    expect(result.stderr).toMatch(message);
    expect(result.code).toBe(code);
    // Whoever has typed a command wrongly is shown how it is used.
    expect(result.stdout).toMatch(/^(?:$|.*USAGE)/s);
  });
});

it('every command says what it is for', async () => {
  const main = await run(['--help']);
  for (const name of [
    'dev',
    'serve',
    'worker',
    'migrate',
    'doctor',
    'connect',
    'sync',
    'stuck',
    'records',
    'reauthorized',
    'write',
    'writes',
  ]) {
    expect(main.stdout).toContain(name);
  }
  const help = await run(['sync', 'start', '--help'], { env: { NO_COLOR: '' } });
  expect(help.stdout).toMatch(/^USAGE maesn-sync sync start \[OPTIONS\] <ID>[^]*--every.*cycle/m);
  expect(help.stdout).not.toContain('\u001B');
  expect((await run(['sync', '--help'])).stdout).toMatch(/^USAGE maesn-sync sync start\|/m);
});

it('the version is that of the package', async () => {
  expect(await run(['--version'])).toEqual({ code: 0, stdout: `${pack.version}\n`, stderr: '' });
});

describe('the doctor', () => {
  const findings = z.array(
    z.object({ what: z.string(), result: z.string(), detail: z.string(), fix: z.string().optional() }),
  );

  it('finds nothing wrong where nothing is, but for what is not there', async () => {
    const { code, stdout, stderr } = await run(['doctor', '--json'], {
      env: {
        MAESN_API_KEY: harness.sandbox.apiKey,
        MAESN_BASE_URL: harness.sandbox.url,
        MAESN_SYNC_TASK_QUEUE: harness.config.MAESN_SYNC_TASK_QUEUE,
        TEMPORAL_ADDRESS: inject('temporalAddress'),
      },
    });
    expect(code, stdout + stderr).toBe(0);
    const found = findings.parse(JSON.parse(stdout));
    expect(found.filter(({ result }) => result === 'ok').map(({ what }) => what.replace(/ at .*/, ''))).toEqual([
      'environment',
      'Temporal',
      'search attributes',
      'Workers',
      'Maesn',
      'backend',
    ]);
    expect(found.filter(({ result }) => result === 'warning').map(({ what }) => what)).toEqual(['Postgres', 'API key']);
  });

  it('says of everything that is wrong how to mend it', async () => {
    const { code, stdout } = await run(['doctor', '--json'], {
      env: {
        DATABASE_URL: 'postgres://127.0.0.1:9/none',
        MAESN_API_KEY: 'key',
        MAESN_BASE_URL: 'http://127.0.0.1:9',
        MAESN_SYNC_ADDRESS: '0.0.0.0:8080',
        MAESN_SYNC_EVENTS_SECRET: receiver.secret,
        MAESN_SYNC_EVENTS_URL: 'https://10.0.0.1/events',
        MAESN_SYNC_SEALING_KEY: Buffer.alloc(32).toString('base64'),
        MAESN_SYNC_URL: 'http://127.0.0.1:9',
        TEMPORAL_ADDRESS: '127.0.0.1:9',
      },
    });
    expect(code).toBe(1);
    const found = findings.parse(JSON.parse(stdout)).filter(({ result }) => result !== 'ok');
    expect(found.map(({ what }) => what.replace(/ at .*/, ''))).toEqual([
      'environment',
      'Temporal',
      'Postgres',
      'Maesn',
      'backend',
      'events',
    ]);
    expect(found.every(({ fix }) => fix !== undefined)).toBe(true);
  });

  it('says what a backend lacks that is there and not ready', async () => {
    const lacking = await standIn((_request, response) => {
      response
        .writeHead(503, { 'content-type': 'application/json' })
        .end('{"storeAnswers":false,"temporalAnswers":true}');
    });
    const { code, stdout } = await run(['doctor', '--json'], {
      env: { MAESN_SYNC_URL: lacking, TEMPORAL_ADDRESS: inject('temporalAddress') },
    });
    expect(code).toBe(1);
    expect(findings.parse(JSON.parse(stdout)).find(({ what }) => what === 'backend')).toMatchObject({
      result: 'wrong',
      detail: 'is not ready: storeAnswers',
    });
  });

  it('leaves alone what a Worker may lack, and what the sandbox stands in for', async () => {
    const { stdout } = await run(['doctor', '--json'], {
      env: { MAESN_SYNC_PUBLIC_URL: 'https://sync.example.com', TEMPORAL_ADDRESS: inject('temporalAddress') },
    });
    const warnings = findings.parse(JSON.parse(stdout)).filter(({ result }) => result === 'warning');
    expect(warnings).toMatchObject([
      { what: 'environment', detail: expect.stringContaining('dev and serve do not start: MAESN_SYNC_TOKENS') },
      { what: 'Postgres' },
      { what: 'Maesn', detail: 'MAESN_API_KEY is not set: the sandbox is used' },
    ]);
  });

  it.each([
    [5, true],
    [65, true],
    [80, false],
  ])('of a Worker that asked for work %i seconds ago believes that it runs: %s', (seconds, runs) => {
    expect(isPolling({ lastAccessTime: msToTs(Date.now() - seconds * 1_000) })).toBe(runs);
  });

  // Only a Postgres server can be looked at from outside; with PGlite there is none.
  // oxlint-disable-next-line vitest/no-conditional-tests
  if ((process.env['TEST_DATABASE_URL'] ?? '') !== '') {
    it('sees in Postgres whether tables are missing and keys are sealed with another key', async () => {
      const check = async (databaseUrl: string, sealingKey: Buffer) => {
        const env = { DATABASE_URL: databaseUrl, MAESN_SYNC_SEALING_KEY: sealingKey.toString('base64') };
        return findings.parse(JSON.parse((await run(['doctor', '--json'], { env })).stdout));
      };
      const empty = await createTestDatabase();
      expect(await check(empty ?? '', TEST_SEALING_KEY)).toContainEqual(
        expect.objectContaining({ what: 'tables', result: 'wrong', fix: 'Run maesn-sync migrate.' }),
      );
      const { store, databaseUrl = '' } = await openTestStore();
      await store.connections.add({ connectionId: 'a', targetSystem: 'xero', accountKey: 'k' }, 'test');
      await store.close();
      const sealed = (result: string) => expect.objectContaining({ what: 'sealing key', result });
      expect(await check(databaseUrl, TEST_SEALING_KEY)).toContainEqual(sealed('ok'));
      expect(await check(databaseUrl, Buffer.alloc(32, 1))).toContainEqual(sealed('wrong'));
    });
  }
});
