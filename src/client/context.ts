import type { Client } from '@temporalio/client';
import type { MaesnClient } from '../maesn/client.js';
import type { TargetSystems } from '../spec/target-systems.js';
import type { Connection, Store } from '../store/index.js';
import type { ReauthorizationTimes } from '../workflows/messages.js';
import { MaesnSyncError, parseInput } from './errors.js';
import { connectionId } from './inputs.js';

/** What is needed to send end users to a login page and to understand them when they come back. */
export interface LoginSettings {
  readonly maesn: MaesnClient;
  /** Where browsers and Maesn reach the backend's callbacks; without a slash at the end. */
  readonly publicUrl: string;
  readonly method: 'GET' | 'POST';
  /** Secret of the callback's signature; absent: callbacks are not signed. */
  readonly signingSecret?: string | undefined;
  readonly expiresAfterMs: number;
}

/** What every call works with. */
export interface ClientContext {
  readonly temporal: Client;
  readonly store: Store;
  readonly targetSystems: TargetSystems;
  readonly taskQueue: string;
  readonly reauthorization: ReauthorizationTimes;
  readonly login?: LoginSettings | undefined;
  /** Whether syncs that repeat also ask Maesn for webhooks. */
  readonly webhooks: boolean;
  /** Whether events are delivered, so that a replay has somebody to do it. */
  readonly deliversEvents: boolean;
  /** What Temporal has not answered by then is `Unavailable`. */
  readonly temporalAnswersWithinMs: number;
  /** Who it is, for the journal. */
  readonly actor: string;
}

export async function findConnection({ store }: ClientContext, id: string): Promise<Connection> {
  const connection = await store.connections.find(parseInput(connectionId, id));
  if (connection === undefined) throw connectionNotFound(id);
  return connection;
}

export function connectionNotFound(id: string): MaesnSyncError {
  return new MaesnSyncError('ConnectionNotFound', `There is no connection ${id}.`);
}
