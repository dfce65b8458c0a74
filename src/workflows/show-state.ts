/** What the Temporal UI lists and tells of a Workflow. */
import { ContinueAsNew, setCurrentDetails, upsertSearchAttributes, workflowInfo } from '@temporalio/workflow';
import { MAESN_STATE } from './search-attributes.js';
import type { MaesnState } from './search-attributes.js';

export interface ShownState {
  /** Markdown; costs nothing. A state that has changed is one Action of Temporal Cloud. */
  readonly show: (state: MaesnState, details: string) => void;
  /**
   * Runs the Workflow to its end: what has ended is in no state, and in no list of those that are. One that continues as new
   * keeps its state.
   */
  readonly toEnd: <Result>(workflow: () => Promise<Result>) => Promise<Result>;
}

export function createShownState(): ShownState {
  let shown: string | undefined = workflowInfo().typedSearchAttributes.get(MAESN_STATE);
  return {
    show(state, details) {
      setCurrentDetails(details);
      if (state === shown) return;
      shown = state;
      upsertSearchAttributes([{ key: MAESN_STATE, value: state }]);
    },
    async toEnd(workflow) {
      let goesOn = false;
      try {
        return await workflow();
      } catch (error) {
        goesOn = error instanceof ContinueAsNew;
        throw error;
      } finally {
        if (!goesOn && shown !== undefined) upsertSearchAttributes([{ key: MAESN_STATE, value: null }]);
      }
    },
  };
}
