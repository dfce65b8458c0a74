/** What the process of a variant is given, and what it must be able to do. */
import { z } from 'zod';

export const variantTask = z.object({
  /** Its module. */
  module: z.string(),
  /** How many pages of a connection it asks for at once. */
  pagesAtOnce: z.number(),
  pageSourceUrl: z.string(),
  databaseUrl: z.string(),
  /** Where a variant keeps what is its own, such as the state of its runs. */
  systemDatabaseUrl: z.string(),
  temporalAddress: z.string(),
  redisUrl: z.string(),
  /** Task queue, queue, or name of the application. */
  name: z.string(),
  /** Workflow code bundled beforehand, by the name of its variant. */
  workflowBundles: z.record(z.string(), z.string()),
  connections: z.array(z.string()),
});

export type VariantTask = z.infer<typeof variantTask>;

export interface OpenVariant {
  /**
   * Pulls all connections to their end; those whose pull is under way, because a process before this one was killed, it takes
   * up. `incremental`: only what has changed since.
   */
  pull(incremental: boolean): Promise<void>;
  close(): Promise<void>;
}

/** Connections that are pulled at once, where there are many: what maesn-sync does by default. */
export const CONNECTIONS_AT_ONCE = 100;

/** What the module of a variant exports. */
export const variantModule = z.object({
  open: z.custom<(task: VariantTask) => Promise<OpenVariant>>((value) => typeof value === 'function'),
});
