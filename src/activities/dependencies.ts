import type { Client } from '@temporalio/client';
import type { MaesnClient } from '../maesn/client.js';
import type { Store } from '../store/index.js';
import type { ReauthorizationTimes } from '../workflows/messages.js';
import type { AttemptOptions } from './attempt.js';

/** Where the application receives events. */
export interface EventReceiver {
  readonly url: string;
  /** `whsec_...` (Standard Webhooks). */
  readonly secret: string;
  /** Whether it may be at a private or loopback address. */
  readonly allowPrivate: boolean;
}

export interface ActivityOptions extends AttemptOptions, ReauthorizationTimes {
  /** Absent: events stay in the outbox, where the HTTP API reads them. */
  readonly eventReceiver?: EventReceiver | undefined;
  /** Where Maesn reaches the backend. Absent: Maesn is not asked for webhooks. */
  readonly publicUrl?: string | undefined;
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
