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
  if (fault.kind === 'hang') {
    if (!outgoing.closed) await once(outgoing, 'close');
    return null;
  }
  if (fault.kind === 'cut') {
    outgoing.destroy();
    return null;
  }
  if (fault.kind === 'truncated') return sendTruncated(outgoing, answer(), fault.connection);
  if (fault.kind === 'huge') return sendHuge(outgoing, fault.bytes);
  const { status, body, ...headers } = toReply(fault);
  outgoing.writeHead(status, headers).end(body);
  return status;
}

interface Reply {
  readonly status: number;
  readonly body: string;
  readonly 'content-type': string;
  readonly 'retry-after'?: string;
  readonly location?: string;
}

/** Sent with 200, as if all were well. */
const UNUSABLE_BODIES = {
  garbage: 'Internal error: ORA-01555 snapshot too old',
  empty: '',
  wrongEnvelope: JSON.stringify(toSuccess({ result: 'ok' }).body),
} as const;

function toReply(fault: Exclude<SentFault, { kind: 'hang' | 'cut' | 'truncated' | 'huge' }>): Reply {
  if (fault.kind === 'html') {
    return { status: fault.status, body: HTML, 'content-type': 'text/html; charset=utf-8' };
  }
  if (fault.kind === 'redirect') {
    return { status: 302, body: '', 'content-type': 'text/plain', location: fault.location };
  }
  if (fault.kind !== 'status') return { status: 200, body: UNUSABLE_BODIES[fault.kind], 'content-type': JSON_TYPE };
  const { status, retryAfter } = fault;
  const reply = { status, body: JSON.stringify(toError(status, fault).body), 'content-type': JSON_TYPE };
  return retryAfter === undefined ? reply : { ...reply, 'retry-after': String(retryAfter) };
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
