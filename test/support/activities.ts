/** What Activities are built with, for those that a test calls itself. */
import type { ActivityDependencies, ActivityOptions } from '../../src/activities/index.js';
import { requireVariables } from '../../src/config.js';
import { createConfiguredMaesnClient } from '../../src/maesn/configured.js';
import { PAGE_LIMIT } from '../../src/spec/resources.js';
import { createTargetSystems } from '../../src/spec/target-systems.js';
import type { Harness } from './harness.js';

export function activityDependencies(harness: Harness, options: Partial<ActivityOptions> = {}): ActivityDependencies {
  return {
    store: harness.store,
    temporal: harness.temporal,
    taskQueue: harness.taskQueue,
    targetSystems: createTargetSystems(),
    maesn: createConfiguredMaesnClient(requireVariables(harness.config, 'MAESN_API_KEY')),
    options: {
      timeScale: 1,
      heartbeatEveryMs: 60_000,
      walkForMs: 60_000,
      pageLimit: PAGE_LIMIT,
      fullWalkEveryMs: 60_000,
      maximumDeletedShare: 1,
      deliverForMs: 1,
      deliverAtOnce: 1,
      keepEventsForMs: 1,
      remindEveryMs: 1,
      expireAfterMs: 1,
      ...options,
    },
  };
}
