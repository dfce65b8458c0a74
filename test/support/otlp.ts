/** Takes spans as an OpenTelemetry collector does. */
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { buffer } from 'node:stream/consumers';
import protobuf from 'protobufjs';
import { z } from 'zod';

// The fields of opentelemetry/proto/trace/v1/trace.proto that the tests read.
const PROTO = `syntax = "proto3";
message Request { repeated ResourceSpans resource_spans = 1; }
message ResourceSpans { repeated ScopeSpans scope_spans = 2; }
message ScopeSpans { repeated Span spans = 2; }
message Span { bytes trace_id = 1; bytes span_id = 2; bytes parent_span_id = 4; string name = 5; repeated KeyValue attributes = 9; }
message KeyValue { string key = 1; AnyValue value = 2; }
message AnyValue { oneof value { string string_value = 1; bool bool_value = 2; int64 int_value = 3; double double_value = 4; } }`;

const spanSchema = z.object({
  traceId: z.string(),
  spanId: z.string(),
  parentSpanId: z.string().default(''),
  name: z.string(),
  attributes: z
    .array(z.object({ key: z.string(), value: z.record(z.string(), z.unknown()) }))
    .default([])
    .transform((entries) => Object.fromEntries(entries.map(({ key, value }) => [key, Object.values(value)[0]]))),
});

export type Span = z.output<typeof spanSchema>;

const requestSchema = z.object({
  resourceSpans: z.array(z.object({ scopeSpans: z.array(z.object({ spans: z.array(spanSchema) })) })),
});

export interface Collector {
  readonly url: string;
  readonly spans: readonly Span[];
  /** All that was sent, as it came. */
  text(): string;
  close(): Promise<void>;
}

export async function startCollector(): Promise<Collector> {
  const type = protobuf.parse(PROTO).root.lookupType('Request');
  const spans: Span[] = [];
  const bodies: Buffer[] = [];
  async function take(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const body = await buffer(request);
    bodies.push(body);
    const json: unknown = type.toObject(type.decode(body), { bytes: String, longs: Number });
    spans.push(
      ...requestSchema.parse(json).resourceSpans.flatMap((of) => of.scopeSpans.flatMap((scope) => scope.spans)),
    );
    response.writeHead(200, { 'Content-Type': 'application/x-protobuf' }).end();
  }

  const server = createServer((request, response) => {
    void take(request, response);
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const bound = server.address();
  if (typeof bound !== 'object' || bound === null) throw new Error('there is no port');
  return {
    url: `http://127.0.0.1:${bound.port}`,
    spans,
    text: () => Buffer.concat(bodies).toString('latin1'),
    async close() {
      server.close();
      server.closeAllConnections();
      await once(server, 'close');
    },
  };
}
