/** The bytes of an answer and its text, whatever was sent. */
import fc from 'fast-check';
import { expect, it } from 'vitest';
import { readBody } from '../src/maesn/body.js';

const BOM = '\uFEFF';
const sent = fc.oneof(
  fc.string({ unit: 'binary' }).map((text) => Buffer.from(text)),
  fc.string({ unit: 'binary-ascii' }).map((text) => Buffer.from(text)),
  fc.string({ unit: 'binary' }).map((text) => Buffer.from(BOM + text)),
  fc.uint8Array().map((bytes) => Buffer.from(bytes)),
);

it('a body is read as every UTF-8 decoder reads it, and its bytes are UTF-8, too', async () => {
  await fc.assert(
    fc.asyncProperty(sent, async (bytes) => {
      const body = await readBody(new Response(bytes), 1_000_000);
      expect(body?.text).toBe(new TextDecoder().decode(bytes));
      expect(new TextDecoder('utf-8', { fatal: true }).decode(body?.bytes)).toBe(body?.text);
    }),
    { numRuns: 500 },
  );
});

it('a body that is longer than it may be is not read to its end', async () => {
  const endless = new ReadableStream<Uint8Array>({ pull: (controller) => controller.enqueue(new Uint8Array(100)) });
  expect(await readBody(new Response(endless), 1_000)).toBeUndefined();
  expect(await readBody(new Response('x'.repeat(1_000)), 1_000)).toMatchObject({ text: 'x'.repeat(1_000) });
});
