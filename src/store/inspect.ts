/** Looks at a store without changing anything of it, not even its tables. */
import { readFile } from 'node:fs/promises';
import { Client } from 'pg';
import { z } from 'zod';
import { MIGRATIONS } from './database.js';
import { createSealing } from './sealing.js';
import type { SealingKeys } from './sealing.js';

export interface StoreInspection {
  /** Migrations that have not been applied; `undefined`: there are no tables at all. */
  readonly missingMigrations: number | undefined;
  readonly keys: number;
  /** Account keys that the sealing key does not open. */
  readonly sealedOtherwise: number;
}

const journal = z.object({ entries: z.array(z.object({ when: z.number() })) });
const applied = z.array(z.object({ created_at: z.coerce.number() }));
const sealed = z.array(z.object({ id: z.string(), account_key: z.string(), key_version: z.number() }));

/** Throws when the database cannot be reached. */
export async function inspectStore(databaseUrl: string, sealingKey: SealingKeys): Promise<StoreInspection> {
  const client = new Client({ connectionString: databaseUrl, connectionTimeoutMillis: 10_000 });
  await client.connect();
  try {
    const { migrationsFolder, migrationsSchema, migrationsTable } = MIGRATIONS;
    const { entries } = journal.parse(JSON.parse(await readFile(`${migrationsFolder}/meta/_journal.json`, 'utf8')));
    const found = await client.query('select to_regclass($1) as there', [`${migrationsSchema}.${migrationsTable}`]);
    const [{ there }] = z.tuple([z.object({ there: z.string().nullable() })]).parse(found.rows);
    if (there === null) return { missingMigrations: undefined, keys: 0, sealedOtherwise: 0 };
    const rows = applied.parse(
      (await client.query(`select created_at from ${migrationsSchema}.${migrationsTable}`)).rows,
    );
    const last = Math.max(0, ...rows.map(({ created_at: createdAt }) => createdAt));
    const missingMigrations = entries.filter(({ when }) => when > last).length;
    const keys = sealed.parse(
      (
        await client.query(
          `select id, account_key, key_version from ${migrationsSchema}.connections where account_key is not null`,
        )
      ).rows,
    );
    const sealing = createSealing(sealingKey);
    const opens = ({ id, account_key: text, key_version: keyVersion }: (typeof keys)[number]) => {
      try {
        sealing.open(text, [id, keyVersion]);
        return true;
      } catch {
        return false;
      }
    };
    return { missingMigrations, keys: keys.length, sealedOtherwise: keys.filter((key) => !opens(key)).length };
  } finally {
    await client.end();
  }
}
