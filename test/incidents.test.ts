/** What many connections meet at the same time is told once, as an incident, and not once for each of them. */
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { INCIDENT_KINDS, incidentRule, isIncident, outcomeOf } from '../src/spec/incidents.js';
import type { Outcome } from '../src/spec/incidents.js';
import { FAILURE_TYPES } from '../src/spec/error-guide.js';
import { deliverIncidentsId, watchIncidentsId, watchIncidentsStart } from '../src/workflows/messages.js';
import { TEST_TOKEN, startTestBackend } from './support/backend.js';
import type { TestBackend } from './support/backend.js';
import { runCli } from './support/cli.js';
import { startHarness } from './support/harness.js';
import type { Harness } from './support/harness.js';
import { readEvents } from './support/history.js';
import { startReceiver } from './support/receiver.js';
import type { Receiver } from './support/receiver.js';
import { createSkippingClient } from './support/skipping-client.js';
import { openTestStore } from './support/store.js';
import { waitFor } from './support/wait.js';

describe('an incident', () => {
  it.each(INCIDENT_KINDS)('%s takes enough connections, and half of those that asked', (kind) => {
    const { least } = incidentRule(kind);
    expect(isIncident(kind, { met: least, asked: 2 * least })).toBe(true);
    expect(isIncident(kind, { met: least, asked: 2 * least + 1 })).toBe(false);
    expect(isIncident(kind, { met: least - 1, asked: least - 1 })).toBe(false);
  });

  it('is never made of what is one connection’s own: its login, its rate limit, its endpoints', () => {
    const own = FAILURE_TYPES.filter((type) => outcomeOf(type) === 'other');
    expect(own).toEqual([
      'BadRequest',
      'Unauthorized',
      'NotFound',
      'MethodNotAllowed',
      'ClientError',
      'TooManyRequests',
      'ErrorBudgetSpent',
      'InvalidResponse',
    ]);
  });
});

