/** The commands, as processes of their own. */
import { spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { text } from 'node:stream/consumers';
import { once } from 'node:events';

const CLI = fileURLToPath(new URL('../../src/cli.ts', import.meta.url));

export interface CliResult {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

export interface RunCliOptions {
  readonly env?: Readonly<Record<string, string>>;
  readonly stdin?: string;
  /** Told of what comes by standard error, as it comes. */
  readonly onStderr?: (text: string) => void;
}

/** Nothing of this machine's own environment decides what a command does. */
export function startCli(args: readonly string[], env: Readonly<Record<string, string>> = {}) {
  return spawn(process.execPath, ['--import', 'tsx', CLI, ...args], {
    env: { PATH: process.env['PATH'], HOME: process.env['HOME'], NO_COLOR: '1', ...env },
    stdio: ['pipe', 'pipe', 'pipe'],
  });
}

export async function runCli(
  args: readonly string[],
  { env = {}, stdin = '', onStderr }: RunCliOptions = {},
): Promise<CliResult> {
  const child = startCli(args, env);
  child.stdin.end(stdin);
  if (onStderr !== undefined) child.stderr.on('data', (chunk: Buffer) => onStderr(chunk.toString('utf8')));
  const [stdout, stderr, [code]] = await Promise.all([text(child.stdout), text(child.stderr), once(child, 'exit')]);
  return { code: typeof code === 'number' ? code : -1, stdout, stderr };
}
