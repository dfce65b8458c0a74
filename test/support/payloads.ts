/** Every payload in what Temporal has written down, decoded, wherever in a history it stands. */
import type { Payload, PayloadCodec } from '@temporalio/common';
import type { Client } from '@temporalio/client';

/**
 * Never encrypted: the server itself looks into search attributes. And `data` of a marker, in which the SDK keeps the number, the
 * type and the times of a Local Activity; its result and its failure stand beside it.
 */
const IN_CLEAR = new Set(['searchAttributes', 'header', 'data']);

export async function readPayloads(temporal: Client): Promise<string[]> {
  const found: Payload[] = [];
  for await (const { workflowId, runId } of temporal.workflow.list()) {
    collect(await temporal.workflow.getHandle(workflowId, runId).fetchHistory(), found);
  }
  const decoded = await decodeAll(temporal.options.loadedDataConverter.payloadCodecs, found);
  return decoded.map(({ data }) => Buffer.from(data ?? []).toString('utf8'));
}

function collect(value: unknown, found: Payload[]): void {
  if (typeof value !== 'object' || value === null || value instanceof Uint8Array) return;
  if (isPayload(value)) found.push(value);
  else for (const [name, of] of Object.entries(value)) if (!IN_CLEAR.has(name)) collect(of, found);
}

function isPayload(value: object): value is Payload {
  return 'data' in value && value.data instanceof Uint8Array && 'metadata' in value;
}

async function decodeAll(codecs: readonly PayloadCodec[], payloads: Payload[]): Promise<Payload[]> {
  let decoded = payloads;
  for (const codec of codecs.toReversed()) decoded = await codec.decode(decoded);
  return decoded;
}
