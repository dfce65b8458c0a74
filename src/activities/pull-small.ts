import { ApplicationFailure } from '@temporalio/activity';
import type { Resource } from '../spec/resources.js';
import { isFailureDetails } from '../workflows/messages.js';
import type { PullResourceResult, PullSmallInput, SmallPullFailure, SmallPulls } from '../workflows/messages.js';
import type { ActivityDependencies } from './dependencies.js';
import { createLearnt } from './learn.js';
import { openForWalk } from './open-connection.js';
import { NOT_BEGUN } from './pull-resource.js';
import type { createPullResource } from './pull-resource.js';
import { toUnsupported } from './read-unsupported.js';

/** Of a resource that is small: as many as can be walked in the time there is. */
const SMALL_PAGES = 5;
/** A Workflow hears nothing while its task is under way. */
const SMALL_FOR_MS = 2_000;
/** Of this Worker: each keeps a Workflow Task, of which it has 40, and a target system that hangs must not keep them all. */
const AT_ONCE = 20;

export function createPullSmall(
  dependencies: ActivityDependencies,
  pullResource: ReturnType<typeof createPullResource>,
) {
  const { store, options } = dependencies;
  let underWay = 0;

  /**
   * Pulls what is likely to be done at once, within the Workflow Task: a cycle without news costs no Activity. What is not done
   * in time, or fails, goes on in `pullResource`: a failure is an answer, for what was pulled before it is one, too.
   */
  return async function pullSmall(input: PullSmallInput): Promise<SmallPulls> {
    const { connectionId, walkId, resources } = input;
    const until = Date.now() + SMALL_FOR_MS;
    // Whoever holds the connection meanwhile is heard by the Workflow, once its task is over.
    const opening = openForWalk(store, connectionId);
    opening.catch(() => undefined);
    const [known, small] = await Promise.all([
      store.capabilities.known(connectionId),
      store.walks.small({
        connectionId,
        resources,
        maxPages: SMALL_PAGES,
        now: new Date(),
        fullEveryMs: options.fullWalkEveryMs,
      }),
    ]);
    const unsupported = toUnsupported(known.unsupported);
    const learnt = createLearnt(known.offered);
    const results: Partial<Record<Resource, PullResourceResult>> = {};
    let failed: SmallPullFailure | undefined;
    for (const resource of resources) {
      if (unsupported[resource] !== undefined) continue;
      if (!small.includes(resource)) break;
      const result = await pullOne(resource).catch((error: unknown) => {
        failed = toSmallPullFailure(resource, error);
      });
      if (result === undefined) break;
      results[resource] = result;
      if (!result.done || Date.now() >= until) break;
    }
    return { unsupported, small, results, failed };

    async function pullOne(resource: Resource): Promise<PullResourceResult> {
      if (underWay >= AT_ONCE) return NOT_BEGUN;
      underWay += 1;
      try {
        return await pullResource(
          { connectionId, resource, walkId },
          { until, maxPages: SMALL_PAGES, maxWaitMs: SMALL_FOR_MS, opening, learnt },
        );
      } finally {
        underWay -= 1;
      }
    }
  };
}

/** Throws what is none, such as a cancellation. */
function toSmallPullFailure(resource: Resource, error: unknown): SmallPullFailure {
  if (!(error instanceof ApplicationFailure)) throw error;
  const { message } = error;
  const details: unknown = error.details?.[0];
  return { resource, met: isFailureDetails(details) ? { message, details } : undefined };
}
