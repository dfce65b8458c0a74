/**
 * What Temporal's UI and CLI ask to read and write encrypted payloads: a codec server, as Temporal documents its protocol
 * (https://docs.temporal.io/production-deployment/data-encryption). Whoever may ask the HTTP API may ask this: it tells less.
 */
import { PayloadDecryptionError } from '../payloads/codec.js';
import type { PayloadCodec } from '@temporalio/common';
import { Hono } from 'hono';
import type { Context, MiddlewareHandler } from 'hono';
import { cors } from 'hono/cors';
import { z } from 'zod';
import type { BackendEnv } from './access.js';
import { toProblem } from './problem.js';

export const CODEC_PATH = '/codec';
export const isCodec = (path: string) => path === `${CODEC_PATH}/decode` || path === `${CODEC_PATH}/encode`;

const MAX_PAYLOADS = 10_000;

/** Payloads in the JSON form of Protocol Buffers. */
const request = z.object({
  payloads: z
    .array(z.object({ metadata: z.record(z.string(), z.base64()).optional(), data: z.base64().optional() }))
    .max(MAX_PAYLOADS)
    // The CLI, where there are none: Protocol Buffers leave out what is empty.
    .default([]),
});

/** Where the UI runs, as browsers name it: on this machine, by whichever name was typed. None: it is not known, and no browser is let in. */
export function originsOf(uiUrl: string | undefined): string[] {
  if (uiUrl === undefined) return [];
  const { origin, hostname } = new URL(uiUrl);
  if (hostname !== '127.0.0.1' && hostname !== 'localhost') return [origin];
  return ['127.0.0.1', 'localhost'].map((name) => origin.replace(hostname, name));
}

/** Lets pages of Temporal's UI, and of nobody else, ask and read the answers. Comes before whatever wants a token: a preflight has none. */
export function allowTemporalUi(origins: readonly string[]): MiddlewareHandler<BackendEnv> {
  const allow = cors({
    origin: [...origins],
    allowMethods: ['POST'],
    allowHeaders: ['Authorization', 'Content-Type', 'X-Namespace'],
    // The cookie of the page, where both are of one site.
    credentials: true,
    maxAge: 600,
  });
  return async (c, next) => {
    if (!isCodec(c.req.path)) return next();
    const origin = c.req.header('origin');
    if (origin === undefined || origins.includes(origin)) return allow(c, next);
    return toProblem(c, {
      status: 403,
      title: 'Forbidden',
      detail: `Only Temporal’s UI may ask this from a browser, and that is not at ${origin}: set MAESN_SYNC_TEMPORAL_UI_URL to where it is.`,
      code: 'Forbidden',
    });
  };
}

/** `codec`: `undefined` where nothing is encrypted. */
export function createCodecRoutes(codec: PayloadCodec | undefined): Hono<BackendEnv> {
  const app = new Hono<BackendEnv>();
  app.post(`${CODEC_PATH}/decode`, (c) => answer(c, codec, 'decode'));
  app.post(`${CODEC_PATH}/encode`, (c) => answer(c, codec, 'encode'));
  return app;
}

async function answer(c: Context<BackendEnv>, codec: PayloadCodec | undefined, what: 'decode' | 'encode') {
  c.header('Cache-Control', 'no-store');
  if (codec === undefined) {
    const detail = 'Nothing is encrypted here: MAESN_SYNC_PAYLOAD_KEYS is not set for the backend.';
    return toProblem(c, { status: 409, title: 'Not configured', detail, code: 'NotConfigured' });
  }
  const parsed = request.safeParse(await c.req.json().catch(() => undefined));
  if (!parsed.success) {
    const errors = parsed.error.issues.map(({ path, message }) => ({ field: path.join('.') || 'body', message }));
    const detail = 'Send { "payloads": [{ "metadata": { name: base64 }, "data": base64 }] } as JSON.';
    return toProblem(c, { status: 400, title: 'Invalid input', detail, code: 'InvalidInput', errors });
  }
  const given = parsed.data.payloads.map(({ metadata = {}, data = '' }) => ({
    metadata: mapValues(metadata, (text) => Buffer.from(text, 'base64')),
    data: Buffer.from(data, 'base64'),
  }));
  try {
    const payloads = (await codec[what](given)).map(({ metadata, data }) => ({
      metadata: mapValues(metadata ?? {}, toBase64),
      data: toBase64(data),
    }));
    return c.json({ payloads });
  } catch (error) {
    if (!(error instanceof PayloadDecryptionError)) throw error;
    return toProblem(c, { status: 422, title: 'Not decrypted', detail: error.message, code: 'NotDecrypted' });
  }
}

function mapValues<From, To>(record: Readonly<Record<string, From>>, to: (value: From) => To): Record<string, To> {
  return Object.fromEntries(Object.entries(record).map(([name, value]) => [name, to(value)]));
}

function toBase64(bytes: Uint8Array | null | undefined): string {
  return Buffer.from(bytes ?? []).toString('base64');
}
