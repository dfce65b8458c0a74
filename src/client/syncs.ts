/** Starting, asking and steering the sync of a connection. */
import { WorkflowExecutionAlreadyStartedError } from '@temporalio/client';
import { DEFAULT_RESOURCES, withParents } from '../spec/resources.js';
import {
  holdsChangedSignal,
  keepSubscribedId,
  keepSubscribedStart,
  planSignal,
  syncConnectionId,
  syncConnectionStart,
  syncNowSignal,
} from '../workflows/messages.js';
import type { Connection } from '../store/index.js';
import type { SyncConnectionInput } from '../workflows/messages.js';
import { findConnection } from './context.js';
import type { ClientContext } from './context.js';
import { MaesnSyncError, callTemporal, ignoreNotRunning, notRunning, parseInput } from './errors.js';
import { decideDeletesOptions, pauseOptions, startSyncOptions } from './inputs.js';
import { readSyncStatus } from './status.js';
import type { MaesnSync, StartSyncOptions, StartedSync } from '../client.js';

type Syncs = Pick<
  MaesnSync,
  'startSync' | 'syncStatus' | 'pauseSync' | 'resumeSync' | 'decideDeletes' | 'syncNow' | 'cancelSync'
>;

export function createSyncs(context: ClientContext): Syncs {
  const { temporal, store, targetSystems, taskQueue, actor } = context;
  const syncOf = (id: string) => temporal.workflow.getHandle(syncConnectionId(id));
  const find = (id: string) => findConnection(context, id);

  /**
   * The Workflow looks at the holds again; where there is none, the next one will. Also called where nothing has changed: whoever
   * tries again may have met a Temporal that did not answer, the first time.
   */
  const holdsChanged = (id: string) =>
    ignoreNotRunning(callTemporal(context, id, () => syncOf(id).signal(holdsChangedSignal)));

  /** With a Signal: one that is just ending, because the sync before was cancelled, begins anew. */
  async function subscribe(connection: Connection, everyMs: number | undefined) {
    const { connectionId: id, targetSystem: slug } = connection;
    if (!context.webhooks || everyMs === undefined || targetSystems.get(slug).webhooks !== true) return;
    await callTemporal(context, id, () =>
      temporal.workflow.signalWithStart('keepSubscribed', keepSubscribedStart(connection, taskQueue)),
    );
  }

  async function startSync(id: string, options: StartSyncOptions = {}): Promise<StartedSync> {
    const { resources = DEFAULT_RESOURCES, every: everyMs } = parseInput(startSyncOptions, options);
    const connection = await find(id);
    const workflowId = syncConnectionId(id);
    const plan = { resources: withParents(resources), everyMs };
    const input: SyncConnectionInput = { connectionId: id, ...plan };
    try {
      const handle = await callTemporal(context, id, () =>
        temporal.workflow.start('syncConnection', syncConnectionStart(connection, input, taskQueue)),
      );
      await store.journal.add({
        connectionId: id,
        actor,
        action: 'sync.started',
        detail: { ...plan, runId: handle.firstExecutionRunId },
      });
      await subscribe(connection, everyMs);
      return { workflowId, runId: handle.firstExecutionRunId, alreadyRunning: false };
    } catch (error) {
      if (!(error instanceof WorkflowExecutionAlreadyStartedError)) throw error;
    }
    const running = syncOf(id);
    const { runId } = await callTemporal(context, id, () => running.describe());
    if (everyMs !== undefined) {
      const isTold = await ignoreNotRunning(
        callTemporal(context, id, () => running.signal(planSignal, { ...plan, everyMs })),
      );
      // It has just ended.
      if (!isTold) return startSync(id, options);
    }
    await subscribe(connection, everyMs);
    return { workflowId, runId, alreadyRunning: true };
  }

  return {
    startSync,

    async syncStatus(id) {
      const connection = await find(id);
      return callTemporal(context, id, () => readSyncStatus(temporal, store, connection));
    },

    async pauseSync(id, options) {
      const { reason } = parseInput(pauseOptions, options);
      await find(id);
      const entry = { connectionId: id, actor, action: 'sync.paused' as const, detail: { reason } };
      // First the hold: it counts from here on, also where no Workflow or Worker is there to be told.
      const placed = await store.holds.place({ connectionId: id, kind: 'paused', placedBy: actor, reason, entry });
      await holdsChanged(id);
      if (!placed) throw new MaesnSyncError('Refused', `Connection ${id} is paused already.`);
    },

    async resumeSync(id) {
      await find(id);
      const entry = { connectionId: id, actor, action: 'sync.resumed' as const };
      const lifted = await store.holds.lift({ connectionId: id, kind: 'paused', entry });
      await holdsChanged(id);
      if (!lifted) throw new MaesnSyncError('Refused', `Connection ${id} is not paused.`);
    },

    async decideDeletes(id, options) {
      const { decision } = parseInput(decideDeletesOptions, options);
      await find(id);
      const decided = await store.walks.decideDeletes({ connectionId: id, decision, actor });
      await holdsChanged(id);
      if (!decided) throw new MaesnSyncError('Refused', `No deletes of connection ${id} wait for a decision.`);
    },

    async syncNow(id) {
      await find(id);
      await callTemporal(context, id, () => syncOf(id).signal(syncNowSignal));
      await store.journal.add({ connectionId: id, actor, action: 'sync.asked_for' });
    },

    async cancelSync(id) {
      await find(id);
      await callTemporal(context, id, async () => {
        const { status } = await syncOf(id).describe();
        // Temporal takes a cancellation of what has ended for done.
        if (status.name !== 'RUNNING') throw notRunning(id);
        await syncOf(id).cancel();
      });
      await ignoreNotRunning(
        callTemporal(context, id, () => temporal.workflow.getHandle(keepSubscribedId(id)).cancel()),
      );
      await store.journal.add({ connectionId: id, actor, action: 'sync.cancelled' });
    },
  };
}
