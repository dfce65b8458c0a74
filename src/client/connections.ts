/** Connections: what one account key opens, and everything that is kept of it. */
import type { Client } from '@temporalio/client';
import { WRITE_STATES } from '../store/index.js';
import {
  deliverEventsId,
  keepSubscribedId,
  reauthorizeConnectionId,
  syncConnectionId,
  writeRecordId,
} from '../workflows/messages.js';
import type { MaesnSync } from '../client.js';
import { connectionNotFound, findConnection } from './context.js';
import type { ClientContext } from './context.js';
import { MaesnSyncError, callTemporal, ignoreNotRunning, parseInput } from './errors.js';
import {
  addConnectionInput,
  connectionId,
  journalOptions,
  listOptions,
  recordKey,
  recordsOptions,
  resourceName,
} from './inputs.js';
import { readSyncStatus } from './status.js';

type Connections = Pick<
  MaesnSync,
  'addConnection' | 'connection' | 'connections' | 'overview' | 'removeConnection' | 'journal' | 'records' | 'record'
>;

/** Of writes that have a Workflow. */
const OPEN_STATES = WRITE_STATES.filter((state) => state !== 'ended');

export function createConnections(context: ClientContext): Connections {
  const { temporal, store, actor } = context;
  const find = (id: string) => findConnection(context, id);

  return {
    async addConnection(input) {
      const connection = parseInput(addConnectionInput, input);
      if (!(await store.connections.add(connection, actor))) {
        const message = `Connection ${connection.connectionId} exists already; reauthorized() gives it a new account key.`;
        throw new MaesnSyncError('ConnectionExists', message);
      }
      return find(connection.connectionId);
    },

    connection: find,

    connections: async (options = {}) => store.connections.list(parseInput(listOptions, options)),

    async overview(options = {}) {
      const connections = await store.connections.list(parseInput(listOptions, options));
      return Promise.all(
        connections.map((connection) =>
          callTemporal(context, connection.connectionId, () => readSyncStatus(temporal, store, connection)),
        ),
      );
    },

    async removeConnection(id) {
      await find(id);
      if ((await store.webhooks.list(id)).length > 0) await endSubscriptions(temporal, id);
      const open = await store.writes.list({ connectionId: id, states: OPEN_STATES });
      // First the row: from then on nothing can be written for this connection, whoever is still running.
      if (!(await store.connections.remove(parseInput(connectionId, id), actor))) throw connectionNotFound(id);
      const workflowIds = [syncConnectionId, reauthorizeConnectionId, keepSubscribedId, deliverEventsId].map((toId) =>
        toId(id),
      );
      for (const workflowId of [...workflowIds, ...open.map(writeRecordId)]) {
        const handle = temporal.workflow.getHandle(workflowId);
        await ignoreNotRunning(callTemporal(context, id, () => handle.terminate('connection removed')));
      }
    },

    async journal(id, options = {}) {
      // Of a connection that was removed, too: that is what a journal is for.
      return store.journal.list({ connectionId: parseInput(connectionId, id), ...parseInput(journalOptions, options) });
    },

    async records(id, resource, options = {}) {
      const { connectionId: found } = await find(id);
      return store.records.list({
        connectionId: found,
        resource: parseInput(resourceName, resource),
        ...parseInput(recordsOptions, options),
      });
    },

    async record(id, resource, key) {
      const { connectionId: found } = await find(id);
      const wanted = { resource: parseInput(resourceName, resource), key: parseInput(recordKey, key) };
      const record = await store.records.find({ connectionId: found, ...wanted });
      if (record !== undefined) return record;
      throw new MaesnSyncError('RecordNotFound', `Connection ${id} has no record ${key} among its ${resource}.`);
    },
  };
}

/** While there still is a key: what Maesn has not been told after this time expires there by itself. */
const END_SUBSCRIPTIONS_WITHIN_MS = 20_000;

async function endSubscriptions(temporal: Client, id: string): Promise<void> {
  const subscriptions = temporal.workflow.getHandle(keepSubscribedId(id));
  const ended = async () => {
    await subscriptions.cancel();
    await subscriptions.result();
  };
  // Whatever comes of it, the connection is removed.
  await temporal.connection.withDeadline(Date.now() + END_SUBSCRIPTIONS_WITHIN_MS, ended).catch(() => undefined);
}
