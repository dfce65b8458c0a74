/**
 * A Temporal client whose Workflows run in virtual time: the server skips every timer and every retry delay, and
 * writes the virtual time into the history. Needs a dev server that was started with `TIME_SKIPPING_ARGS`.
 */
import { Client, WorkflowClient } from '@temporalio/client';
import type { ClientOptions, WorkflowService } from '@temporalio/client';

export const TIME_SKIPPING_ARGS = [
  '--dynamic-config-value',
  'system.workflowTimeSkippingEnabled=true',
  '--dynamic-config-value',
  'frontend.WorkflowTimeSkippingEnabled=true',
  '--dynamic-config-value',
  'history.timerProcessorMaxTimeShift="50ms"',
];

const STARTS = new Set<string | symbol>(['startWorkflowExecution', 'signalWithStartWorkflowExecution']);

class SkippingWorkflowClient extends WorkflowClient {
  override get workflowService(): WorkflowService {
    return new Proxy(super.workflowService, {
      get(service, method) {
        const call: unknown = Reflect.get(service, method, service);
        if (!STARTS.has(method) || typeof call !== 'function') return call;
        return (request: object, ...rest: unknown[]): unknown =>
          Reflect.apply(call, service, [{ ...request, timeSkippingConfig: { enabled: true } }, ...rest]);
      },
    });
  }
}

export function createSkippingClient(options: Pick<ClientOptions, 'connection' | 'dataConverter'>): Client {
  const client = new Client(options);
  return Object.defineProperty(client, 'workflow', { value: new SkippingWorkflowClient(options) });
}
