/** Builds dist: the compiled sources, the migrations and assets beside them, and the Workflow bundle that a Worker starts with. */
import { execFileSync } from 'node:child_process';
import { chmod, cp, rm, writeFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { WORKFLOW_INTERCEPTORS } from '../src/tracing/opentelemetry.js';
import { bundleWorkflows } from '../src/workflow-bundle.js';

const file = (path: string) => fileURLToPath(new URL(`../${path}`, import.meta.url));

await rm(file('dist'), { recursive: true, force: true });
execFileSync(process.execPath, [file('node_modules/typescript/bin/tsc'), '-p', file('tsconfig.build.json')], {
  stdio: 'inherit',
});
await cp(file('src/store/migrations'), file('dist/src/store/migrations'), { recursive: true });
await cp(file('src/backend/page/assets'), file('dist/src/backend/page/assets'), { recursive: true });
// The reference page's, of a package that those who install this one do not get.
for (const asset of ['swagger-ui-bundle.js', 'swagger-ui.css']) {
  await cp(file(`node_modules/swagger-ui-dist/${asset}`), file(`dist/src/backend/assets/${asset}`));
}
// The failures of Workflows are made inside the bundle, in clear or for encryption; what traces them is in it, or nothing of it.
const encrypting = { failureConverterPath: file('dist/src/payloads/failure-converter.js') };
const tracing = { workflowInterceptorModules: [WORKFLOW_INTERCEPTORS] };
const bundles = {
  'workflow-bundle.js': {},
  'workflow-bundle-encrypted.js': encrypting,
  'workflow-bundle-traced.js': tracing,
  'workflow-bundle-encrypted-traced.js': { ...encrypting, ...tracing },
};
for (const [name, options] of Object.entries(bundles)) {
  const workflowsPath = file('dist/src/workflows/index.js');
  await writeFile(file(`dist/${name}`), await bundleWorkflows({ workflowsPath, ...options }));
}
await chmod(file('dist/src/cli.js'), 0o755);
console.log('dist is built.');