describe('the store', () => {
  async function withConnections(count: number, targetSystem = 'xero') {
    const { store, query } = await openTestStore();
    const note = async (index: number, outcome: Outcome, of = targetSystem) =>
      store.incidents.note({ connectionId: `${of}-${index}`, targetSystem: of, outcome });
    const add = async (from: number, to: number, of = targetSystem) => {
      for (let index = from; index < to; index += 1) {
        await store.connections.add({ connectionId: `${of}-${index}`, targetSystem: of, accountKey: 'k' }, 'test');
      }
    };
    await add(0, count);
    return { store, query, note, add };
  }

  it('opens one when the third of three is refused, and one alone, also when all come at once', async () => {
    const { store, note } = await withConnections(40);
    await note(0, 'refused');
    await note(0, 'refused');
    await note(1, 'refused');
    expect(await store.incidents.open()).toEqual([]);
    await Promise.all(Array.from({ length: 38 }, (_, index) => note(index + 2, 'refused')));
    expect(await store.incidents.open()).toMatchObject([
      { kind: 'api_key_refused', targetSystem: null, connections: 40 },
    ]);
    await store.close();
  });

  it('of a thousand connections that are refused within minutes is one, and concerns all of them', async () => {
    const { store, query, note } = await withConnections(0);
    await query(
      `insert into maesn_sync.connections (id, target_system, status, key_version) select 'xero-' || n, 'xero', 'active', 1 from generate_series(0, 999) n`,
    );
    let untold = 0;
    for (let index = 0; index < 1_000; index += 50) {
      const told = await Promise.all(Array.from({ length: 50 }, (_, at) => note(index + at, 'refused')));
      for (const incident of new Map(told.flat().map((one) => [one.id, one])).values()) {
        await store.incidents.announced(incident);
        untold += 1;
      }
    }
    expect(untold).toBe(1);
    expect(await store.incidents.list({ limit: 10 })).toMatchObject([
      { kind: 'api_key_refused', connections: 1_000, closedAt: null },
    ]);
    expect(await store.incidents.explaining('xero-999', ['Forbidden'])).toMatchObject({ kind: 'api_key_refused' });
    await note(7, 'succeeded');
    expect(await store.incidents.open()).toEqual([]);
    await store.close();
  });

  it('opens none while more than half are answered, or when they were refused long ago', async () => {
    const { store, query, note } = await withConnections(8);
    for (const index of [0, 1, 2, 3]) await note(index, 'succeeded');
    for (const index of [4, 5]) await note(index, 'refused');
    await note(6, 'refused');
    expect(await store.incidents.open()).toEqual([]);
    // Negative control: with one more it is half of them.
    await note(7, 'refused');
    expect(await store.incidents.open()).toHaveLength(1);
    await note(7, 'succeeded');
    expect(await store.incidents.open()).toEqual([]);
    await query(`update maesn_sync.outcomes set at = now() - interval '16 minutes'`);
    await note(0, 'refused');
    await note(1, 'refused');
    expect(await store.incidents.open()).toEqual([]);
    await store.close();
  });

  it('closes it when one of those who were refused is answered again, and by nobody else’s answer', async () => {
    const { store, note } = await withConnections(10);
    for (const index of [0, 1, 2, 3]) await note(index, 'refused');
    await note(9, 'succeeded');
    expect(await store.incidents.open()).toHaveLength(1);
    await note(0, 'other');
    await note(0, 'succeeded');
    expect(await store.incidents.open()).toHaveLength(1);
    await note(1, 'succeeded');
    expect(await store.incidents.open()).toEqual([]);
    const [closed] = await store.incidents.list({ limit: 10 });
    expect(closed?.closedAt).not.toBeNull();
    await store.close();
  });

  it('keeps target systems apart, and ends the trouble of one when fewer than half have it', async () => {
    const { store, note, add } = await withConnections(8);
    await add(0, 4, 'sevdesk');
    for (const index of [0, 1, 2, 3]) await note(index, 'failing', 'sevdesk');
    for (const index of [0, 1, 2, 3, 4]) await note(index, 'failing');
    expect(await store.incidents.open()).toMatchObject([{ kind: 'target_system_failing', targetSystem: 'xero' }]);
    for (const index of [5, 6, 7]) await note(index, 'failing');
    for (const index of [0, 1]) await note(index, 'succeeded');
    expect(await store.incidents.open()).toMatchObject([{ connections: 8 }]);
    const explains = (id: string, types: string[]) => store.incidents.explaining(id, types);
    expect(await explains('xero-0', ['ServerError', 'NoResponse'])).toMatchObject({ targetSystem: 'xero' });
    expect(await explains('xero-0', ['ServerError', 'Forbidden'])).toBeUndefined();
    expect(await explains('xero-0', [])).toBeUndefined();
    expect(await explains('sevdesk-0', ['ServerError'])).toBeUndefined();
    for (const index of [2, 3, 4]) await note(index, 'succeeded');
    expect(await store.incidents.open()).toEqual([]);
    await store.close();
  });

  it('names it until it has been announced, and its end again', async () => {
    const { store, note } = await withConnections(3);
    await note(0, 'refused');
    await note(1, 'refused');
    const [opened] = await note(2, 'refused');
    expect(await note(2, 'refused')).toHaveLength(1);
    if (opened === undefined) throw new Error('nothing was opened');
    await note(0, 'succeeded');
    // It was read before its end: that is yet to be told.
    await store.incidents.announced(opened);
    const [closed] = await note(0, 'succeeded');
    expect(closed?.closedAt).not.toBeNull();
    if (closed !== undefined) await store.incidents.announced(closed);
    expect(await note(0, 'succeeded')).toEqual([]);
    await store.close();
  });
});

