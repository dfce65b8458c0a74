import { readFileSync, readdirSync } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { DefaultLogger } from '@temporalio/worker';
import { expect, inject, it } from 'vitest';
import { bundleWorkflows } from '../src/workflow-bundle.js';

/** The modules in a Workflow bundle, as webpack names them. */
function modules(): string[] {
  const bundle = readFileSync(inject('workflowBundlePath'), 'utf8');
  return [...bundle.matchAll(/^\/\*\*\*\/ "\.\/([^"]+)"/gm)].map(([, file = '']) => file);
}

it('the Workflow bundle holds the Workflows and the tables, and nothing else of ours', () => {
  const ours = modules().filter((file) => !file.startsWith('node_modules/'));
  expect(ours).toContain('src/workflows/sync-connection.ts');
  expect(ours.filter((file) => !/^src\/(?:workflows|spec)\//.test(file))).toEqual([]);
});

it('the Workflow bundle has no library but Temporal’s and what that needs', () => {
  const libraries = modules().map((file) => /^node_modules\/((?:@[\w-]+\/)?[\w-]+)\//.exec(file)?.[1]);
  const others = [...new Set(libraries)].filter((name) => name !== undefined && !name.startsWith('@temporalio/'));
  expect(new Set(others)).toEqual(new Set(['long', 'ms', 'nexus-rpc']));
});

it('all Workflows share its modules, which therefore hold nothing that changes', () => {
  const bundle = readFileSync(inject('workflowBundlePath'), 'utf8');
  expect(bundle).toMatch(/preloadModules\(\) \{\s*__webpack_require__\([^)]*"\.\/src\/workflows\/index\.ts"\)/);
  const ofWorkflows = ['workflows', 'spec'].flatMap((dir) => {
    const files = readdirSync(path.join(import.meta.dirname, '../src', dir));
    return files.map((file) => path.join(import.meta.dirname, '../src', dir, file));
  });
  const changeable =
    /^(?:export )?(?:let|var) |^(?:export )?const \w+(?:: (?!Readonly)[^=]*)? = (?:new (?:Map|Set|Weak\w+)|\[\]|\{\})/m;
  expect(ofWorkflows.filter((file) => changeable.test(readFileSync(file, 'utf8')))).toEqual([]);
});

it('a Workflow that imports an Activity’s code is refused', async () => {
  const dir = await mkdtemp(path.join(import.meta.dirname, 'bundle-'));
  try {
    const workflowsPath = path.join(dir, 'workflows.ts');
    await writeFile(workflowsPath, "export { createPullResource } from '../../src/activities/pull-resource.js';\n");
    await expect(
      bundleWorkflows({ workflowsPath, logger: new DefaultLogger('ERROR', () => undefined) }),
    ).rejects.toThrow('Webpack finished with errors');
  } finally {
    await rm(dir, { recursive: true });
  }
});
