/**
 * Sends the requests of one connection when they may be sent: in step with the target system's limits, within its error
 * budget, and one at a time where it wants that. All of it is in the store, so that all Workers agree.
 */
import type { Connection } from '../store/index.js';
import type { ActivityDependencies } from './dependencies.js';
import { createErrorBudget } from './error-budget.js';
import { createLease } from './lease.js';
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
}

export interface Sender extends Omit<Pace, 'turn'> {
  send<Answer>(request: SentRequest<Answer>): Promise<Answer>;
}

type Needed = Pick<ActivityDependencies, 'store' | 'targetSystems'>;

/** `inFlight`: how many are sent at the same time at most. */
export function createSender({ store, targetSystems }: Needed, connection: Connection, inFlight: number): Sender {
  const { connectionId, targetSystem: slug } = connection;
  const system = targetSystems.get(slug);
  const name = system.name ?? slug;
  const pace = createPace(store, targetSystems.scopedLimits(slug, connectionId), inFlight);
  const errors = createErrorBudget({ store, connectionId, system, name });
  const hold = createLease({ store, scope: `connection/${connectionId}`, name });

  async function askWithin<Answer>({ endpoint, ask }: SentRequest<Answer>, onSent = () => {}): Promise<Answer> {
    await pace.turn();
    // After every wait: what was met meanwhile counts.
    await errors.require(endpoint);
    onSent();
    try {
      return await ask();
    } catch (error) {
      await errors.count(endpoint, error);
      throw error;
    }
  }

  return {
    slowDown: () => pace.slowDown(),
    answered: (requests) => pace.answered(requests),
    send(request) {
      const { taskId, taskOf = () => undefined } = request;
      if (system.exclusive !== true) return askWithin(request);
      return hold({ taskId, ask: (onSent) => askWithin(request, onSent), taskOf });
    },
  };
}
