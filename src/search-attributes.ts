/** The search attributes of our Workflows: a Temporal server that does not know them takes none of these Workflows. */
import { isGrpcServiceError } from '@temporalio/client';
import type { ConnectionLike } from '@temporalio/client';
import { SEARCH_ATTRIBUTE_NAMES } from './workflows/search-attributes.js';

export type Operated = Pick<ConnectionLike, 'operatorService' | 'withDeadline'>;

/** What to run, where `maesn-sync migrate` has not run, or must not. */
export function howToAddSearchAttributes(namespace: string): string {
  const names = SEARCH_ATTRIBUTE_NAMES;
  const own = names.map((name) => `--name ${name} --type Keyword`).join(' ');
  const cloud = names.map((name) => `--search-attribute "${name}=Keyword"`).join(' ');
  return (
    `Run maesn-sync migrate. Where that may not: temporal operator search-attribute create --namespace ${namespace} ${own}; ` +
    `on Temporal Cloud: tcld namespace search-attributes add --namespace ${namespace} ${cloud}.`
  );
}

export class SearchAttributesError extends Error {
  override readonly name = 'SearchAttributesError';
}

/** `INDEXED_VALUE_TYPE_KEYWORD` of temporal.api.enums.v1 */
const KEYWORD = 2;
/** Of gRPC. */
const ALREADY_EXISTS = 6;
const DEADLINE_MS = 15_000;

/** Types of all that the namespace has, by name; `undefined`: the server does not say. */
async function readTypes(
  connection: Operated,
  namespace: string,
): Promise<Readonly<Record<string, number>> | undefined> {
  try {
    const { customAttributes } = await connection.withDeadline(Date.now() + DEADLINE_MS, () =>
      connection.operatorService.listSearchAttributes({ namespace }),
    );
    return customAttributes ?? {};
  } catch (error) {
    // Not everybody may ask, and not everywhere is there somebody to ask.
    if (isGrpcServiceError(error)) return undefined;
    throw error;
  }
}

/** Those that the server does not have as Keywords; `undefined`: it does not say. */
export async function missingSearchAttributes(
  connection: Operated,
  namespace: string,
): Promise<readonly string[] | undefined> {
  const types = await readTypes(connection, namespace);
  return types && SEARCH_ATTRIBUTE_NAMES.filter((name) => types[name] !== KEYWORD);
}

/** Throws `SearchAttributesError`, which says what to run. */
export async function requireSearchAttributes(connection: Operated, namespace: string): Promise<void> {
  const missing = await missingSearchAttributes(connection, namespace);
  if (missing === undefined || missing.length === 0) return;
  throw new SearchAttributesError(
    `The namespace ${namespace} at Temporal lacks the search attributes ${missing.join(', ')}. ${howToAddSearchAttributes(namespace)}`,
  );
}

/** Adds those that are missing, and answers which: safe to repeat. Throws `SearchAttributesError`. */
export async function addSearchAttributes(connection: Operated, namespace: string): Promise<readonly string[]> {
  const types = (await readTypes(connection, namespace)) ?? {};
  const missing = SEARCH_ATTRIBUTE_NAMES.filter((name) => types[name] !== KEYWORD);
  const others = missing.filter((name) => types[name] !== undefined);
  if (others.length > 0) {
    // A server takes such a request, and does nothing.
    throw new SearchAttributesError(
      `The namespace ${namespace} has ${others.join(', ')} with another type than Keyword: rename or remove them, or use another namespace.`,
    );
  }
  if (missing.length === 0) return [];
  try {
    await connection.withDeadline(Date.now() + DEADLINE_MS, () =>
      connection.operatorService.addSearchAttributes({
        namespace,
        searchAttributes: Object.fromEntries(missing.map((name) => [name, KEYWORD])),
      }),
    );
    return missing;
  } catch (error) {
    if (!isGrpcServiceError(error)) throw error;
    // Somebody else was faster.
    const code: number = error.code;
    if (code === ALREADY_EXISTS && (await missingSearchAttributes(connection, namespace))?.length === 0) return [];
    throw new SearchAttributesError(
      `The search attributes ${missing.join(', ')} could not be added to the namespace ${namespace}: ${error.details}. ${howToAddSearchAttributes(namespace)}`,
      { cause: error },
    );
  }
}
