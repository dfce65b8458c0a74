import { PassThrough } from 'node:stream';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { createLogger } from '../src/logging.js';
import type { Store } from '../src/store/index.js';
import { openTestStore } from './support/store.js';

let store: Store;
beforeAll(async () => {
  ({ store } = await openTestStore());
});
afterAll(() => store.close());

/** What is written of it. */
function logged(about: object): string {
  const to = new PassThrough();
  createLogger({ LOG_LEVEL: 'info' }, to).error(about, 'A request failed');
  return String(to.read());
}

it('a failed statement is logged with its code, and with nothing of what it was about', async () => {
  const of = { connectionId: 'a-secret-of-somebody', resource: 'items' as const };
  const error: unknown = await store.capabilities.offered({ ...of, keyVersion: 1 }).catch((failed: unknown) => failed);
  expect(String(error)).toContain('a-secret-of-somebody');
  for (const given of [error, new Error('outer', { cause: error })]) {
    const line = logged({ error: given });
    expect(line).not.toContain('a-secret-of-somebody');
    expect(line).not.toContain('insert into');
    expect(JSON.parse(line)).toMatchObject({ error: { message: 'The store failed with 23503' } });
    expect(line).toContain('    at ');
  }
});

it('any other error is logged as it is', () => {
  const line = logged({ error: new Error('it burns') });
  expect(JSON.parse(line)).toMatchObject({ error: { type: 'Error', message: 'it burns' }, msg: 'A request failed' });
});
