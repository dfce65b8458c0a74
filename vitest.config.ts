import { defineConfig } from 'vitest/config';

// Real servers on a small machine: generous limits, since no test waits for a time but for a fact.
const limits = { testTimeout: 120_000, hookTimeout: 120_000 };

const COUNTING = 'test/metrics.test.ts';

export default defineConfig({
  test: {
    // One Temporal server and one Workflow bundle for all files of all projects.
    globalSetup: './test/support/global-setup.ts',
    teardownTimeout: 60_000,
    // The tests wait for servers more than they work: more files at once than there are cores.
    maxWorkers: 4,
    projects: [
      // Files share their processes, and with them what they have loaded: all but one, which counts what its process has done.
      {
        test: {
          ...limits,
          name: 'tests',
          include: ['test/*.test.ts'],
          exclude: [COUNTING],
          isolate: false,
          sequence: { groupOrder: 0 },
        },
      },
      { test: { ...limits, name: 'counting', include: [COUNTING], sequence: { groupOrder: 0 } } },
      // Reads what all the others have left behind.
      { test: { ...limits, name: 'after', include: ['test/after/*.test.ts'], sequence: { groupOrder: 1 } } },
    ],
  },
});
