/**
 * Seals what is stored with the first key of the ring, row by row, while others read and write. How far it is, the rows themselves
 * say: each names the key that it was sealed with. So it can be ended at any moment, run again, and run twice at once.
 */
import { sql } from 'drizzle-orm';
import type { SQL } from 'drizzle-orm';
import { z } from 'zod';
import type { Database } from './database.js';
import { SEALED_COLUMNS } from './sealed-columns.js';
import type { SealedColumn } from './sealed-columns.js';
import { SealingError } from './sealing.js';
import type { Sealing } from './sealing.js';

/** How much of a column is sealed with a key. */
export interface SealedCount {
  /** `connections.account_key` */
  readonly where: string;
  readonly keyId: string;
  readonly count: number;
}

export interface ResealProgress {
  readonly where: string;
  /** In this column, so far. */
  readonly resealed: number;
}

export interface Resealed {
  readonly resealed: number;
  /** What no key opens although its key is there: it was changed outside of maesn-sync, and was left as it is. */
  readonly unopenable: readonly { readonly where: string; readonly key: string }[];
}

export interface Resealing {
  count(): Promise<SealedCount[]>;
  /** Goes through everything once. What others seal with an old key meanwhile may be left for the next time. */
  reseal(onProgress: (progress: ResealProgress) => void): Promise<Resealed>;
}

const BATCH = 200;
/** Contents of writes are up to 33 MiB each. */
const AT_ONCE = 4;

const rowsOf = <Row extends z.ZodType>(row: Row) => z.object({ rows: z.array(row) });
const counted = rowsOf(z.object({ key_id: z.string(), count: z.number() }));
const keyed = rowsOf(z.object({ key: z.string() }));
const sealedRow = rowsOf(z.looseObject({ sealed: z.string().nullable() }));
const about = z.record(z.string(), z.union([z.string(), z.number()]));

/** The key that a sealed text names: `v1.<8 characters>.` */
const keyIdOf = ({ column }: SealedColumn): SQL => sql`substr(${sql.identifier(column)}, 4, 8)`;
const tableOf = ({ table }: SealedColumn): SQL => sql`${sql.identifier('maesn_sync')}.${sql.identifier(table)}`;

export function createResealing(db: Database, sealing: Sealing): Resealing {
  const [newest = ''] = sealing.keyIds;

  async function readOld(of: SealedColumn, after: string | undefined): Promise<string[]> {
    const key = sql.identifier(of.key);
    const found = await db.execute(sql`
      select ${key}::text as key from ${tableOf(of)}
       where ${sql.identifier(of.column)} is not null and ${keyIdOf(of)} <> ${newest}
         and ${after === undefined ? sql`true` : sql`${key} > ${after}`}
       order by ${key} limit ${BATCH}`);
    return keyed.parse(found).rows.map((row) => row.key);
  }

  /** `false`: somebody else has changed the row meanwhile, and it is theirs. */
  async function resealRow(of: SealedColumn, key: string): Promise<boolean> {
    const column = sql.identifier(of.column);
    const at = sql`${sql.identifier(of.key)} = ${key}`;
    const columns = sql.join(
      of.about.map((name) => sql.identifier(name)),
      sql`, `,
    );
    const found = await db.execute(sql`select ${column} as sealed, ${columns} from ${tableOf(of)} where ${at}`);
    const [row] = sealedRow.parse(found).rows;
    if (row === undefined || row.sealed === null) return false;
    const { sealed, ...others } = row;
    const context = of.context(about.parse(others));
    const anew = sealing.seal(sealing.open(sealed, context), context);
    // One row a statement, and only as it was read: nobody waits for a lock of ours, and nothing newer is lost.
    const updated = await db.execute(sql`
      update ${tableOf(of)} set ${column} = ${anew} where ${at} and ${column} = ${sealed}
      returning ${sql.identifier(of.key)}::text as key`);
    return keyed.parse(updated).rows.length > 0;
  }

  async function* batchesOf(of: SealedColumn): AsyncGenerator<string[]> {
    for (let after: string | undefined; ;) {
      const keys = await readOld(of, after);
      if (keys.length === 0) return;
      yield keys;
      after = keys.at(-1);
    }
  }

  return {
    async count() {
      const counts = await Promise.all(
        SEALED_COLUMNS.map(async (of) => {
          const found = await db.execute(sql`
            select ${keyIdOf(of)} as key_id, count(*)::int as count from ${tableOf(of)}
             where ${sql.identifier(of.column)} is not null group by 1 order by 1`);
          return counted.parse(found).rows.map(({ key_id: keyId, count }) => ({ where: nameOf(of), keyId, count }));
        }),
      );
      return counts.flat();
    },

    async reseal(onProgress) {
      const unopenable: { where: string; key: string }[] = [];
      let total = 0;
      for (const of of SEALED_COLUMNS) {
        let resealed = 0;
        for await (const keys of batchesOf(of)) {
          await forEachAtOnce(keys, async (key) => {
            try {
              if (await resealRow(of, key)) resealed += 1;
            } catch (error) {
              if (!(error instanceof SealingError)) throw error;
              unopenable.push({ where: nameOf(of), key });
            }
          });
          onProgress({ where: nameOf(of), resealed });
        }
        total += resealed;
      }
      return { resealed: total, unopenable };
    },
  };
}

function nameOf({ table, column }: SealedColumn): string {
  return `${table}.${column}`;
}

async function forEachAtOnce<Item>(items: readonly Item[], act: (item: Item) => Promise<void>): Promise<void> {
  const left = items.values();
  await Promise.all(
    Array.from({ length: AT_ONCE }, async () => {
      for (const item of left) await act(item);
    }),
  );
}
