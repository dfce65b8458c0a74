/** How everything that goes to Temporal is written; the same for clients, Workers, replays and bundles. */
import { fileURLToPath } from 'node:url';
import type { DataConverter } from '@temporalio/common';
import { createPayloadCodec } from './codec.js';
import type { PayloadKey } from './codec.js';

const extension = import.meta.url.endsWith('.ts') ? 'ts' : 'js';

/** A Workflow bundle for encrypted payloads is made with it; the failures of Workflows are made inside the bundle. */
export const FAILURE_CONVERTER_PATH = fileURLToPath(new URL(`./failure-converter.${extension}`, import.meta.url));

/** Without keys: as Temporal does it by itself, in clear. */
export function createDataConverter(keys: readonly PayloadKey[] | undefined): DataConverter {
  if (keys === undefined || keys.length === 0) return {};
  return { payloadCodecs: [createPayloadCodec(keys)], failureConverterPath: FAILURE_CONVERTER_PATH };
}
