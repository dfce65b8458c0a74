/** Traces by OpenTelemetry. Without an endpoint nothing of OpenTelemetry is loaded, and no Workflow is intercepted. */
import type { WorkflowClientInterceptor } from '@temporalio/client';
import type { WorkerOptions } from '@temporalio/worker';

export interface Tracing {
  readonly client: readonly WorkflowClientInterceptor[];
  /** `workflowModules` of a bundle that was made with them are already in it. */
  readonly worker: Required<Pick<WorkerOptions, 'interceptors' | 'sinks'>>;
  /** A span for a request to Maesn, within that of its Activity. */
  readonly request: <Answer>(request: TracedRequest<Answer>) => Promise<Answer>;
  /** Sends what was not sent yet. */
  close(): Promise<void>;
}

export interface TracedRequest<Answer> {
  /** Method and path, without ids and without query. */
  readonly endpoint: string;
  readonly targetSystem: string;
  readonly ask: () => Promise<Answer>;
  /** What went wrong, in one word, and the status, if there was an answer. */
  readonly describe: (error: unknown) => { readonly type: string; readonly status?: number | undefined };
}

/** Of OpenTelemetry's own standard variables; one that is empty is not set. */
export function tracesUrl(env: Readonly<Record<string, string | undefined>>): string | undefined {
  const { OTEL_EXPORTER_OTLP_TRACES_ENDPOINT: traces = '', OTEL_EXPORTER_OTLP_ENDPOINT: all = '' } = env;
  if (traces !== '') return traces;
  return all === '' ? undefined : `${all.replace(/\/$/, '')}/v1/traces`;
}

/** Once a process. `undefined`: no endpoint is set. */
export async function startTracing(env: Readonly<Record<string, string | undefined>>): Promise<Tracing | undefined> {
  const url = tracesUrl(env);
  if (url === undefined) return undefined;
  const { createTracing } = await import('./opentelemetry.js');
  return createTracing({ url, serviceName: env['OTEL_SERVICE_NAME'] ?? '' });
}
