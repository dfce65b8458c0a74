import type { PullResourceInput } from '../workflows/messages.js';
import type { ActivityDependencies } from './dependencies.js';
import { safely } from './failure.js';
import {
  createDecideDeletes,
  createPauseConnection,
  createReadHints,
  createReadHolds,
  createResumeConnection,
} from './holds.js';
import { createBeginCycle } from './begin-cycle.js';
import { createCheckLogin } from './check-login.js';
import { createDeliverEvents } from './deliver-events.js';
import { createJoinReauthorization, createLeaveReauthorization } from './join-reauthorization.js';
import { createPullResource } from './pull-resource.js';
import { createPullSmall } from './pull-small.js';
import { createReadRetry } from './read-retry.js';
import { createReviewIncidents } from './review-incidents.js';
import { createRetrySome } from './retry-some.js';
import { createReadUnsupported } from './read-unsupported.js';
import {
  createOpenReauthorization,
  createProbeConnection,
  createRemindReauthorization,
  createSettleReauthorization,
} from './settle-reauthorization.js';
import { createGiveUpWrite, createReadWrite, createResolveWrite } from './decide-write.js';
import { createEndWrite } from './end-write.js';
import { createLookUpWrite } from './look-up-write.js';
import { createPollWriteTask } from './poll-write-task.js';
import { createSendWrite } from './send-write.js';
import { createStartNextWrites } from './start-next-writes.js';
import { createTell } from './tell-application.js';
import { createEndSubscriptions, createRenewSubscriptions } from './webhook-subscriptions.js';

/** All Activities, with what they need. Their names are what the Temporal UI shows. */
export function createActivities(dependencies: ActivityDependencies) {
  const pullResource = createPullResource(dependencies);
  const pullSmall = createPullSmall(dependencies, pullResource);
  return {
    pullResource: (input: PullResourceInput) => pullResource(input),
    pullSmall: safely(pullSmall),
    beginCycle: safely(createBeginCycle(dependencies, pullSmall)),
    readUnsupported: safely(createReadUnsupported(dependencies)),
    readRetry: createReadRetry(),
    retrySome: safely(createRetrySome(dependencies)),
    reviewIncidents: createReviewIncidents(dependencies),
    readHolds: safely(createReadHolds(dependencies)),
    pauseConnection: safely(createPauseConnection(dependencies)),
    decideDeletes: safely(createDecideDeletes(dependencies)),
    resumeConnection: safely(createResumeConnection(dependencies)),
    readHints: safely(createReadHints(dependencies)),
    tellApplication: safely(createTell(dependencies)),
    deliverEvents: safely(createDeliverEvents(dependencies)),
    checkLogin: createCheckLogin(dependencies),
    joinReauthorization: safely(createJoinReauthorization(dependencies)),
    leaveReauthorization: safely(createLeaveReauthorization(dependencies)),
    openReauthorization: safely(createOpenReauthorization(dependencies)),
    remindReauthorization: safely(createRemindReauthorization(dependencies)),
    probeConnection: createProbeConnection(dependencies),
    settleReauthorization: safely(createSettleReauthorization(dependencies)),
    sendWrite: createSendWrite(dependencies),
    lookUpWrite: createLookUpWrite(dependencies),
    pollWriteTask: createPollWriteTask(dependencies),
    readWrite: safely(createReadWrite(dependencies)),
    resolveWrite: safely(createResolveWrite(dependencies)),
    giveUpWrite: safely(createGiveUpWrite(dependencies)),
    startNextWrites: safely(createStartNextWrites(dependencies)),
    endWrite: safely(createEndWrite(dependencies)),
    renewSubscriptions: createRenewSubscriptions(dependencies),
    endSubscriptions: createEndSubscriptions(dependencies),
  };
}

export type Activities = ReturnType<typeof createActivities>;
export type { ActivityDependencies, ActivityOptions } from './dependencies.js';