describe('the application', () => {
  let receiver: Receiver;
  let harness: Harness;
  let backend: TestBackend;
  beforeAll(async () => {
    receiver = await startReceiver();
    // The third failure of a request comes within seconds.
    harness = await startHarness({ overrides: { ...receiver.overrides, MAESN_RETRY_TIME_SCALE: '10000' } });
    backend = await startTestBackend(harness, receiver.overrides);
  });
  afterAll(async () => {
    await backend.close();
    await harness.close();
    await receiver.close();
  });
  afterEach(async () => {
    await harness.query('delete from maesn_sync.outcomes');
  });

  const ofType = (type: string) => receiver.taken.filter((event) => event.type === type);
  const connectMany = (count: number, targetSystem = 'sevdesk') =>
    Promise.all(
      Array.from({ length: count }, () => harness.connect({ records: { items: 5, bills: 5 }, targetSystem })),
    );

  async function run(connectionId: string): Promise<void> {
    const { workflowId } = await harness.sync.startSync(connectionId, { resources: ['items', 'bills'] });
    await harness.temporal.workflow
      .getHandle(workflowId)
      .result()
      .catch(() => undefined);
  }

  it('is told once that its API key is refused, and once that it is over, however many connections there are', async () => {
    const connected = await connectMany(12);
    for (const { account } of connected) account.fault({ times: 2, answer: { status: 403 } });
    for (const { connectionId } of connected) await run(connectionId);

    const opened = await waitFor('it is told', () => ofType('incident.opened')[0]);
    expect(opened.data).toEqual({
      incidentId: expect.any(Number),
      kind: 'api_key_refused',
      openedAt: expect.any(String),
      connections: 3,
      what: expect.stringContaining('403'),
      advice: expect.stringContaining('MAESN_API_KEY'),
    });
    const { incidentId } = opened.data;
    const { body } = await backend.ask('GET', '/incidents?open=true');
    expect(body).toMatchObject({
      items: [{ id: incidentId, kind: 'api_key_refused', connections: 12, closedAt: null }],
    });
    const cli = { env: { MAESN_SYNC_URL: backend.url, MAESN_SYNC_TOKEN: TEST_TOKEN } };
    expect((await runCli(['incidents', '--open'], cli)).stdout).toMatch(/api_key_refused +all +12 +20.*Z +20.*Z +no/);
    for (const path of ['/ui', `/ui/connections/${connected[0]?.connectionId}`]) {
      expect((await backend.ask('GET', path)).body).toContain('Check MAESN_API_KEY');
    }

    // Two had failed before anybody could know; all others name the incident, and are not sent.
    await waitFor('the first two are told', () => ofType('sync.failed').length === 2);
    const listed = (await harness.sync.events({ limit: 1_000 })).filter(({ type }) => type === 'sync.failed');
    expect(listed).toHaveLength(12);
    expect(
      listed.filter((event) => event.incidentId === incidentId && event.data['incidentId'] === incidentId),
    ).toHaveLength(10);

    // The key is good again.
    const [first] = connected;
    await run(first?.connectionId ?? '');
    const closed = await waitFor('its end is told', () => ofType('incident.closed')[0]);
    expect(closed.data).toMatchObject({ incidentId, connections: 12, closedAt: expect.any(String) });
    expect((await backend.ask('GET', '/incidents?open=true')).body).toEqual({ items: [] });
    expect((await backend.ask('GET', '/ui')).body).not.toContain('Check MAESN_API_KEY');
    for (const { connectionId } of connected) await run(connectionId);
    await waitFor('all are well', () => ofType('sync.completed').length === 13);
    expect([ofType('incident.opened').length, ofType('incident.closed').length, ofType('sync.failed').length]).toEqual([
      1, 1, 2,
    ]);
    // In order, on a stream of their own.
    const { data } = ofType('incident.opened')[0] ?? {};
    expect(data).not.toHaveProperty('connectionId');
    const description = await harness.temporal.workflow.getHandle(deliverIncidentsId(harness.taskQueue)).describe();
    expect(description.type).toBe('deliverEvents');
  });

  it('hears what was not sent when it asks for it', async () => {
    const withheld = (await harness.sync.events({ limit: 1_000 })).find(({ incidentId }) => incidentId !== null);
    expect(withheld?.deliveredAt).toBeNull();
    await harness.sync.replayEvents([withheld?.id ?? 0]);
    await waitFor('it came', () => receiver.taken.some(({ id }) => id === `evt_${withheld?.id}`));
    const opened = (await harness.sync.events({ limit: 1_000 })).find(({ type }) => type === 'incident.opened');
    await harness.sync.replayEvents([opened?.id ?? 0]);
    await waitFor('that of no connection, too', () => ofType('incident.opened').length === 2);
  });

  it('is told of every connection by itself while each has its own trouble', async () => {
    const before = ofType('sync.failed').length;
    const connected = await connectMany(6);
    for (const { account } of connected) account.fault({ resource: 'items', answer: { status: 403 } });
    for (const { connectionId } of connected) await run(connectionId);
    await waitFor('each is told', () => ofType('sync.failed').length === before + 6);
    expect((await harness.sync.incidents({ open: true })).length).toBe(0);
    // What failed was one resource; the next one was answered.
    expect(ofType('incident.opened')).toHaveLength(2);
  });

  it('is told of a target system that fails, in place of every request that is stuck', async () => {
    const connected = await connectMany(6, 'freshbooks');
    for (const { account } of connected) account.fault({ times: 5, answer: { status: 503 } });
    await Promise.all(connected.map(({ connectionId }) => run(connectionId)));
    const opened = await waitFor('it is told', () => ofType('incident.opened')[2]);
    expect(opened.data).toMatchObject({ kind: 'target_system_failing', targetSystem: 'freshbooks' });
    // The sixth may fail while it is told.
    expect([5, 6]).toContain(opened.data['connections']);
    const closed = await waitFor('its end is told', () => ofType('incident.closed')[1]);
    expect(closed.data).toMatchObject({ incidentId: opened.data['incidentId'], connections: 6 });
    const stuck = (await harness.sync.events({ limit: 1_000 })).filter(({ type }) => type === 'sync.stuck');
    expect(stuck.map(({ incidentId }) => incidentId)).toEqual(
      Array.from({ length: 6 }, () => opened.data['incidentId']),
    );
    expect(ofType('sync.stuck')).toEqual([]);
    // Negative control: one that fails alone is told.
    const [alone] = await connectMany(1, 'weclapp');
    alone?.account.fault({ times: 4, answer: { status: 503 } });
    await run(alone?.connectionId ?? '');
    await waitFor('it is told', () => ofType('sync.stuck').length === 1);
  });

  it('is told that its API key is good again also when nobody asks any more', async () => {
    const before = ofType('incident.closed').length;
    const openedBefore = ofType('incident.opened').length;
    const connected = await connectMany(3, 'bexio');
    for (const { account } of connected) account.fault({ times: 3, answer: { status: 403 } });
    for (const { connectionId } of connected) await run(connectionId);
    const opened = await waitFor('it is told', () => ofType('incident.opened')[openedBefore]);
    // The first review meets the third 403 of a connection, the next one none.
    const id = watchIncidentsId(harness.taskQueue);
    await harness.temporal.workflow.getHandle(id).terminate('in virtual time');
    const { connection } = harness.temporal;
    await createSkippingClient({ connection }).workflow.signalWithStart(
      'watchIncidents',
      watchIncidentsStart(harness.taskQueue),
    );
    const closed = await waitFor('its end is told', () => ofType('incident.closed')[before]);
    expect(closed.data['incidentId']).toBe(opened.data['incidentId']);
    await harness.temporal.workflow.getHandle(id).result();
    const reviews = (await readEvents(harness.temporal, id)).filter(({ type }) => type === 'TIMER_FIRED');
    expect(reviews.length).toBeGreaterThanOrEqual(2);
    // Of what concerns nobody any more, nobody is asked.
    const more = await connectMany(3, 'bexio');
    for (const { account } of more) account.fault({ times: Infinity, answer: { status: 403 } });
    for (const { connectionId } of more) await run(connectionId);
    await waitFor('another one', async () => (await harness.sync.incidents({ open: true })).length === 1);
    for (const { connectionId } of more) await harness.sync.removeConnection(connectionId);
    await harness.temporal.workflow.getHandle(id).terminate('in virtual time');
    await createSkippingClient({ connection }).workflow.signalWithStart(
      'watchIncidents',
      watchIncidentsStart(harness.taskQueue),
    );
    await waitFor('it is over', async () => (await harness.sync.incidents({ open: true })).length === 0);
    await harness.temporal.workflow.getHandle(id).result();
  });
});
