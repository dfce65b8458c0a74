/** A failed statement carries its parameters, which are records and keys: of those only the driver's code may be told. */

/** SQLSTATE (`53300`) or the network's word (`ECONNREFUSED`). */
export function databaseCode(error: unknown): string | undefined {
  if (!(error instanceof Error)) return undefined;
  if ('code' in error && typeof error.code === 'string') return error.code;
  return databaseCode(error.cause);
}

/** Connection exceptions, too many connections, a server that stops, has crashed, or starts; and the network's words. */
const UNREACHABLE_CODE =
  /^(?:08...|53300|57P0[123]|ECONN(?:REFUSED|RESET|ABORTED)|EPIPE|ETIMEDOUT|E(?:HOST|NET)(?:UNREACH|DOWN)|ENOTFOUND|EAI_AGAIN)$/;
/** The driver's own errors have no code. */
const UNREACHABLE_TEXT =
  /^(?:timeout exceeded when trying to connect|Connection terminated|Client has encountered a connection error)/;

/** Whether the database was not reached, or has ended the connection: the same may be asked again. */
export function isUnreachable(error: unknown): boolean {
  if (!(error instanceof Error)) return false;
  const code = databaseCode(error);
  if (code !== undefined) return UNREACHABLE_CODE.test(code);
  return UNREACHABLE_TEXT.test(error.message) || isUnreachable(error.cause);
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
