/** What Workflows are found by in Temporal's UI and CLI. The server stores them in the clear: ids and states only. */
import { SearchAttributeType, defineSearchAttributeKey } from '@temporalio/common';

export const MAESN_CONNECTION = defineSearchAttributeKey('MaesnConnection', SearchAttributeType.KEYWORD);
export const MAESN_TARGET_SYSTEM = defineSearchAttributeKey('MaesnTargetSystem', SearchAttributeType.KEYWORD);
export const MAESN_STATE = defineSearchAttributeKey('MaesnState', SearchAttributeType.KEYWORD);

/** All of them are Keywords; of those a namespace in a SQL database has 10. */
export const SEARCH_ATTRIBUTE_NAMES: readonly string[] = [MAESN_CONNECTION, MAESN_TARGET_SYSTEM, MAESN_STATE].map(
  ({ name }) => name,
);

/** What a Workflow that runs is about at the moment. One that has ended has none. */
export const MAESN_STATES = [
  /** A cycle is under way, and nothing keeps it up. */
  'Syncing',
  /** The next cycle, or the next look, is waited for. */
  'Idle',
  /** A request has failed three times in a row, and nothing has come since. */
  'Retrying',
  /** One has failed once or twice, and its next attempt is minutes or hours away: the target system wants that. */
  'Waiting',
  /** The end user must sign in again. */
  'AwaitingReauthorization',
  /** A person has placed a hold. */
  'Paused',
  /** maesn-sync itself has: a person must decide. */
  'Held',
  /** A write is sent, looked up, or carried out by Maesn. */
  'Writing',
  /** A write waits for an earlier one of the same record. */
  'Queued',
  /** A person must say what became of a write. */
  'Undecided',
  /** Events are sent to the application. */
  'Delivering',
] as const;

export type MaesnState = (typeof MAESN_STATES)[number];

/** Whose a Workflow is. */
export interface SearchedBy {
  /** `null`: of no single one. */
  readonly connectionId: string | null;
  /** Absent: not known here, or of no single one. */
  readonly targetSystem?: string | undefined;
}

/** For whoever starts a Workflow. */
export function searchAttributesOf({ connectionId, targetSystem }: SearchedBy, state: MaesnState) {
  return [
    { key: MAESN_STATE, value: state },
    ...(connectionId === null ? [] : [{ key: MAESN_CONNECTION, value: connectionId }]),
    ...(targetSystem === undefined ? [] : [{ key: MAESN_TARGET_SYSTEM, value: targetSystem }]),
  ];
}

/**
 * Temporal's query for what retries: of one connection, also what waits for long after its first failure; or of one target system, where
 * a wait that was asked for is left. Neither holds a quote.
 */
export function retryingOf(of: { readonly connectionId: string } | { readonly targetSystem: string }): string {
  const which =
    'connectionId' in of
      ? `${MAESN_STATE.name} IN ('Retrying', 'Waiting') AND ${MAESN_CONNECTION.name} = '${of.connectionId}'`
      : `${MAESN_STATE.name} = 'Retrying' AND ${MAESN_TARGET_SYSTEM.name} = '${of.targetSystem}'`;
  return `ExecutionStatus = 'Running' AND ${which}`;
}
