/** How the Workflow code is bundled: by the build, by a Worker that runs from the sources, and by tests. */
import { DefaultLogger, bundleWorkflowCode } from '@temporalio/worker';
import type { BundleOptions, WorkerOptions } from '@temporalio/worker';

/**
 * No module of ours holds anything of one Workflow, so all Workflows of a Worker share them: else each would load them
 * anew, and keep them for as long as it is cached. `workflowsPath`: the module that exports the Workflows.
 */
export function workflowModules(workflowsPath: string): Pick<WorkerOptions, 'workflowsPath' | 'bundlerOptions'> {
  return { workflowsPath, bundlerOptions: { preloadModules: [workflowsPath] } };
}

/** Their code, as a Worker takes it. Throws when they import what Workflows must not. */
export async function bundleWorkflows(options: BundleOptions): Promise<string> {
  const { workflowsPath } = options;
  const { code } = await bundleWorkflowCode({
    logger: new DefaultLogger('WARN'),
    ...workflowModules(workflowsPath).bundlerOptions,
    ...options,
  });
  return code;
}
