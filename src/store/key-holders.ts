/**
 * Which sealing keys the other processes have, by the names of their connections to this Postgres. One that is just being restarted is
 * not seen, nor is one behind a pooler that does not pass names on.
 */
import { sql } from 'drizzle-orm';
import { z } from 'zod';
import { connectionsOf } from './database.js';
import type { Database } from './database.js';

const named = z.object({ rows: z.array(z.object({ name: z.string(), count: z.number() })) });

export interface KeyHolders {
  /** How many connections are of processes that do not have this key: what is sealed with it, they could not open. */
  readonly without: number;
  /** How many are of processes that seal with another key. */
  readonly sealingOtherwise: number;
}

export async function readKeyHolders(db: Database, keyId: string): Promise<KeyHolders> {
  const found = await db.execute(sql`
    select application_name as name, count(*)::int as count from ${connectionsOf()} group by 1`);
  const holders = named.parse(found).rows.map(({ name, count }) => ({ keyIds: name.split(' ').slice(1), count }));
  const sum = (counted: typeof holders) => counted.reduce((total, { count }) => total + count, 0);
  return {
    without: sum(holders.filter(({ keyIds }) => !keyIds.includes(keyId))),
    sealingOtherwise: sum(holders.filter(({ keyIds }) => keyIds[0] !== keyId)),
  };
}
