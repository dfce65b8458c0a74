import { randomBytes } from 'node:crypto';
import { defaultPayloadConverter } from '@temporalio/common';
import type { Payload } from '@temporalio/common';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { z } from 'zod';
import { readConfig } from '../src/config.js';
import { createPayloadCodec } from '../src/payloads/codec.js';
import { createDataConverter } from '../src/payloads/data-converter.js';
import { startTestBackend } from './support/backend.js';
import type { TestBackend } from './support/backend.js';
import { startHarness } from './support/harness.js';
import type { Harness } from './support/harness.js';

const key = (id: string) => ({ id, key: randomBytes(32) });
const A = key('a');
const B = key('b');
const written = (keys: readonly { readonly id: string; readonly key: Buffer }[]) =>
  keys.map(({ id, key: bytes }) => `${id}:${bytes.toString('base64')}`).join(',');

const payloadOf = (value: unknown): Payload => defaultPayloadConverter.toPayload(value) ?? {};
const valueOf = (payload: Payload | undefined): unknown => defaultPayloadConverter.fromPayload(payload ?? {});
const textOf = ({ data, metadata = {} }: Payload) =>
  [data, ...Object.values(metadata ?? {})].map((bytes) => Buffer.from(bytes ?? []).toString('latin1')).join();

const encode = async (value: unknown, keys = [A]): Promise<Payload> => {
  const [payload = {}] = await createPayloadCodec(keys).encode([payloadOf(value)]);
  return payload;
};
const decode = async (payload: Payload, keys = [A]) => valueOf((await createPayloadCodec(keys).decode([payload]))[0]);

describe('the payload codec', () => {
  it('gives back whatever it was given, and shows nothing of it', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.oneof(
          fc.json().map((text): unknown => JSON.parse(text)),
          fc.uint8Array(),
        ),
        async (value) => {
          expect(await decode(await encode(value))).toEqual(value);
        },
      ),
    );
    const payload = await encode({ reason: 'month-end closing' });
    expect(textOf(payload)).not.toContain('closing');
    expect(textOf(payload)).not.toContain('json/plain');
    expect(textOf(payloadOf({ reason: 'month-end closing' }))).toContain('closing');
  });

  it('never writes the same twice', async () => {
    expect(await encode('x')).not.toEqual(await encode('x'));
  });

  it('reads what was written in clear, before there were keys', async () => {
    expect(await decode(payloadOf({ from: 'before' }))).toEqual({ from: 'before' });
  });

  it('encrypts with the first key and reads with all of them', async () => {
    const old = await encode('old', [A]);
    const recent = await encode('new', [B, A]);
    expect(await decode(old, [B, A])).toBe('old');
    expect(await decode(recent, [B])).toBe('new');
    await expect(decode(recent, [A])).rejects.toThrow('"b", which is not in MAESN_SYNC_PAYLOAD_KEYS (a): add it there');
  });

  it.each([
    ['data', (payload: Payload) => ({ ...payload, data: flip(payload.data ?? new Uint8Array(), 60) })],
    ['salt', (payload: Payload) => ({ ...payload, data: flip(payload.data ?? new Uint8Array(), 0) })],
    ['tag', (payload: Payload) => ({ ...payload, data: flip(payload.data ?? new Uint8Array(), 30) })],
    ['end', (payload: Payload) => ({ ...payload, data: (payload.data ?? new Uint8Array()).slice(0, 20) })],
  ])('refuses a payload whose %s was changed', async (_what, change) => {
    await expect(decode(change(await encode('a value of some length')))).rejects.toThrow(
      'does not open with the key "a"',
    );
  });

  it('refuses a payload that claims another key', async () => {
    const payload = await encode('x', [A]);
    const claiming = { ...payload, metadata: { ...payload.metadata, 'encryption-key-id': Buffer.from('b') } };
    await expect(decode(claiming, [A, { id: 'b', key: A.key }])).rejects.toThrow('does not open with the key "b"');
  });

  it('is not there without keys, so that nothing changes', () => {
    expect(createDataConverter(undefined)).toEqual({});
    expect(createDataConverter([A]).payloadCodecs).toHaveLength(1);
  });
});

function flip(bytes: Uint8Array, at: number): Uint8Array {
  const changed = Buffer.from(bytes);
  changed[at] = (changed[at] ?? 0) ^ 1;
  return changed;
}

describe('MAESN_SYNC_PAYLOAD_KEYS', () => {
  it('is a ring: the new key first, older ones after it', () => {
    const config = readConfig({ env: { MAESN_SYNC_PAYLOAD_KEYS: written([B, A]).replace(',', ' , ') } });
    expect(config.MAESN_SYNC_PAYLOAD_KEYS).toEqual([B, A]);
    expect(readConfig({ env: {} }).MAESN_SYNC_PAYLOAD_KEYS).toBeUndefined();
  });

  it.each([
    [randomBytes(32).toString('base64'), 'must be <id>:<32 bytes in base64>'],
    [`a:${randomBytes(31).toString('base64')}`, 'openssl rand -base64 32'],
    [`a b:${randomBytes(32).toString('base64')}`, 'must be <id>:'],
    [`${written([A])},`, 'must be <id>:'],
    [written([A, { ...B, id: 'a' }]), 'must not have two keys with one id'],
  ])('refuses %s, and says what to do', (text, message) => {
    expect(() => readConfig({ env: { MAESN_SYNC_PAYLOAD_KEYS: text } })).toThrow(message);
  });
});

