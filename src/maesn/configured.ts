import type { ConfigWith } from '../config.js';
import { createMaesnClient } from './client.js';
import type { MaesnClient } from './client.js';

export function createConfiguredMaesnClient(config: ConfigWith<'MAESN_API_KEY'>): MaesnClient {
  return createMaesnClient({
    baseUrl: config.MAESN_BASE_URL,
    apiKey: config.MAESN_API_KEY,
    timeoutMs: config.MAESN_TIMEOUT,
    maxResponseBytes: config.MAESN_MAX_RESPONSE_BYTES,
    probePath: config.MAESN_PROBE_PATH,
  });
}
