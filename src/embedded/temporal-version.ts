import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import type { Environment } from '../config.js';

/** The Temporal CLI that is fetched where there is none. */
export const TEMPORAL_CLI_VERSION = '1.9.1';

/** `[1, 9, 1]`. Rejects when the file is no Temporal CLI that runs on this machine. */
export async function versionOf(binary: string, env: Environment): Promise<readonly [number, number, number]> {
  const { stdout } = await promisify(execFile)(binary, ['--version'], { timeout: 30_000, env: { ...env } });
  const [, major, minor, patch] = /version (\d+)\.(\d+)\.(\d+)/.exec(stdout) ?? [];
  if (major === undefined) throw new Error(`${binary} --version says "${stdout.trim().slice(0, 80)}"`);
  return [Number(major), Number(minor), Number(patch)];
}
