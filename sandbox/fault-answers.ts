/** Sends what a fault says, past Hono where an honest response could not say it. */
import { once } from 'node:events';
import type { ServerResponse } from 'node:http';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { setImmediate } from 'node:timers/promises';
import type { Fault } from './faults.js';
import { toError, toSuccess } from './envelope.js';
import type { Answer } from './envelope.js';

/** Answered by the API itself, since only the API knows the account. */
export type SentFault = Exclude<Fault, { kind: 'revoke' | 'failedTask' }>;

export interface SendFaultInput {
  readonly fault: SentFault;
  readonly outgoing: ServerResponse;
  /** What the request would have been answered with. */
  readonly answer: () => Answer;
}

const JSON_TYPE = 'application/json; charset=utf-8';
const HTML = '<!doctype html><html lang="en"><title>Bad gateway</title><h1>Bad gateway</h1></html>';

/** Returns the status that the client sees; `null`: none. */
export async function sendFault({ fault, outgoing, answer }: SendFaultInput): Promise<number | null> {
  const send = (status: number, type: string, body: string, headers: Record<string, string> = {}) => {
    outgoing.writeHead(status, { 'content-type': type, ...headers }).end(body);
    return status;
  };
  switch (fault.kind) {
    case 'status': {
      const retryAfter = fault.retryAfter === undefined ? {} : { 'retry-after': String(fault.retryAfter) };
      return send(fault.status, JSON_TYPE, JSON.stringify(toError(fault.status, fault).body), retryAfter);
    }
    case 'garbage':
      return send(200, JSON_TYPE, 'Internal error: ORA-01555 snapshot too old');
    case 'html':
      return send(fault.status, 'text/html; charset=utf-8', HTML);
    case 'empty':
      return send(200, JSON_TYPE, '');
    case 'wrongEnvelope':
      return send(200, JSON_TYPE, JSON.stringify({ ...toSuccess(undefined).body, data: { result: 'ok' } }));
    case 'redirect':
      return send(302, 'text/plain', '', { location: fault.location });
    case 'truncated':
      return sendTruncated(outgoing, answer(), fault.connection);
    case 'huge':
      return sendHuge(outgoing, fault.bytes);
    case 'cut':
      outgoing.destroy();
      return null;
    case 'hang':
      if (!outgoing.closed) await once(outgoing, 'close');
      return null;
  }
}

async function sendTruncated(
  outgoing: ServerResponse,
  { status, body }: Answer,
  connection: 'ended' | 'destroyed',
): Promise<number> {
  const whole = Buffer.from(JSON.stringify(body));
  const half = whole.subarray(0, Math.floor(whole.length / 2));
  if (connection === 'ended') {
    outgoing.writeHead(status, { 'content-type': JSON_TYPE }).end(half);
    return status;
  }
  outgoing.writeHead(status, { 'content-type': JSON_TYPE, 'content-length': whole.length });
  await new Promise((resolve) => {
    outgoing.write(half, resolve);
  });
  // The client must have seen the head before the socket goes, else this is `cut`.
  await setImmediate();
  outgoing.destroy();
  return status;
}

const CHUNK = 'x'.repeat(64 * 1024);

function* writeHugeBody(bytes: number): Generator<string> {
  yield '{"meta":{},"data":["';
  for (let written = 0; written < bytes; written += CHUNK.length) yield CHUNK;
  yield '"],"errors":null,"rawData":null}';
}

async function sendHuge(outgoing: ServerResponse, bytes: number): Promise<number> {
  outgoing.writeHead(200, { 'content-type': JSON_TYPE });
  try {
    await pipeline(Readable.from(writeHugeBody(bytes)), outgoing);
  } catch (error) {
    // A client that leaves before the end is what the body is there for.
    if (!outgoing.destroyed) throw error;
  }
  return 200;
}
