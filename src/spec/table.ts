/** The keys of a table whose rows are all known, typed as such. */
export function keysOf<Table extends object>(table: Table): (keyof Table & string)[] {
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- Object.keys forgets what a const table knows
  return Object.keys(table) as (keyof Table & string)[];
}
