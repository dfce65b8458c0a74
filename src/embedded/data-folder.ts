/** The folder in which one machine keeps everything: PGlite, the Temporal server's database, the sealing key. */
import { randomBytes } from 'node:crypto';
import { access, constants, mkdir, readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { lock } from 'proper-lockfile';

export interface DataFolder {
  readonly dir: string;
  readonly pgliteDir: string;
  readonly sealingKey: Buffer;
  release(): Promise<void>;
}

/** A process that was killed leaves its lock behind; after this time without a sign of life it counts for nothing. */
const STALE_LOCK_MS = 10_000;

/** Long enough to outlast the lock of a process that was killed a moment ago. */
const WAIT_FOR_LOCK_S = 15;

/** Opens the folder for this process alone: PGlite's files do not stand two. */
export async function openDataFolder(dir: string, waitForLockS = WAIT_FOR_LOCK_S): Promise<DataFolder> {
  const another = 'set MAESN_SYNC_DATA_DIR to another folder';
  try {
    await mkdir(dir, { recursive: true, mode: 0o700 });
    await access(dir, constants.W_OK);
  } catch (error) {
    throw new Error(`${dir} cannot be written to (${String(error)}); ${another}`, { cause: error });
  }
  const release = await lock(dir, {
    lockfilePath: path.join(dir, 'lock'),
    stale: STALE_LOCK_MS,
    update: STALE_LOCK_MS / 5,
    retries: { retries: waitForLockS, factor: 1, minTimeout: 1_000 },
    // A laptop that slept or an event loop that stalled missed its update; that is not a second process.
    onCompromised: () => undefined,
  }).catch((error: unknown) => {
    throw new Error(`${dir} is in use by another maesn-sync; stop it, or ${another}`, { cause: error });
  });
  return {
    dir,
    pgliteDir: path.join(dir, 'pglite'),
    sealingKey: await readSealingKey(path.join(dir, 'sealing.key')),
    release: () => release(),
  };
}

async function readSealingKey(file: string): Promise<Buffer> {
  // 'wx': made once and never overwritten, for without it no stored account key can be opened again.
  await writeFile(file, `${randomBytes(32).toString('base64')}\n`, { flag: 'wx', mode: 0o600 }).catch(
    (error: unknown) => {
      if (!(error instanceof Error && 'code' in error && error.code === 'EEXIST')) throw error;
    },
  );
  return Buffer.from(await readFile(file, 'utf8'), 'base64');
}
