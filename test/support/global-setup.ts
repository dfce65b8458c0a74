/** Before all tests: one Temporal dev server, and the Workflow bundle that every Worker of the tests runs. */
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import type { TestProject } from 'vitest/node';
import { startTemporalServer } from '../../src/embedded/temporal-server.js';
import { bundleWorkflows } from '../../src/workflow-bundle.js';
import { TIME_SKIPPING_ARGS } from './skipping-client.js';

declare module 'vitest' {
  export interface ProvidedContext {
    readonly temporalAddress: string;
    readonly workflowBundlePath: string;
    /** Folder into which every Worker of the tests writes its logs. */
    readonly logDir: string;
  }
}

export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  const dir = await mkdtemp(path.join(tmpdir(), 'maesn-sync-test-'));
  const logDir = path.join(dir, 'logs');
  await mkdir(logDir);
  const [server, code] = await Promise.all([
    startTemporalServer({
      dataDir: dir,
      persistent: false,
      ui: false,
      extraArgs: TIME_SKIPPING_ARGS,
      env: process.env,
      onProgress: (line) => console.log(line),
    }),
    bundleWorkflows({ workflowsPath: fileURLToPath(new URL('../../src/workflows/index.ts', import.meta.url)) }),
  ]);
  const workflowBundlePath = path.join(dir, 'workflow-bundle.js');
  await writeFile(workflowBundlePath, code);
  project.provide('temporalAddress', server.address);
  project.provide('workflowBundlePath', workflowBundlePath);
  project.provide('logDir', logDir);
  return async () => {
    await server.stop();
    await rm(dir, { recursive: true, force: true });
  };
}
