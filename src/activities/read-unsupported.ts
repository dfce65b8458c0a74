import type { NotOffered } from '../store/index.js';
import type { UnsupportedResources } from '../workflows/messages.js';
import type { ActivityDependencies } from './dependencies.js';
import type { OfConnection } from './holds.js';

export function createReadUnsupported({ store }: ActivityDependencies) {
  /** What a cycle need not ask for. */
  return async function readUnsupported({ connectionId }: OfConnection): Promise<UnsupportedResources> {
    return toUnsupported(await store.capabilities.unsupported(connectionId));
  };
}

/** As a Workflow has them. */
export function toUnsupported(known: readonly NotOffered[]): UnsupportedResources {
  return Object.fromEntries(
    known.map(({ resource, type, status, checkedAt, recheckAt }) => [
      resource,
      { type, status, checkedAt: checkedAt.toISOString(), recheckAt: recheckAt.toISOString() },
    ]),
  );
}
