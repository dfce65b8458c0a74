/** What must be true at the end, whatever has happened. Each check says what it has looked at, and what it has found. */
import { execFile } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { promisify } from 'node:util';
import { historyToJSON } from '@temporalio/common/lib/proto-utils.js';
import { differences } from '../differences.js';
import { RECORD_MARKER, RESOURCES } from './workload.js';
import type { Workload } from './workload.js';
import type { World } from './world.js';

export interface Check {
  readonly name: string;
  readonly looked: string;
  readonly wrong: readonly string[];
}

export async function storeDifferences({ store }: World, customers: Workload['customers']): Promise<string[]> {
  return (await Promise.all(customers.map((customer) => differences(store, customer, RESOURCES)))).flat();
}

export async function checkStore(world: World, { customers }: Workload): Promise<Check> {
  const wrong = await storeDifferences(world, customers);
  const records = customers.flatMap(({ account }) => RESOURCES.map((resource) => account.count(resource)));
  const total = records.reduce((sum, count) => sum + count, 0);
  return {
    name: 'the store is what the sandbox holds',
    looked: `${total} records of ${customers.length} connections`,
    wrong,
  };
}

export async function checkWrites(world: World, { customers, orders }: Workload): Promise<Check> {
  const rows = await world.query('select idempotency_key, state, outcome from maesn_sync.writes');
  const byKey = new Map(rows.map((row) => [row['idempotency_key'], row]));
  const wrong = orders.flatMap(({ connectionId, key, invoiceNumber }) => {
    const { account } = customers.find((customer) => customer.connectionId === connectionId) ?? {};
    const isIt = (fields: unknown) =>
      typeof fields === 'object' &&
      fields !== null &&
      'invoiceNumber' in fields &&
      fields.invoiceNumber === invoiceNumber;
    const carriedOut = (account?.writes ?? []).filter(({ record }) => isIt(record)).length;
    const listed = (account?.records('invoices') ?? []).filter(isIt).length;
    const row = byKey.get(key);
    if (row?.['state'] !== 'ended') return [`${key} has not ended: ${String(row?.['state'])}`];
    const expected = row['outcome'] === 'applied' ? 1 : 0;
    if (carriedOut === expected && listed === expected) return [];
    return [`${key} is ${String(row['outcome'])}, was carried out ${carriedOut} times and is listed ${listed} times`];
  });
  const outcomes = groupBy(rows, (row) => String(row['outcome']));
  const told = [...outcomes].map(([outcome, those]) => `${those.length} ${outcome}`).join(', ');
  return { name: 'nothing was written twice or lost', looked: `${orders.length} writes: ${told}`, wrong };
}

/** What happened, as the store's own rows say, was told; and what was told was taken, once, in order. */
export async function checkEvents(world: World): Promise<Check> {
  const rows = await world.query(
    'select id::int as id, connection_id, type, data, incident_id, delivered_at from maesn_sync.events order by id',
  );
  const wrong: string[] = [];
  const { taken } = world.application;
  const ids = new Set(taken.map(({ id }) => id));
  for (const row of rows) {
    if (row['incident_id'] === null && !ids.has(`evt_${String(row['id'])}`)) {
      wrong.push(`event ${String(row['id'])} (${String(row['type'])}) was not taken`);
    }
  }
  const known = new Set(rows.map((row) => `evt_${String(row['id'])}`));
  for (const { id, type } of taken) if (!known.has(id)) wrong.push(`${id} (${type}) was taken and is not in the store`);
  if (ids.size !== taken.length) wrong.push(`${taken.length - ids.size} events were taken twice`);
  for (const [connection, those] of groupBy(taken, ({ data }) => String(data['connectionId']))) {
    const numbers = those.map(({ id }) => Number(id.slice('evt_'.length)));
    if (numbers.some((number, index) => number < (numbers[index - 1] ?? 0))) wrong.push(`${connection}: not in order`);
  }

  const told = (type: string, connectionId: unknown, name: string, value: unknown) =>
    rows.some(({ type: is, connection_id: of, data }) => is === type && of === connectionId && isOf(data, name, value));
  for (const { connection_id: of, idempotency_key: key } of await world.query(
    "select connection_id, idempotency_key from maesn_sync.writes where state = 'ended'",
  )) {
    if (!told('write.ended', of, 'idempotencyKey', key)) wrong.push(`nobody was told that ${String(key)} has ended`);
  }
  for (const { id, reauthorization_round: rounds } of await world.query(
    'select id, reauthorization_round from maesn_sync.connections',
  )) {
    for (let round = 1; round <= Number(rounds); round += 1) {
      for (const type of ['connection.reauthorization_required', 'connection.reauthorized']) {
        if (!told(type, id, 'round', round)) wrong.push(`${String(id)}, round ${round}: ${type} was not told`);
      }
    }
  }
  return { name: 'no event was lost', looked: `${rows.length} events, ${taken.length} taken`, wrong };
}

