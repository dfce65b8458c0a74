/** What is pulled within the Workflow Task: several resources at once, of which the sync takes one after the other. */
import { ApplicationFailure } from '@temporalio/workflow';
import type { Resource } from '../spec/resources.js';
import { pullSmall } from './activities.js';
import type { PullResourceResult, PullSmallInput, SmallPullFailure, SmallPulls } from './messages.js';

export interface SmallPullsOfWalk {
  /** Its result, where it was brought to its end together with one before it. */
  ended(resource: Resource): PullResourceResult | undefined;
  /**
   * How far the resource has come within the Workflow Task, or `undefined`: it is nothing for it. Throws what was met, as Maesn's
   * answer is thrown by an Activity. Asked again, it is tried again, but for what it has not brought to its end.
   */
  take(resource: Resource): Promise<PullResourceResult | undefined>;
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

  return {
    ended(resource) {
      const result = results.get(resource);
      return result?.done === true ? result : undefined;
    },

    async take(resource) {
      if (!small.has(resource)) return undefined;
      if (!results.has(resource) && failed?.resource !== resource) {
        const left = resources.slice(resources.indexOf(resource));
        const summary = `${resource} of ${connectionId}${left.length === 1 ? '' : ', and what follows'}`;
        const pulls = await pullSmall.executeWithOptions({ summary }, [{ connectionId, walkId, resources: left }]);
        for (const of of left) if (!pulls.small.includes(of)) small.delete(of);
        keep(pulls);
      }
      if (failed?.resource === resource) {
        const failure = failed;
        failed = undefined;
        throw toApplicationFailure(failure);
      }
      const result = results.get(resource);
      results.delete(resource);
      if (result?.done !== true && result?.held !== true) small.delete(resource);
      return result;
    },
  };
}

function toApplicationFailure({ type, message, isFinal, details }: SmallPullFailure): ApplicationFailure {
  return ApplicationFailure.create({
    type,
    message,
    nonRetryable: isFinal,
    details: details === undefined ? [] : [details],
  });
}
