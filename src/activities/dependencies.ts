import type { Client } from '@temporalio/client';
import type { MaesnClient } from '../maesn/client.js';
import type { Store } from '../store/index.js';
import type { ReauthorizationTimes } from '../workflows/messages.js';
import type { AttemptOptions } from './attempt.js';

export interface ActivityOptions extends AttemptOptions, ReauthorizationTimes {
  /** How long one call of pullResource walks before it hands back to its Workflow. */
  readonly walkForMs: number;
}

/** What Activities are built with. */
export interface ActivityDependencies {
  readonly maesn: MaesnClient;
  readonly store: Store;
  /** Starts and signals the Workflows that other Workflows meet. */
  readonly temporal: Client;
  readonly taskQueue: string;
  readonly options: ActivityOptions;
}