function groupBy<Item>(items: readonly Item[], nameOf: (item: Item) => string): Map<string, Item[]> {
  const groups = new Map<string, Item[]>();
  for (const item of items) groups.set(nameOf(item), [...(groups.get(nameOf(item)) ?? []), item]);
  return groups;
}

const isOf = (data: unknown, name: string, value: unknown) =>
  typeof data === 'object' && data !== null && Object.entries(data).some(([key, is]) => key === name && is === value);

/** Every key that the sandbox ever gave out begins like this. */
const ACCOUNT_KEY = /sandbox_account_key_\w+/;

/** `records`: whether records may be there. `must`: what a place that was really read holds. */
function secretsIn(
  world: World,
  where: string,
  text: string,
  { records = false, must }: { records?: boolean; must?: string },
): string[] {
  const wrong = Object.entries(world.secrets).flatMap(([name, secret]) =>
    text.includes(secret) ? [`${where}: ${name}`] : [],
  );
  if (ACCOUNT_KEY.test(text)) wrong.push(`${where}: an account key`);
  if (!records && text.includes(RECORD_MARKER)) wrong.push(`${where}: a part of a record`);
  if (must !== undefined && !text.includes(must))
    wrong.push(`${where}: nothing that must be there was found; it was not read`);
  return wrong;
}

/** While Temporal and Postgres still run. */
export async function checkSecrets(world: World, { customers }: Workload): Promise<Check> {
  const wrong: string[] = [];
  const connectionId = customers[0]?.connectionId ?? '';
  let histories = 0;
  for await (const { workflowId, runId } of world.temporal.workflow.list()) {
    const json = historyToJSON(await world.temporal.workflow.getHandle(workflowId, runId).fetchHistory());
    const text = JSON.stringify(
      JSON.parse(json, (name, value: unknown) =>
        name === 'data' && typeof value === 'string' ? Buffer.from(value, 'base64').toString('utf8') : value,
      ),
    );
    wrong.push(...secretsIn(world, `history of ${workflowId}`, text, {}));
    histories += 1;
  }
  if (histories < customers.length) wrong.push(`only ${histories} histories were found`);

  const { stdout: dump } = await promisify(execFile)(world.pgDump, [world.databaseUrl], { maxBuffer: 2 ** 30 });
  wrong.push(...secretsIn(world, 'dump of the store', dump, { records: true, must: RECORD_MARKER }));

  let bytes = 0;
  for (const file of world.logFiles) {
    const text = await readFile(file, 'utf8');
    bytes += text.length;
    wrong.push(...secretsIn(world, file, text, {}));
  }
  if (bytes < 10_000) wrong.push(`the logs hold ${bytes} bytes only`);

  const files = [world.temporalDatabase, `${world.temporalDatabase}-wal`];
  const database = await Promise.all(files.map((file) => readFile(file, 'utf8').catch(() => '')));
  wrong.push(...secretsIn(world, 'Temporal’s database', database.join(''), { must: connectionId }));
  return {
    name: 'no secret is where it must not be',
    looked: `${histories} histories, ${megabytes(bytes)} of logs, a dump of ${megabytes(dump.length)}, ${megabytes(database.join('').length)} of Temporal’s database`,
    wrong,
  };
}

const megabytes = (bytes: number) => `${(bytes / 1e6).toFixed(1)} MB`;

/** The build that has last carried each sync, of those runs that Temporal remembers. */
export async function buildsOf(world: World, query = ''): Promise<string[]> {
  const builds: string[] = [];
  for await (const { workflowId, runId } of world.temporal.workflow.list({
    query: `WorkflowType = 'syncConnection' ${query}`,
  })) {
    const { raw } = await world.temporal.workflow.getHandle(workflowId, runId).describe();
    const { buildId } = raw.workflowExecutionInfo?.versioningInfo?.deploymentVersion ?? {};
    if (buildId) builds.push(buildId);
  }
  return builds;
}

export async function checkBuilds(world: World): Promise<Check> {
  const counts: Record<string, number> = {};
  for (const buildId of await buildsOf(world)) counts[buildId] = (counts[buildId] ?? 0) + 1;
  const wrong = ['build-a', 'build-b']
    .filter((build) => counts[build] === undefined)
    .map((build) => `${build} has carried no Workflow`);
  const looked = Object.entries(counts).map(([build, count]) => `${count} Workflows last run by ${build}`);
  return { name: 'both builds have worked', looked: looked.join(', '), wrong };
}
