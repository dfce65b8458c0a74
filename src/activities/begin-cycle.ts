import type { BeginCycleInput, SmallPulls } from '../workflows/messages.js';
import type { ActivityDependencies } from './dependencies.js';
import type { createPullSmall } from './pull-small.js';
import { createTell } from './tell-application.js';

export function createBeginCycle(dependencies: ActivityDependencies, pullSmall: ReturnType<typeof createPullSmall>) {
  const tell = createTell(dependencies);

  /** Tells the application, and begins with what is small: a cycle without news is over with it. Safe to repeat. */
  return async function beginCycle(input: BeginCycleInput): Promise<SmallPulls> {
    const { connectionId, runId, cycle, resources } = input;
    const [told, pulled] = await Promise.allSettled([
      tell({ connectionId, type: 'sync.started', occasion: runId, data: { runId, cycle, resources } }),
      pullSmall({ connectionId, walkId: runId, resources }),
    ]);
    if (told.status === 'rejected') throw told.reason;
    if (pulled.status === 'rejected') throw pulled.reason;
    return pulled.value;
  };
}