describe('the codec server', () => {
  const UI = 'http://127.0.0.1:8233';
  const answered = z.object({
    payloads: z.array(z.object({ metadata: z.record(z.string(), z.string()), data: z.string() })),
  });
  const json = ({ metadata, data }: Payload) => ({
    metadata: Object.fromEntries(
      Object.entries(metadata ?? {}).map(([name, value]) => [name, Buffer.from(value ?? []).toString('base64')]),
    ),
    data: Buffer.from(data ?? []).toString('base64'),
  });

  let harness: Harness;
  let clear: Harness;
  let backend: TestBackend;
  beforeAll(async () => {
    harness = await startHarness({ overrides: { MAESN_SYNC_PAYLOAD_KEYS: written([B, A]) } });
    clear = await startHarness();
    backend = await startTestBackend(harness, { MAESN_SYNC_TEMPORAL_UI_URL: `${UI}/` });
  });
  afterAll(async () => {
    await backend.close();
    await harness.close();
    await clear.close();
  });

  it('reads what Workers write, with an old key too, and writes what they read', async () => {
    const payloads = [await encode('old', [A]), await encode('new', [B]), payloadOf('clear')].map(json);
    const read = await backend.ask('POST', '/codec/decode', { payloads });
    expect(read.headers.get('cache-control')).toBe('no-store');
    expect(answered.parse(read.body).payloads.map(({ data }) => Buffer.from(data, 'base64').toString())).toEqual([
      '"old"',
      '"new"',
      '"clear"',
    ]);
    const [encoded] = answered.parse(
      (await backend.ask('POST', '/codec/encode', { payloads: [json(payloadOf('x'))] })).body,
    ).payloads;
    const bytes = Object.entries(encoded?.metadata ?? {}).map(([name, text]) => [name, Buffer.from(text, 'base64')]);
    const payload = { metadata: Object.fromEntries(bytes), data: Buffer.from(encoded?.data ?? '', 'base64') };
    expect(await decode(payload, [B])).toBe('x');
  });

  it('takes a list that is left out for an empty one, as the CLI sends it', async () => {
    expect(await backend.ask('POST', '/codec/decode', {})).toMatchObject({ status: 200, body: { payloads: [] } });
  });

  it('wants a token', async () => {
    const answer = await backend.ask('POST', '/codec/decode', { payloads: [] }, { authorization: 'Bearer none' });
    expect(answer.status).toBe(401);
  });

  it('lets in the pages of Temporal’s UI, with their sign-in, and those of nobody else', async () => {
    const preflight = (origin: string) =>
      fetch(`${backend.url}/codec/decode`, {
        method: 'OPTIONS',
        headers: {
          origin,
          'access-control-request-method': 'POST',
          'access-control-request-headers': 'content-type,x-namespace',
        },
      });
    const allowed = await preflight(UI);
    expect(allowed.status).toBe(204);
    expect(allowed.headers.get('access-control-allow-origin')).toBe(UI);
    expect(allowed.headers.get('access-control-allow-credentials')).toBe('true');
    expect(allowed.headers.get('access-control-allow-headers')?.toLowerCase()).toContain('x-namespace');
    const cookie = `maesn_sync_session=test-token-0123456789`;
    const asked = await backend.ask(
      'POST',
      '/codec/decode',
      { payloads: [] },
      { origin: UI, cookie, authorization: '' },
    );
    expect(asked.status).toBe(200);
    expect(asked.headers.get('access-control-allow-origin')).toBe(UI);

    expect((await preflight('http://localhost:8233')).status).toBe(204);
    for (const origin of ['http://127.0.0.1:8234', 'https://evil.example', 'null']) {
      const refused = await preflight(origin);
      expect(refused.status).toBe(403);
      expect(refused.headers.get('access-control-allow-origin')).toBeNull();
      const answer = await backend.ask('POST', '/codec/decode', { payloads: [] }, { origin });
      expect(answer).toMatchObject({
        status: 403,
        body: { detail: expect.stringContaining('MAESN_SYNC_TEMPORAL_UI_URL') },
      });
    }
    // No other path is opened by it.
    const other = await backend.ask('POST', '/connections', {}, { origin: UI });
    expect(other.status).toBe(403);
    expect(other.headers.get('access-control-allow-origin')).toBeNull();
  });

  it.each([
    ['no JSON', '{', 'body'],
    ['payloads that are none', { payloads: 'x' }, 'payloads'],
    ['more than 10,000', { payloads: Array.from({ length: 10_001 }, () => ({})) }, 'payloads'],
    ['what is not base64', { payloads: [{ data: '?' }] }, 'payloads.0.data'],
    ['metadata that are none', { payloads: [{ metadata: { encoding: 1 } }] }, 'payloads.0.metadata.encoding'],
  ])('refuses %s, and names the field', async (_what, body, field) => {
    const answer = await backend.ask('POST', '/codec/decode', body);
    expect(answer).toMatchObject({ status: 400, body: { code: 'InvalidInput', errors: [{ field }] } });
  });

  it('names the key that it lacks', async () => {
    const payloads = [json(await encode('x', [key('lost')]))];
    const answer = await backend.ask('POST', '/codec/decode', { payloads });
    expect(answer).toMatchObject({ status: 422, body: { detail: expect.stringContaining('"lost"') } });
  });

  it('takes 8 MiB and no more', async () => {
    const payloads = [{ data: randomBytes(6 * 1024 * 1024).toString('base64') }];
    expect(
      (await backend.ask('POST', '/codec/decode', { payloads: [{ data: payloads[0]?.data.slice(0, 8_000_000) }] }))
        .status,
    ).toBe(200);
    expect((await backend.ask('POST', '/codec/decode', { payloads: [...payloads, ...payloads] })).status).toBe(413);
  });

  it('says so where nothing is encrypted', async () => {
    const other = await startTestBackend(clear);
    const answer = await other.ask('POST', '/codec/decode', { payloads: [] });
    expect(answer).toMatchObject({ status: 409, body: { code: 'NotConfigured' } });
    await other.close();
  });
});
