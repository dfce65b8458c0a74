/** A failed statement carries its parameters, which are records and keys: of those only the driver's code may be told. */

/** SQLSTATE (`53300`) or the network's word (`ECONNREFUSED`). */
export function databaseCode(error: unknown): string | undefined {
  if (!(error instanceof Error)) return undefined;
  if ('code' in error && typeof error.code === 'string') return error.code;
  return databaseCode(error.cause);
}

/** What may be said of an error in a history or a log, if it is, or was caused by, a failed statement. */
export function statementFailure(error: unknown): string | undefined {
  // The driver's own errors say in their other properties which row it was.
  const isStatement = isOfQuery(error) || (error instanceof Error && 'severity' in error);
  return isStatement ? storeFailure(databaseCode(error)) : undefined;
}

export function storeFailure(code: string | undefined): string {
  return code === undefined ? 'The store failed' : `The store failed with ${code}`;
}

/** By what the query builder puts into it. */
function isOfQuery(error: unknown): boolean {
  return error instanceof Error && ('query' in error || isOfQuery(error.cause));
}
