/**
 * What is deployed, checked without deploying it: the compose file and the Kubernetes manifests against their schemas, and
 * against our own rules. Where there is a kubectl, what kustomize makes of the manifests too.
 */
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { parseAllDocuments } from 'yaml';
import { brokenComposeRules, brokenManifestRules } from './deployment-rules.js';
import { pythonTools } from './python-tools.js';

const CHECK_JSONSCHEMA = '0.39.0';
const KUBERNETES_VALIDATE = '1.37.0';
/** Of Kubernetes: the oldest one that is still maintained, and the newest one that the tool knows. */
const KUBERNETES = ['1.34.0', '1.37.0'];

const root = path.resolve(import.meta.dirname, '..');
const composeFile = path.join(root, 'docker-compose.temporal.yml');
const manifestDir = path.join(root, 'deploy/kubernetes');

const bin = pythonTools(`deploy-${CHECK_JSONSCHEMA}-${KUBERNETES_VALIDATE}`, [
  `check-jsonschema==${CHECK_JSONSCHEMA}`,
  `kubernetes-validate==${KUBERNETES_VALIDATE}`,
]);
const run = (program: string, ...args: readonly string[]) =>
  execFileSync(path.join(bin, program), args, { stdio: 'inherit' });

run('check-jsonschema', '--builtin-schema', 'vendor.compose-spec', composeFile);
const files = readdirSync(manifestDir)
  .filter((name) => name !== 'kustomization.yaml')
  .map((name) => path.join(manifestDir, name));
for (const version of KUBERNETES) run('kubernetes-validate', '--strict', '--no-warn', '-k', version, ...files);

const built = kustomized();
const dir = mkdtempSync(path.join(tmpdir(), 'maesn-sync-manifests-'));
try {
  if (built === undefined) console.log('There is no kubectl: what kustomize makes of the manifests is not checked.');
  else {
    const file = path.join(dir, 'all.yaml');
    writeFileSync(file, built);
    for (const version of KUBERNETES) run('kubernetes-validate', '--strict', '--no-warn', '-k', version, file);
  }
} finally {
  rmSync(dir, { recursive: true, force: true });
}

const manifests = built ?? files.map((file) => withTag(readFileSync(file, 'utf8'))).join('\n---\n');
const broken = [
  ...brokenComposeRules(readFileSync(composeFile, 'utf8')),
  ...brokenManifestRules(parseAllDocuments(manifests).map((document): unknown => document.toJS())),
];
for (const line of broken) console.error(line);
if (broken.length > 0) process.exitCode = 1;
else console.log('The compose file and the manifests are as they must be.');

/** As kustomization.yaml would have it. */
function withTag(text: string): string {
  const [, tag = ''] = /newTag: (\S+)/.exec(readFileSync(path.join(manifestDir, 'kustomization.yaml'), 'utf8')) ?? [];
  return text.replaceAll(/image: maesn-sync$/gm, `image: maesn-sync:${tag}`);
}

function kustomized(): string | undefined {
  try {
    return execFileSync('kubectl', ['kustomize', manifestDir], { encoding: 'utf8' });
  } catch (error) {
    if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return undefined;
    throw error;
  }
}
