import { defineConfig } from 'vitest/config';

export default defineConfig({
  test: {
    // One Temporal server and one Workflow bundle for all files.
    globalSetup: './test/support/global-setup.ts',
    // Real servers on a small machine: generous limits, since no test waits for a time but for a fact.
    testTimeout: 120_000,
    hookTimeout: 120_000,
    teardownTimeout: 60_000,
    projects: [
      {
        extends: true,
        test: { name: 'tests', globalSetup: [], include: ['test/*.test.ts'], sequence: { groupOrder: 0 } },
      },
      // Reads what all the others have left behind.
      {
        extends: true,
        test: { name: 'after', globalSetup: [], include: ['test/after/*.test.ts'], sequence: { groupOrder: 1 } },
      },
    ],
  },
});
