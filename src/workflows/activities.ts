/** Every Activity option, each number with its reason. */
import { ActivityCancellationType, proxyActivities, proxyLocalActivities } from '@temporalio/workflow';
import type { ActivityOptions, LocalActivityOptions } from '@temporalio/workflow';
import type { Activities } from '../activities/index.js';
import { BEFORE_WALKS } from '../spec/fairness.js';
import { DELIVERY_RETRY_POLICY, MAESN_RETRY_POLICY } from '../spec/retry.js';

/** Activities that call Maesn: the error guide is their retry policy. */
export const {
  reviewIncidents,
  checkLogin,
  lookUpWrite,
  pollWriteTask,
  probeConnection,
  pullResource,
  renewSubscriptions,
  sendWrite,
} = proxyActivities<Activities>({
  // Twice the 5 minutes that pullResource walks: only an Activity that has lost its way meets it.
  startToCloseTimeout: '10 minutes',
  // Five heartbeats may be missed before a Worker is taken for dead.
  heartbeatTimeout: '15 seconds',
  retry: MAESN_RETRY_POLICY,
  // The page in flight is written or not written when the Workflow goes on, never both.
  cancellationType: ActivityCancellationType.WAIT_CANCELLATION_COMPLETED,
});

/** Calls Maesn too, but nobody waits for it: what cannot be ended within the hour expires by itself. */
export const { endSubscriptions } = proxyActivities<Activities>({
  startToCloseTimeout: '10 minutes',
  scheduleToCloseTimeout: '1 hour',
  heartbeatTimeout: '15 seconds',
  retry: MAESN_RETRY_POLICY,
});

/** A store that cannot be reached can be in a moment. */
const STORE_RETRY_POLICY: ActivityOptions['retry'] = {
  initialInterval: '1 second',
  backoffCoefficient: 2,
  maximumInterval: '1 minute',
  nonRetryableErrorTypes: ['ConnectionNotFound', 'AlreadyPaused', 'NotPaused', 'NothingToDecide'],
};

/**
 * Of a Local Activity that is tried again as above. From the fourth failure on it waits as a timer: waiting within the Workflow
 * Task would take the place of another one, and three events every 8 seconds.
 */
const LOCAL_RETRY: Pick<LocalActivityOptions, 'retry' | 'localRetryThreshold'> = {
  retry: STORE_RETRY_POLICY,
  localRetryThreshold: '5 seconds',
};

/** Activities that need only the store and Temporal: all come back, and soon. */
export const {
  decideDeletes,
  endWrite,
  giveUpWrite,
  joinReauthorization,
  leaveReauthorization,
  openReauthorization,
  pauseConnection,
  remindReauthorization,
  resolveWrite,
  resumeConnection,
  settleReauthorization,
} = proxyActivities<Activities>({
  // Somebody waits for them, and they take no time. Whose turn it is (the fairness key) they have from their Workflow.
  priority: { priorityKey: BEFORE_WALKS },
  // Releasing ten thousand Workflows takes about a minute; everything else is one transaction.
  startToCloseTimeout: '10 minutes',
  heartbeatTimeout: '1 minute',
  retry: STORE_RETRY_POLICY,
});

/**
 * What every cycle of every connection asks the store, a statement or two: done within the Workflow Task, for what it takes to
 * hand it to a Worker is many times as much.
 */
export const { readHints, readHolds, readUnsupported, readWrite, startNextWrites, tellApplication } =
  proxyLocalActivities<Activities>({
    startToCloseTimeout: '1 minute',
    ...LOCAL_RETRY,
  });

/**
 * These two call Maesn within the Workflow Task: whatever they meet is an answer, of which `pullResource` is told, to try again
 * as the error guide says. They give up by themselves once the request that is under way is over.
 */
export const { beginCycle } = proxyLocalActivities<Activities>({
  startToCloseTimeout: '2 minutes',
  ...LOCAL_RETRY,
});

/** Where the store fails, it is left to `pullResource`, too. */
export const { pullSmall } = proxyLocalActivities<Activities>({
  startToCloseTimeout: '2 minutes',
  retry: { maximumAttempts: 1 },
});

/** Asks Temporal about its own Workflow. Somebody waits: after two tries it goes without. */
export const { readRetry } = proxyLocalActivities<Activities>({
  startToCloseTimeout: '15 seconds',
  retry: { maximumAttempts: 2 },
});

/** Sends to the application: waited for without end, since its events come in order. */
export const { deliverEvents } = proxyActivities<Activities>({
  // Far above the minute that it delivers and the 15 seconds of the request that may then be in flight.
  startToCloseTimeout: '5 minutes',
  // As above.
  heartbeatTimeout: '15 seconds',
  retry: DELIVERY_RETRY_POLICY,
});

/** Walks through a list, half a minute at a time. */
export const { retrySome } = proxyActivities<Activities>({
  startToCloseTimeout: '2 minutes',
  heartbeatTimeout: '30 seconds',
  retry: STORE_RETRY_POLICY,
});

/** What a webhook hints at is little, and the application waits for it. */
export const HINTED = { priority: { priorityKey: BEFORE_WALKS } };
