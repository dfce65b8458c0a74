/** OpenTelemetry: the interceptors of Temporal's own package, and an exporter that speaks OTLP over HTTP. */
import { createRequire } from 'node:module';
import { SpanKind, SpanStatusCode } from '@opentelemetry/api';
import { OTLPTraceExporter } from '@opentelemetry/exporter-trace-otlp-proto';
import { Resource } from '@opentelemetry/resources';
import { BasicTracerProvider, BatchSpanProcessor } from '@opentelemetry/sdk-trace-base';
import {
  OpenTelemetryActivityInboundInterceptor,
  OpenTelemetryActivityOutboundInterceptor,
  OpenTelemetryWorkflowClientInterceptor,
  makeWorkflowExporter,
} from '@temporalio/interceptors-opentelemetry';
import { createContextManager } from './context.js';
import type { Tracing } from './index.js';

export interface TracingOptions {
  readonly url: string;
  readonly serviceName: string;
}

/** What a Workflow bundle needs in it for traces. */
export const WORKFLOW_INTERCEPTORS = createRequire(import.meta.url).resolve(
  '@temporalio/interceptors-opentelemetry/lib/workflow-interceptors',
);

export function createTracing({ url, serviceName }: TracingOptions): Tracing {
  const resource = new Resource({ 'service.name': serviceName === '' ? 'maesn-sync' : serviceName });
  const processor = new BatchSpanProcessor(new OTLPTraceExporter({ url }));
  const provider = new BasicTracerProvider({ resource, spanProcessors: [processor] });
  provider.register({ contextManager: createContextManager() });
  const tracer = provider.getTracer('maesn-sync');

  return {
    client: [new OpenTelemetryWorkflowClientInterceptor({ tracer })],
    worker: {
      interceptors: {
        workflowModules: [WORKFLOW_INTERCEPTORS],
        activity: [
          (context) => ({
            inbound: new OpenTelemetryActivityInboundInterceptor(context, { tracer }),
            outbound: new OpenTelemetryActivityOutboundInterceptor(context),
          }),
        ],
      },
      sinks: { exporter: makeWorkflowExporter(processor, resource) },
    },
    request: ({ endpoint, targetSystem, ask, describe }) => {
      const [method = '', path = ''] = endpoint.split(' ');
      const attributes = { 'http.request.method': method, 'url.template': path, 'maesn.target_system': targetSystem };
      return tracer.startActiveSpan(endpoint, { kind: SpanKind.CLIENT, attributes }, async (span) => {
        try {
          const answer = await ask();
          span.setAttribute('maesn.status_class', '2xx');
          return answer;
        } catch (error) {
          const { type, status } = describe(error);
          // No message: the span of the Activity has the one that was made to be shown.
          span.setAttribute('error.type', type);
          if (status !== undefined) span.setAttribute('http.response.status_code', status);
          span.setStatus({ code: SpanStatusCode.ERROR });
          throw error;
        } finally {
          span.end();
        }
      });
    },
    close: () => provider.shutdown(),
  };
}
