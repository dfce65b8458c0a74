import type { UnsupportedResources } from '../workflows/messages.js';
import type { ActivityDependencies } from './dependencies.js';
import type { OfConnection } from './holds.js';

export function createReadUnsupported({ store }: ActivityDependencies) {
  /** What a cycle need not ask for. */
  return async function readUnsupported({ connectionId }: OfConnection): Promise<UnsupportedResources> {
    const known = await store.capabilities.unsupported(connectionId);
    return Object.fromEntries(
      known.map(({ resource, type, status, checkedAt, recheckAt }) => [
        resource,
        { type, status, checkedAt: checkedAt.toISOString(), recheckAt: recheckAt.toISOString() },
      ]),
    );
  };
}
