/**
 * The same story twice, each on a Temporal server of its own whose database is a file: with payload keys and without. What is
 * shown must be the same; what the file holds must not.
 */
import { randomBytes } from 'node:crypto';
import { mkdtemp, readFile, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import { z } from 'zod';
import { startTemporalServer } from '../src/embedded/temporal-server.js';
import { TEST_TOKEN, startTestBackend } from './support/backend.js';
import { runCli } from './support/cli.js';
import { startHarness } from './support/harness.js';
import { readPayloads } from './support/payloads.js';
import { waitFor } from './support/wait.js';

const PAUSE_REASON = 'month-end closing of the Rosenheim branch';
const DOWNSTREAM = 'ledger 4711 is locked by the tax adviser';
const KEY_ID = 'key-of-november';
const RESOURCES = ['customers', 'items', 'offers', 'bills'] as const;

interface Story {
  /** What page, command and client have shown at each station, without what differs from run to run. */
  readonly shown: Readonly<Record<string, readonly unknown[]>>;
  /** Every byte of the server's database, in the middle and at the end. */
  readonly dump: Buffer;
  /** Everything that was given to Temporal as a payload, in clear. */
  readonly payloads: readonly string[];
}

const metadataAnswer = z.object({ currentDetails: z.string() });

async function tell(payloadKeys: string): Promise<Story> {
  const dataDir = await mkdtemp(path.join(tmpdir(), 'maesn-sync-encryption-'));
  const server = await startTemporalServer({ dataDir, env: process.env, ui: false });
  const harness = await startHarness({
    temporalAddress: server.address,
    overrides: { MAESN_SYNC_PAYLOAD_KEYS: payloadKeys },
  });
  const backend = await startTestBackend(harness);
  try {
    const shown: Record<string, readonly unknown[]> = {};
    const { connectionId, account } = await harness.connect({
      records: { customers: 250, items: 250, offers: 5, bills: 5 },
      targetSystem: 'freshbooks',
    });
    const workflow = harness.temporal.workflow.getHandle(`sync/${connectionId}`);
    const withoutChance = (text: string) =>
      text
        .replaceAll(connectionId, '<id>')
        .replaceAll(/[\da-f]{8}(?:-[\da-f]{4}){3}-[\da-f]{12}/g, '<uuid>')
        .replaceAll(/\d+(?:[.:,]\d+)*/g, '#');
    const look = async (station: string) => {
      const { summary, state, retry, failure, resources, lastReport } = await harness.sync.syncStatus(connectionId);
      const running = !['Completed', 'Failed'].includes(state);
      const cli = await runCli(['sync', 'status', connectionId], {
        env: { MAESN_SYNC_URL: backend.url, MAESN_SYNC_TOKEN: TEST_TOKEN },
      });
      const page = await backend.ask('GET', `/ui/connections/${connectionId}`);
      shown[station] = [
        withoutChance(summary),
        state,
        [retry?.type, retry?.status, retry?.page, retry?.failures, retry?.downstreamErrors],
        withoutChance(retry?.message ?? ''),
        failure,
        running ? [] : [resources, lastReport].map((report) => withoutChance(JSON.stringify(report))),
        [cli.code, withoutChance(cli.stdout)],
        [page.status, withoutChance(/<main[\s\S]*<\/main>/.exec(String(page.body))?.[0] ?? '')],
        running
          ? withoutChance(metadataAnswer.parse(await workflow.query('__temporal_workflow_metadata')).currentDetails)
          : '',
      ];
    };

    account.fault({
      resource: 'customers',
      page: 2,
      answer: { status: 500, downstreamErrors: [{ message: DOWNSTREAM }] },
    });
    account.fault({ resource: 'items', page: 2, answer: 'revoke' });
    account.fault({ resource: 'offers', request: 1, answer: { status: 404 } });
    account.fault({ resource: 'bills', request: 1, answer: { status: 400, errors: [{ message: DOWNSTREAM }] } });
    await harness.sync.startSync(connectionId, { resources: RESOURCES });
    await waitFor('a request is to be made again', async () => {
      const { retry } = await harness.sync.syncStatus(connectionId);
      return retry !== undefined;
    });
    await look('a failure that is retried');
    // What an Activity has last said is there only while it runs.
    const midway = await readDatabase(dataDir);
    // As a person at Temporal's UI does it: by an Update, with the reason as its argument.
    await workflow.executeUpdate('pause', { args: [{ reason: PAUSE_REASON }] });
    await waitFor('it is paused', async () => {
      const status: { state: string } = await workflow.query('status');
      return status.state === 'Paused';
    });
    await look('a pause');
    await harness.sync.resumeSync(connectionId);
    await waitFor('it waits for its end user', async () => {
      const status: { state: string } = await workflow.query('status');
      const events = await harness.sync.events({ connectionId });
      const told = events.some(({ type }) => type === 'connection.reauthorization_required');
      return told && status.state === 'AwaitingReauthorization';
    });
    await look('a login that is dead');
    await harness.sync.reauthorized(connectionId, 'sandbox_account_key_wrong_0');
    await waitFor(
      'that key is refused',
      async () => (await harness.sync.connection(connectionId)).refusedVersion === 2,
    );
    await harness.sync.reauthorized(connectionId, account.reconnect());
    await workflow.result().catch(() => undefined);
    await look('the end');
    const idempotencyKey = 'order-1';
    await harness.sync.write(connectionId, {
      idempotencyKey,
      operation: 'createInvoice',
      body: { invoiceNumber: 'R-1', name: 'Chairs' },
    });
    const { outcome, answer } = await harness.sync.writeEnd(connectionId, idempotencyKey);
    shown['a write'] = [outcome, withoutChance(JSON.stringify(answer ?? null)), account.writes.length];

    const payloads = (await readPayloads(harness.temporal)).map((text) => text.replaceAll(connectionId, '<id>'));
    await backend.close();
    await harness.close();
    // So that all of it is in its files.
    await server.stop();
    const dump = Buffer.concat([midway, await readDatabase(dataDir)]);
    return { shown, dump, payloads };
  } finally {
    await server.stop();
    await rm(dataDir, { recursive: true, force: true });
  }
}

async function readDatabase(dataDir: string): Promise<Buffer> {
  const files = (await readdir(dataDir)).filter((file) => file.startsWith('temporal.db'));
  return Buffer.concat(await Promise.all(files.map((file) => readFile(path.join(dataDir, file)))));
}

let clear: Story;
let encrypted: Story;
beforeAll(async () => {
  const keys = `${KEY_ID}:${randomBytes(32).toString('base64')}`;
  [clear, encrypted] = await Promise.all([tell(''), tell(keys)]);
}, 240_000);

describe('with payload keys', () => {
  it('page, command, client and current details show what they show without', () => {
    expect(Object.keys(encrypted.shown)).toHaveLength(5);
    expect(encrypted.shown).toEqual(clear.shown);
    const text = JSON.stringify(encrypted.shown);
    expect(text).toContain(DOWNSTREAM.replace('4711', '#'));
    expect(text).toContain(PAUSE_REASON);
  });

  it.each([
    ['reasons of a pause', PAUSE_REASON],
    ['what the target system said', DOWNSTREAM],
    ['messages of failures', 'GET /accounting/customers'],
    ['advice in failures', 'Read downstreamErrors'],
    ['stack traces', 'src/activities/'],
    ['summaries of Activities', 'customers of c-'],
    ['summaries of timers', 'until the next reminder'],
    ['reports', '"flagged":'],
    ['inputs', '"remindEveryMs":'],
    ['heartbeats', '"failures":{"InternalServerError"'],
  ])('the database of Temporal does not hold %s', (_what, text) => {
    expect(encrypted.dump.includes(text)).toBe(false);
    // A search that finds nothing anywhere proves nothing.
    expect(clear.dump.includes(text)).toBe(true);
  });

  it('the database of Temporal holds no piece of any payload', () => {
    expect(encrypted.payloads.length).toBeGreaterThan(30);
    expect(piecesOf(encrypted.payloads).filter((piece) => encrypted.dump.includes(piece))).toEqual([]);
    const control = piecesOf(clear.payloads);
    const inClear = control.filter((piece) => clear.dump.includes(piece));
    // A page of the file ends within some.
    expect(inClear.length).toBeGreaterThan(control.length * 0.9);
  });

  it('the database of Temporal still names Workflows, Activities, types of failures, and the key', () => {
    const names = ['syncConnection', 'pullResource', 'InternalServerError', 'binary/encrypted', KEY_ID];
    expect(names.filter((name) => !encrypted.dump.includes(name))).toEqual([]);
    expect(clear.dump.includes('binary/encrypted')).toBe(false);
  });
});

const PIECE = 20;
/** What the server itself writes of an Activity that was cancelled before it began. */
const OF_THE_SERVER = '"ACTIVITY_ID_NOT_STARTED"';

/** Without ids and names, which are there in clear too. */
function piecesOf(texts: readonly string[]): string[] {
  const pieces = texts
    .flatMap((text) => text.split('<id>'))
    .flatMap((text) =>
      Array.from({ length: Math.floor(text.length / PIECE) }, (_, at) => text.slice(at * PIECE, (at + 1) * PIECE)),
    )
    .filter((piece) => !/^[\w/.@-]*$/.test(piece) && !OF_THE_SERVER.startsWith(piece));
  return [...new Set(pieces)];
}
