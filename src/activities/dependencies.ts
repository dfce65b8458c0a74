import type { Client } from '@temporalio/client';
import type { EventReceiver } from '../application/send-event.js';
import type { MaesnClient } from '../maesn/client.js';
import type { TargetSystems } from '../spec/target-systems.js';
import type { Store } from '../store/index.js';
import type { ReauthorizationTimes } from '../workflows/messages.js';
import type { TracedRequest } from '../tracing/index.js';
import type { AttemptOptions } from './attempt.js';

export interface ActivityOptions extends AttemptOptions, ReauthorizationTimes {
  /** Absent: events stay in the outbox, where the HTTP API reads them. */
  readonly eventReceiver?: EventReceiver | undefined;
  /** Where Maesn reaches the backend. Absent: Maesn is not asked for webhooks. */
  readonly publicUrl?: string | undefined;
  /** How long one call of pullResource walks before it hands back to its Workflow. */
  readonly walkForMs: number;
  /** Records of a page that Maesn is asked for. */
  readonly pageLimit: number;
  /** How long after a full walk the next one is due. */
  readonly fullWalkEveryMs: number;
  /** 0 to 1: when more of a resource's records are gone at once, a person is asked before they are deleted. */
  readonly maximumDeletedShare: number;
  /** The same of deliverEvents. */
  readonly deliverForMs: number;
  /** How many of a Worker's Activities may be deliverEvents at the same time. */
  readonly deliverAtOnce: number;
  /** How long an event that was delivered, or that nobody is to receive, stays in the outbox. */
  readonly keepEventsForMs: number;
}

/** What Activities are built with. */
export interface ActivityDependencies {
  readonly maesn: MaesnClient;
  readonly store: Store;
  readonly targetSystems: TargetSystems;
  /** Starts and signals the Workflows that other Workflows meet. */
  readonly temporal: Client;
  readonly taskQueue: string;
  /** Absent: requests are not traced. */
  readonly traceRequest?: (<Answer>(request: TracedRequest<Answer>) => Promise<Answer>) | undefined;
  readonly options: ActivityOptions;
}
