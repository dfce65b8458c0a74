import type { Resource } from '../src/spec/resources.js';
import type { WriteOperation } from '../src/spec/writes.js';
import type { FaultKind } from './faults.js';

/** One request to the API. Holds no key. */
export interface LoggedRequest {
  /** ISO 8601. */
  readonly time: string;
  /** The account whose key it carried, also where that key is no longer good. */
  readonly account?: string;
  readonly method: string;
  /** Without query. */
  readonly path: string;
  readonly resource?: Resource;
  readonly operation?: WriteOperation;
  readonly taskId?: string;
  /** As the request wrote it, like all parameters here. */
  readonly page?: string;
  readonly limit?: string;
  readonly lastModifiedAt?: string;
  readonly companyId?: string;
  readonly environmentName?: string;
  /** `null`: not answered, or not yet. */
  readonly status: number | null;
  readonly fault?: FaultKind;
  /** Requests of the account that were under way when it came, itself included, and its tasks that were running. */
  readonly running?: number;
}

/** An entry while its request is under way. */
export type OpenEntry = { -readonly [Field in keyof LoggedRequest]: LoggedRequest[Field] };

/** Only these parameters: a callback URL can carry anything. */
const LOGGED_PARAMETERS = ['page', 'limit', 'lastModifiedAt', 'companyId', 'environmentName'] as const;

export function toEntry(method: string, url: URL, time: Date): OpenEntry {
  const entry: OpenEntry = { time: time.toISOString(), method, path: url.pathname, status: null };
  for (const name of LOGGED_PARAMETERS) {
    const value = url.searchParams.get(name);
    if (value !== null) entry[name] = value;
  }
  return entry;
}
