/**
 * Sends the requests of one connection when they may be sent: in step with the target system's limits, within its error
 * budget, and one at a time where it wants that. All of it is in the store, so that all Workers agree.
 */
import type { Connection } from '../store/index.js';
import type { ActivityDependencies } from './dependencies.js';
import { createErrorBudget } from './error-budget.js';
import { isMaesnError, metAt } from './failure.js';
import { createLease } from './lease.js';
import { count, statusClass } from './metrics.js';
import { requireActive } from './open-connection.js';
import { createPace } from './pace.js';
import type { Pace } from './pace.js';

export interface SentRequest<Answer> {
  /** Method and path as the target system counts them, without ids: `GET /accounting/invoices/{parent}/lineItems`. */
  readonly endpoint: string;
  readonly ask: () => Promise<Answer>;
  /** The task that is asked for: it has the right to the one request that may run. */
  readonly taskId?: string | undefined;
  /** Names the task that is running after this answer. */
  readonly taskOf?: (answer: Answer) => string | undefined;
  /** `false`: after all, nothing was asked. Absent: it always is. */
  readonly isAnswer?: (answer: Answer) => boolean;
}

export interface Sender extends Pick<Pace, 'slowDown'> {
  send<Answer>(request: SentRequest<Answer>): Promise<Answer>;
}

type Needed = Pick<ActivityDependencies, 'maesn' | 'store' | 'targetSystems' | 'traceRequest'>;

/** As a span tells what went wrong. */
function describe(error: unknown) {
  return isMaesnError(error) ? error.failure : { type: 'Unexpected' };
}

/** What is further away than this is no wait for an Activity, which ends after 10 minutes; then its retry is the timer. */
const MAX_WAIT_MS = 90_000;

/** What a request may take besides its turn and its answer: the store has a write claimed, for one. */
const STORE_MS = 30_000;

/** `maxWaitMs`: how long a turn is waited for. */
export function createSender(
  { maesn, store, targetSystems, traceRequest }: Needed,
  connection: Connection,
  maxWaitMs = MAX_WAIT_MS,
): Sender {
  const { connectionId, targetSystem: slug } = connection;
  const system = targetSystems.get(slug);
  const name = system.name ?? slug;
  const pace = createPace({
    store,
    limits: targetSystems.scopedLimits(slug, connectionId),
    maxWaitMs,
    name,
  });
  const requestMs = maxWaitMs + maesn.timeoutMs + STORE_MS;
  const errors = createErrorBudget({ store, connectionId, system, name, maxWaitMs, requestMs });
  const hold = createLease({ store, scope: `connection/${connectionId}`, name });

  function counted(error: unknown): never {
    if (isMaesnError(error)) {
      count('maesn_sync_failures_total', { target_system: slug, type: error.failure.type });
      metAt(error, slug);
    }
    throw error;
  }

  async function askWithin<Answer>(
    { endpoint, ask, isAnswer = () => true }: SentRequest<Answer>,
    onSent = () => {},
  ): Promise<Answer> {
    // Before the turn: whoever waits for it has its room already, and all of them together never have too much.
    const giveRoom = await errors.take(endpoint).catch(counted);
    try {
      const waited = await pace.turn();
      // A login that dies meanwhile is refused once, not for each that waits.
      if (waited && connection.status === 'active') await requireActive(store, connectionId);
    } catch (error) {
      await giveRoom();
      return counted(error);
    }
    onSent();
    const method = endpoint.split(' ')[0] ?? '';
    const answered = (status?: number) =>
      count('maesn_sync_requests_total', { target_system: slug, method, status_class: statusClass(status) });
    try {
      const asking = { endpoint, targetSystem: slug, ask, describe };
      const answer = await (traceRequest === undefined ? ask() : traceRequest(asking));
      await giveRoom();
      if (isAnswer(answer)) {
        answered(200);
        // What it has brought does not depend on it.
        await pace.answered().catch(() => undefined);
      }
      return answer;
    } catch (error) {
      await giveRoom(error);
      if (isMaesnError(error)) answered(error.failure.status);
      return counted(error);
    }
  }

  return {
    // What it is called for says more than a store that fails.
    slowDown: () => pace.slowDown().catch(() => undefined),
    send(request) {
      const { taskId, taskOf = () => undefined } = request;
      if (system.exclusive !== true) return askWithin(request);
      return hold({ taskId, ask: (onSent) => askWithin(request, onSent), taskOf });
    },
  };
}
