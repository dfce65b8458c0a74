/** Fetches the Temporal CLI by the download that Temporal's SDK has built in. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { access } from 'node:fs/promises';
import { createRequire } from 'node:module';
import path from 'node:path';
import { text } from 'node:stream/consumers';
import type { FindBinaryOptions } from './temporal-binary.js';
import { TEMPORAL_CLI_VERSION } from './temporal-version.js';

/**
 * The SDK downloads a CLI only to start it as a test server, for which it takes over the process's signals and logs.
 * So it does that in a process of its own, which takes everything that it has started with it when we end.
 */
const DOWNLOADER = `
process.stdin.on('end', () => process.kill(-process.pid, 'SIGKILL')).resume();
const [testing, downloadDir, version] = process.argv.slice(1);
const executable = { type: 'cached-download', downloadDir, version };
require(testing).TestWorkflowEnvironment.createLocal({ server: { executable } })
  .then((server) => server.teardown())
  .then(() => process.exit(0), (error) => { console.error(error.message); process.exit(1); });
`;

/** For 45 MB over a slow line. The SDK itself would wait for ever on a network that swallows its request. */
const DOWNLOAD_LIMIT_MS = 5 * 60_000;

/** Leaves the binary in `dir` and says where. */
export async function downloadWithSdk(dir: string, { env }: Pick<FindBinaryOptions, 'env'>): Promise<string> {
  const testing = createRequire(import.meta.url).resolve('@temporalio/testing');
  const version = `v${TEMPORAL_CLI_VERSION}`;
  const downloader = spawn(process.execPath, ['-e', DOWNLOADER, testing, dir, version], {
    stdio: ['pipe', 'ignore', 'pipe'],
    detached: true,
    env: { ...env, NODE_OPTIONS: undefined },
    timeout: DOWNLOAD_LIMIT_MS,
    killSignal: 'SIGKILL',
  });
  const said = text(downloader.stderr);
  await once(downloader, 'exit');
  endGroup(downloader.pid);

  // Whether the SDK got it to start within its five seconds does not matter: the file does, which it names like this.
  const binary = path.join(dir, `temporal-${version}`);
  const message = (await said).trim().split('\n').at(-1);
  await access(binary).catch(() => {
    throw new Error(message || `it took more than ${DOWNLOAD_LIMIT_MS / 60_000} minutes`);
  });
  return binary;
}

/** Ends whatever the process has left behind. */
function endGroup(pid: number | undefined): void {
  if (pid === undefined) return;
  try {
    process.kill(-pid, 'SIGKILL');
  } catch {
    // Nothing was left.
  }
}
