/** Having what waits for its next attempt tried now: of one connection, or of a whole target system. */
import { WorkflowExecutionAlreadyStartedError } from '@temporalio/client';
import type { MaesnSync } from '../client.js';
import {
  retryNowSignal,
  retryTargetSystemId,
  retryTargetSystemStart,
  syncConnectionId,
} from '../workflows/messages.js';
import { retryingOf } from '../workflows/search-attributes.js';
import { findConnection } from './context.js';
import type { ClientContext } from './context.js';
import { MaesnSyncError, callTemporal, ignoreNotRunning, parseInput } from './errors.js';
import { retryTargetSystemOptions } from './inputs.js';
import { readSyncStatus } from './status.js';

export function createRetries(context: ClientContext): Pick<MaesnSync, 'retryNow' | 'retryTargetSystem'> {
  const { temporal, store, taskQueue, actor } = context;

  /** Writes, deliveries and whatever else of the connection has failed three times in a row, or waits for long. */
  async function listOthers(id: string): Promise<string[]> {
    const ids: string[] = [];
    for await (const { workflowId } of temporal.workflow.list({ query: retryingOf({ connectionId: id }) })) {
      if (workflowId !== syncConnectionId(id)) ids.push(workflowId);
    }
    return ids;
  }

  return {
    async retryNow(id) {
      const connection = await findConnection(context, id);
      const [{ retry }, others] = await Promise.all([
        callTemporal(context, id, () => readSyncStatus(temporal, store, connection)),
        callTemporal(context, id, () => listOthers(id)),
      ]);
      if (retry === undefined && others.length === 0) {
        throw new MaesnSyncError('Refused', `Nothing of connection ${id} waits for a retry.`);
      }
      const workflowIds = retry === undefined ? others : [syncConnectionId(id), ...others];
      for (const workflowId of workflowIds) {
        await ignoreNotRunning(
          callTemporal(context, id, () => temporal.workflow.getHandle(workflowId).signal(retryNowSignal)),
        );
      }
      const { type, failures, resource, page } = retry ?? {};
      const detail = {
        type,
        failures,
        resource,
        page,
        ...(others.length === 0 ? {} : { workflows: others.join(', ') }),
      };
      await store.journal.add({ connectionId: id, actor, action: 'sync.retried', detail });
    },

    async retryTargetSystem(options) {
      const { targetSystem, over: overMs } = parseInput(retryTargetSystemOptions, options);
      const { count: waiting } = await callTemporal(context, '', () =>
        temporal.workflow.count(retryingOf({ targetSystem })),
      );
      if (waiting === 0) throw new MaesnSyncError('Refused', `Nothing of ${targetSystem} is Retrying.`);
      const workflowId = retryTargetSystemId(targetSystem, taskQueue);
      try {
        await callTemporal(context, '', () =>
          temporal.workflow.start(
            'retryTargetSystem',
            retryTargetSystemStart({ targetSystem, overMs, by: actor }, taskQueue),
          ),
        );
      } catch (error) {
        if (!(error instanceof WorkflowExecutionAlreadyStartedError)) throw error;
        throw new MaesnSyncError('Refused', `What retries of ${targetSystem} is being told already (${workflowId}).`);
      }
      return { workflowId, waiting };
    },
  };
}
