import { defineConfig } from 'vitest/config';

export default defineConfig({
  test: {
    // One Temporal server and one Workflow bundle for all files.
    globalSetup: './test/support/global-setup.ts',
    include: ['test/**/*.test.ts'],
    // Real servers on a small machine: generous limits, since no test waits for a time but for a fact.
    testTimeout: 120_000,
    hookTimeout: 120_000,
    teardownTimeout: 60_000,
    sequence: { groupOrder: 0 },
    reporters: ['default'],
  },
});
