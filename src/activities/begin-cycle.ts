import type { Resource } from '../spec/resources.js';
import { NOTHING_YET, reportPulled, reportSkipped } from '../spec/resource-report.js';
import type { BeginCycleInput, BegunCycle, ResourceReport, SmallPulls } from '../workflows/messages.js';
import type { ActivityDependencies } from './dependencies.js';
import type { createPullSmall } from './pull-small.js';
import { createTell } from './tell-application.js';

export function createBeginCycle(dependencies: ActivityDependencies, pullSmall: ReturnType<typeof createPullSmall>) {
  const tell = createTell(dependencies);

  /**
   * Tells the application, and begins with what is small. Where that is all, it tells of the end, too: a cycle without news is
   * over with it. Safe to repeat.
   */
  return async function beginCycle(input: BeginCycleInput): Promise<BegunCycle> {
    const { connectionId, runId, cycle, startedAt, resources } = input;
    const about = { connectionId, occasion: runId };
    const [told, pulled] = await Promise.allSettled([
      tell({ ...about, type: 'sync.started', data: { runId, cycle, resources } }),
      pullSmall({ connectionId, walkId: runId, resources }),
    ]);
    if (told.status === 'rejected') throw told.reason;
    if (pulled.status === 'rejected') throw pulled.reason;
    const reports = reportAll(resources, pulled.value);
    if (reports === undefined) return pulled.value;
    const data = { runId, cycle, startedAt, endedAt: new Date().toISOString(), resources: reports };
    await tell({ ...about, type: 'sync.completed', data });
    return { ...pulled.value, completed: true };
  };
}

/** `undefined`: something is left. */
function reportAll(
  resources: readonly Resource[],
  { unsupported, results }: SmallPulls,
): Partial<Record<Resource, ResourceReport>> | undefined {
  const reports: Partial<Record<Resource, ResourceReport>> = {};
  for (const resource of resources) {
    const [known, result] = [unsupported[resource], results[resource]];
    if (known !== undefined) reports[resource] = reportSkipped(known);
    else if (result?.done === true) reports[resource] = reportPulled(NOTHING_YET, result);
    else return undefined;
  }
  return reports;
}
