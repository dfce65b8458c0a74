import { sql } from 'drizzle-orm';

/** By the database's clock, which all processes share. */
export function fromNow(ms: number) {
  return sql`now() + ${ms / 1_000} * interval '1 second'`;
}
