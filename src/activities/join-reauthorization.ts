/** The side of the Workflow that met a 401: enter among those that wait, and leave again. */
import { activityInfo } from '@temporalio/activity';
import { joinedSignal, reauthorizeConnectionStart } from '../workflows/messages.js';
import type { ActivityDependencies } from './dependencies.js';
import { connectionNotFound } from './failure.js';

export interface JoinReauthorizationInput {
  readonly connectionId: string;
  /** Version of the account key that was refused. */
  readonly refusedVersion: number;
}

export interface LeaveReauthorizationInput {
  readonly connectionId: string;
}

export function createJoinReauthorization({ store, temporal, taskQueue, options }: ActivityDependencies) {
  /**
   * `wait`: this Workflow will get the Signal `reauthorizationSettled`. `proceed`: a newer key is there already.
   * Safe to repeat: a crash after the row was written and before the Signal was sent leaves `announced` false.
   */
  return async function joinReauthorization(input: JoinReauthorizationInput): Promise<'wait' | 'proceed'> {
    const { connectionId, refusedVersion } = input;
    const { workflowId } = workflowExecution();
    const joined = await store.reauthorizations.join({ connectionId, refusedVersion, workflowId });
    if (joined === undefined) throw connectionNotFound(connectionId);
    if (joined.decision === 'proceed') return 'proceed';

    const connection = await store.connections.find(connectionId);
    if (connection === undefined) throw connectionNotFound(connectionId);
    const start = { taskQueue, ...reauthorizeConnectionStart(connection, options) };
    if (joined.announce) {
      // A Signal also reaches a run that is just completing, which then sees the new round.
      await temporal.workflow.signalWithStart('reauthorizeConnection', { ...start, signal: joinedSignal });
      await store.reauthorizations.announced(connectionId, joined.round);
    } else {
      // The round is open and its run will read who waits: ten thousand that join write nothing into its history.
      await temporal.workflow.start('reauthorizeConnection', { ...start, workflowIdConflictPolicy: 'USE_EXISTING' });
    }
    return 'wait';
  };
}

export function createLeaveReauthorization({ store }: ActivityDependencies) {
  /** For a Workflow that is cancelled while it waits. */
  return async function leaveReauthorization({ connectionId }: LeaveReauthorizationInput): Promise<void> {
    await store.reauthorizations.leave(connectionId, workflowExecution().workflowId);
  };
}

function workflowExecution(): { readonly workflowId: string } {
  const { workflowExecution: execution } = activityInfo();
  if (execution === undefined) throw new Error('this Activity belongs to a Workflow');
  return execution;
}
