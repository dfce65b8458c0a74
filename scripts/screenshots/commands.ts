/** The commands that the runbook quotes: run as they stand there, one after the other. */
import { execFile } from 'node:child_process';
import { chmod, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { promisify } from 'node:util';
import { findTemporalBinary } from '../../src/embedded/temporal-binary.js';
import type { Service } from '../../src/service.js';

/** Lines that begin with `$ ` in blocks of the kind `console`; a line that ends with a backslash goes on in the next. */
export function quotedCommands(markdown: string): string[] {
  const blocks = [...markdown.matchAll(/^```console\n(.*?)^```/gms)].map(([, text = '']) => text);
  return blocks.flatMap((text) =>
    text
      .replaceAll(/\\\n\s*/g, '')
      .split('\n')
      .flatMap((line) => (line.startsWith('$ ') ? [line.slice(2)] : [])),
  );
}

/** Answers how many failed. Each is run by a shell, with `temporal` and `maesn-sync` in its PATH. */
export async function runCommands(commands: readonly string[], { config, url }: Service): Promise<number> {
  const bin = await mkdtemp(path.join(tmpdir(), 'maesn-sync-bin-'));
  try {
    const cli = path.resolve(import.meta.dirname, '../../src/cli.ts');
    const own = path.join(bin, 'maesn-sync');
    await writeFile(own, `#!/bin/sh\nexec '${process.execPath}' --import tsx '${cli}' "$@"\n`);
    await chmod(own, 0o755);
    const temporal = await findTemporalBinary({ env: process.env, onProgress: () => undefined });
    await symlink(temporal.path, path.join(bin, 'temporal'));
    const env = {
      HOME: process.env['HOME'],
      PATH: `${bin}:${process.env['PATH'] ?? ''}`,
      NO_COLOR: '1',
      MAESN_SYNC_URL: url,
      TEMPORAL_ADDRESS: config.env['TEMPORAL_ADDRESS'],
    };
    let failed = 0;
    for (const command of commands) {
      console.log(`$ ${command}`);
      try {
        const { stdout } = await promisify(execFile)('/bin/sh', ['-c', command], { env, timeout: 60_000 });
        console.log(stdout.trimEnd());
      } catch (error) {
        failed += 1;
        console.error(error instanceof Error ? error.message : error);
      }
    }
    console.log(`${commands.length} commands of the runbook were run, ${failed} of them failed.`);
    return failed;
  } finally {
    await rm(bin, { recursive: true, force: true });
  }
}
