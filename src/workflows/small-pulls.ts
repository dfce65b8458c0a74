/** What is pulled within the Workflow Task: several resources at once, of which the sync takes one after the other. */
import type { Resource } from '../spec/resources.js';
import { pullSmall } from './activities.js';
import { endedByCancellation } from './failures.js';
import type { MetFailure, PullResourceResult, PullSmallInput, SmallPullFailure, SmallPulls } from './messages.js';

export interface SmallPullsOfWalk {
  /** Its result, where it was brought to its end together with one before it. */
  ended(resource: Resource): PullResourceResult | undefined;
  /**
   * How far the resource has come within the Workflow Task. Asked again, it is tried again, but for what it has not brought to its
   * end.
   */
  take(resource: Resource): Promise<SmallPull>;
}

export interface SmallPull {
  /** Absent: it is nothing for a Workflow Task, or has failed there. */
  readonly result?: PullResourceResult | undefined;
  /** What Maesn answered instead. */
  readonly met?: MetFailure | undefined;
}

/** `begun`: what is known and done already. Without it, all may be small. */
export function createSmallPulls(walk: PullSmallInput, begun?: SmallPulls): SmallPullsOfWalk {
  const { connectionId, walkId, resources } = walk;
  const small = new Set(begun?.small ?? resources);
  const results = new Map<Resource, PullResourceResult>();
  let failed: SmallPullFailure | undefined;
  if (begun !== undefined) keep(begun);

  function keep(pulls: SmallPulls): void {
    for (const resource of resources) {
      const result = pulls.results[resource];
      if (result !== undefined) results.set(resource, result);
    }
    ({ failed } = pulls);
  }

  /** Where the store fails, an Activity tries it. */
  async function pullFrom(resource: Resource): Promise<void> {
    const left = resources.slice(resources.indexOf(resource));
    const summary = `${resource} of ${connectionId}${left.length === 1 ? '' : ', and what follows'}`;
    try {
      const pulls = await pullSmall.executeWithOptions({ summary }, [{ connectionId, walkId, resources: left }]);
      for (const of of left) if (!pulls.small.includes(of)) small.delete(of);
      keep(pulls);
    } catch (error) {
      if (endedByCancellation(error)) throw error;
    }
  }

  return {
    ended(resource) {
      const result = results.get(resource);
      return result?.done === true ? result : undefined;
    },

    async take(resource) {
      if (!small.has(resource)) return {};
      if (!results.has(resource) && failed?.resource !== resource) await pullFrom(resource);
      if (failed?.resource === resource) {
        const { met } = failed;
        failed = undefined;
        return { met };
      }
      const result = results.get(resource);
      results.delete(resource);
      if (result?.done !== true && result?.held !== true) small.delete(resource);
      return { result };
    },
  };
}
