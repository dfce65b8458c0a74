/** The backend on a port of its own, beside a harness. */
import { startBackend } from '../../src/backend/index.js';
import type { Backend } from '../../src/backend/index.js';
import { readConfig } from '../../src/config.js';
import type { ReadConfigOptions } from '../../src/config.js';
import { createLogger } from '../../src/logging.js';
import type { Harness } from './harness.js';

export interface TestBackend extends Backend {
  /** Every line that was logged. */
  readonly log: readonly string[];
  /** A request with the token `test`, and what came back. */
  ask(method: string, path: string, content?: unknown, headers?: Record<string, string>): Promise<Answer>;
}

export interface Answer {
  readonly status: number;
  readonly headers: Headers;
  /** Parsed where it is JSON, else text. */
  readonly body: unknown;
}

export const TEST_TOKEN = 'test-token-0123456789';

export async function startTestBackend(
  harness: Harness,
  overrides: ReadConfigOptions['overrides'] = {},
): Promise<TestBackend> {
  const log: string[] = [];
  const config = readConfig({
    env: {},
    overrides: {
      MAESN_API_KEY: harness.sandbox.apiKey,
      MAESN_BASE_URL: harness.sandbox.url,
      MAESN_SYNC_ADDRESS: '127.0.0.1:0',
      MAESN_SYNC_TASK_QUEUE: harness.config.MAESN_SYNC_TASK_QUEUE,
      MAESN_SYNC_TOKENS: `test:${TEST_TOKEN},other:other-token-0123456789`,
      ...overrides,
    },
    sandbox: true,
  });
  const backend = await startBackend({
    config,
    store: harness.store,
    temporal: harness.temporal,
    logger: createLogger({ LOG_LEVEL: 'info' }, { write: (line: string) => void log.push(line) }),
  });
  return {
    ...backend,
    log,
    async ask(method, path, content, headers = {}) {
      const response = await fetch(`${backend.url}${path}`, {
        method,
        redirect: 'manual',
        headers: {
          authorization: `Bearer ${TEST_TOKEN}`,
          ...(content === undefined ? {} : { 'content-type': 'application/json' }),
          ...headers,
        },
        ...(content === undefined ? {} : { body: typeof content === 'string' ? content : JSON.stringify(content) }),
      });
      const text = await response.text();
      const isJson = /\bjson\b/.test(response.headers.get('content-type') ?? '');
      const body: unknown = isJson ? JSON.parse(text) : text;
      return { status: response.status, headers: response.headers, body };
    },
  };
}
