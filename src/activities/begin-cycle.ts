import type { BeginCycleInput, CyclePlan } from '../workflows/messages.js';
import type { ActivityDependencies } from './dependencies.js';
import { createReadUnsupported } from './read-unsupported.js';
import { createTell } from './tell-application.js';

/** Of a resource that `pullSmall` is for: as many as it can walk in its time. */
const SMALL_PAGES = 5;

export function createBeginCycle(dependencies: ActivityDependencies) {
  const { store, options } = dependencies;
  const tell = createTell(dependencies);
  const readUnsupported = createReadUnsupported(dependencies);

  /** Tells the application, and says what to expect. */
  return async function beginCycle(input: BeginCycleInput): Promise<CyclePlan> {
    const { connectionId, runId, cycle, resources } = input;
    const [unsupported, small] = await Promise.all([
      readUnsupported({ connectionId }),
      store.walks.small({ connectionId, maxPages: SMALL_PAGES, now: new Date(), fullEveryMs: options.fullWalkEveryMs }),
    ]);
    await tell({ connectionId, type: 'sync.started', occasion: runId, data: { runId, cycle, resources } });
    return { unsupported, small };
  };
}
