/** Seals the store anew with the first key of MAESN_SYNC_SEALING_KEY, while everything runs on. */
import { requireVariables } from '../config.js';
import { openPostgres } from '../store/database.js';
import type { Database } from '../store/database.js';
import { readKeyHolders } from '../store/key-holders.js';
import { createResealing } from '../store/reseal.js';
import type { SealedCount } from '../store/reseal.js';
import { createSealing } from '../store/sealing.js';
import type { Sealing } from '../store/sealing.js';
import { CommandError, command, say } from './process.js';

/** Each look takes what others have sealed with an old key during the one before. */
const MAX_LOOKS = 5;

export const rotateSealingKey = command({
  name: 'rotate-sealing-key',
  description:
    'Seal everything in the store with the first key of MAESN_SYNC_SEALING_KEY, while Workers and the backend run on. Can be ended and run again at any time',
  args: { 'dry-run': { type: 'boolean', description: 'Only say what is sealed with which key' } },
  run: async ({ args, config: given }) => {
    const config = requireVariables(given, 'DATABASE_URL', 'MAESN_SYNC_SEALING_KEY');
    const sealing = createSealing(config.MAESN_SYNC_SEALING_KEY);
    const { db, close } = await openPostgres(config.DATABASE_URL, sealing.keyIds);
    try {
      await rotate(db, sealing, { dryRun: args['dry-run'] === true, onLine: say });
    } finally {
      await close();
    }
  },
});

export interface RotateOptions {
  readonly dryRun?: boolean;
  readonly onLine: (line: string) => void;
}

/** Throws a `CommandError` that says what to do. */
export async function rotate(db: Database, sealing: Sealing, { dryRun = false, onLine }: RotateOptions): Promise<void> {
  const [newest = '', ...older] = sealing.keyIds;
  const resealing = createResealing(db, sealing);
  const counts = await resealing.count();
  onLine(`Keys: ${newest} (new)${older.map((id) => `, ${id}`).join('')}`);
  for (const { where, keyId, count } of counts) onLine(`${where}: ${count} sealed with ${keyId}`);
  refuseUnknown(counts, sealing.keyIds);
  if (dryRun) return;

  const { without } = await readKeyHolders(db, newest);
  if (without > 0) {
    throw new CommandError(
      `${without} connections to this database are of processes that do not have the key ${newest}: they could not open what is sealed with it. ` +
        'Nothing was changed. Restart every Worker, backend and application with both keys first.',
      1,
    );
  }
  for (let look = 1; ; look += 1) {
    const { resealed, unopenable } = await resealing.reseal(({ where, resealed: done }) =>
      onLine(`${where}: ${done} sealed anew`),
    );
    if (unopenable.length > 0) {
      const rows = unopenable.slice(0, 20).map(({ where, key }) => `\n  ${where} of ${key}`);
      throw new CommandError(
        `${unopenable.length} do not open with their key: they were changed outside of maesn-sync. They were left as they are; all others are sealed with ${newest}.${rows.join('')}`,
        1,
      );
    }
    if ((await resealing.count()).every(({ keyId }) => keyId === newest)) break;
    if (look === MAX_LOOKS) {
      throw new CommandError(
        `Something seals with an old key all the time (${resealed} in the last look): restart every process with ${newest} as the first key, then run this again.`,
        1,
      );
    }
  }
  const { sealingOtherwise } = await readKeyHolders(db, newest);
  onLine(`Everything is sealed with ${newest}.`);
  if (older.length === 0) return;
  onLine(
    sealingOtherwise > 0
      ? `Keep the older keys: ${sealingOtherwise} connections are of processes that still seal with one of them. Restart those with ${newest} first, then run this again.`
      : `The older keys may be dropped from MAESN_SYNC_SEALING_KEY once every process has been started with ${newest} first. No connection of another one is seen now.`,
  );
}

/** Before anything is changed: a ring that lacks a key is a wrong ring. */
function refuseUnknown(counts: readonly SealedCount[], keyIds: readonly string[]): void {
  const unknown = counts.filter(({ keyId }) => !keyIds.includes(keyId));
  if (unknown.length === 0) return;
  const lines = unknown.map(({ where, keyId, count }) => `\n  ${where}: ${count} with ${keyId}`);
  throw new CommandError(
    `Some of it is sealed with a key that is not in MAESN_SYNC_SEALING_KEY (${keyIds.join(', ')}):${lines.join('')}\nNothing was changed. Set MAESN_SYNC_SEALING_KEY to the new key and, after a comma, the key that the store is sealed with.`,
    2,
  );
}
