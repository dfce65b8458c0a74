/** What is known of a connection's resources, besides their records. */
import { RESOURCE_NAMES } from '../spec/resources.js';
import { hintedSignal, syncConnectionId } from '../workflows/messages.js';
import type { MaesnSync } from '../client.js';
import { findConnection } from './context.js';
import type { ClientContext } from './context.js';
import { MaesnSyncError, callTemporal, ignoreNotRunning, parseInput } from './errors.js';
import { resourceName } from './inputs.js';

export function createResources(context: ClientContext): Pick<MaesnSync, 'resources' | 'recheckResource'> {
  const { temporal, store, actor } = context;
  return {
    async resources(id) {
      const { connectionId } = await findConnection(context, id);
      const [capabilities, unsupported, cursors, warnings] = await Promise.all([
        store.capabilities.list(connectionId),
        store.capabilities.unsupported(connectionId),
        store.walks.list(connectionId),
        store.warnings.list(connectionId),
      ]);
      return RESOURCE_NAMES.flatMap((resource) => {
        const capability = capabilities.find((one) => one.resource === resource);
        const cursor = cursors.find((one) => one.resource === resource);
        if (capability === undefined && cursor === undefined) return [];
        const isLeftOut = unsupported.some((one) => one.resource === resource);
        return [
          {
            resource,
            offered: capability?.supported ?? null,
            reason: capability?.reason ?? null,
            checkedAt: capability?.checkedAt ?? null,
            recheckAt: isLeftOut ? (capability?.recheckAt ?? null) : null,
            asOf: cursor?.watermark ?? null,
            warnings: warnings
              .filter((one) => one.resource === resource)
              .map(({ text, count, firstAt, lastAt }) => ({ text, count, firstAt, lastAt })),
          },
        ];
      });
    },

    async recheckResource(id, name) {
      const { connectionId } = await findConnection(context, id);
      const resource = parseInput(resourceName, name);
      if (!(await store.capabilities.recheck({ connectionId, resource }))) {
        throw new MaesnSyncError('Refused', `Connection ${id} is asked for ${resource} whenever it is synced.`);
      }
      await store.journal.add({ connectionId, actor, action: 'resource.recheck_asked_for', detail: { resource } });
      // A sync that runs pulls what is hinted at; where none does, the next one asks.
      await store.webhooks.hint(connectionId, resource, 1);
      const sync = temporal.workflow.getHandle(syncConnectionId(connectionId));
      await ignoreNotRunning(callTemporal(context, connectionId, () => sync.signal(hintedSignal)));
    },
  };
}
