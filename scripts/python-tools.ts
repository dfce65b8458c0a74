/** Tools of the Python package index, in a virtual environment of their own, made once. */
import { execFileSync } from 'node:child_process';
import { existsSync, rmSync, writeFileSync } from 'node:fs';
import { homedir } from 'node:os';
import path from 'node:path';

/** Answers the folder of their programs. `packages`: each with its version. */
export function pythonTools(name: string, packages: readonly string[]): string {
  const cache = process.env['XDG_CACHE_HOME'] ?? path.join(homedir(), '.cache');
  const venv = path.join(cache, 'maesn-sync', name);
  // Written last: a virtual environment that was left half made is made anew.
  const made = path.join(venv, '.made');
  if (!existsSync(made)) {
    console.log(`Fetching ${packages.join(', ')} with pip, once`);
    rmSync(venv, { recursive: true, force: true });
    execFileSync('python3', ['-m', 'venv', venv], { stdio: 'inherit' });
    execFileSync(path.join(venv, 'bin/pip'), ['install', '--quiet', ...packages], { stdio: 'inherit' });
    writeFileSync(made, '');
  }
  return path.join(venv, 'bin');
}
