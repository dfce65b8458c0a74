import { mkdir, mkdtemp, readFile, rm, stat, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { openDataFolder } from '../src/embedded/data-folder.js';

let dir: string;
beforeEach(async () => {
  dir = await mkdtemp(path.join(tmpdir(), 'maesn-sync-embedded-'));
});
afterEach(() => rm(dir, { recursive: true, force: true }));

describe('the data folder', () => {
  it('makes a sealing key once, for its owner alone', async () => {
    const first = await openDataFolder(dir);
    await first.release();
    const second = await openDataFolder(dir);
    await second.release();
    expect(first.sealingKey).toHaveLength(32);
    expect(second.sealingKey).toEqual(first.sealingKey);
    expect((await stat(path.join(dir, 'sealing.key'))).mode & 0o777).toBe(0o600);
    expect(await readFile(path.join(dir, 'sealing.key'), 'utf8')).toBe(`${first.sealingKey.toString('base64')}\n`);
  });

  it('is open to one process at a time', async () => {
    const folder = await openDataFolder(dir);
    await expect(openDataFolder(dir, 0)).rejects.toThrow('MAESN_SYNC_DATA_DIR');
    await folder.release();
  });

  it('that is none is told as such', async () => {
    const file = path.join(dir, 'file');
    await writeFile(file, '');
    await expect(openDataFolder(file, 0)).rejects.toThrow(/cannot be written to .*EEXIST.*MAESN_SYNC_DATA_DIR/);
  });

  it('is taken over from a process that was killed', async () => {
    const lock = path.join(dir, 'lock');
    await mkdir(lock);
    await expect(openDataFolder(dir, 0)).rejects.toThrow('MAESN_SYNC_DATA_DIR');
    const long = new Date(Date.now() - 11_000);
    await utimes(lock, long, long);
    const folder = await openDataFolder(dir, 0);
    await folder.release();
  });
});
