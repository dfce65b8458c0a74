import type { MaesnSync, SyncStatus } from '../../src/client.js';
import { waitFor } from './wait.js';

/**
 * The sync stands still, and the round that it waits for has been opened: its own state says so before that. Where a key
 * comes in between, there is no round, since the sync finds it at once.
 */
export function untilAwaiting(sync: MaesnSync, connectionId: string, round?: number): Promise<SyncStatus> {
  return waitFor('the sync awaits reauthorisation', async () => {
    const status = await sync.syncStatus(connectionId);
    const { connection } = status;
    return (
      status.state === 'AwaitingReauthorization' &&
      connection.status === 'awaiting_reauthorization' &&
      (round === undefined || connection.round === round) &&
      status
    );
  });
}

/** A request is to be made again, and the next attempt is waited for. */
export function untilRetrying(sync: MaesnSync, connectionId: string): Promise<SyncStatus> {
  return waitFor('the retry waits', async () => {
    const status = await sync.syncStatus(connectionId);
    return status.retry !== undefined && status;
  });
}

/** Everything before this cycle is over, and the sync waits for it. */
export function untilIdle(sync: MaesnSync, connectionId: string, cycle: number): Promise<SyncStatus> {
  return waitFor(`cycle ${cycle} is waited for`, async () => {
    const status = await sync.syncStatus(connectionId);
    return status.state === 'Idle' && status.cycle === cycle && status;
  });
}
