/** Whether the store has become what the sandbox holds. */
import { isDeepStrictEqual } from 'node:util';
import type { SandboxAccount } from '../sandbox/index.js';
import type { Resource } from '../src/client.js';
import { resourceRow } from '../src/spec/resources.js';
import type { Store } from '../src/store/index.js';

/** Where one connection's records differ from those of its account; empty: nowhere. */
export async function differences(
  store: Store,
  { connectionId, account }: { readonly connectionId: string; readonly account: SandboxAccount },
  resources: readonly Resource[],
): Promise<string[]> {
  const wrong: string[] = [];
  for (const resource of resources) {
    const stored = await store.records.list({ connectionId, resource, limit: 1_000_000 });
    const here = new Map(stored.map(({ key, record }) => [key, record]));
    const there = new Map(account.records(resource).map((record) => toEntry(resource, record)));
    const missing = [...there.keys()].filter((key) => !here.has(key));
    const more = [...here.keys()].filter((key) => !there.has(key));
    const other = [...there.keys()].filter((key) => here.has(key) && !isDeepStrictEqual(here.get(key), there.get(key)));
    for (const [what, keys] of Object.entries({
      'not in the store': missing,
      'in the store alone': more,
      different: other,
    })) {
      if (keys.length > 0) wrong.push(`${connectionId}, ${resource}: ${keys.length} ${what}, such as ${keys[0]}`);
    }
  }
  return wrong;
}

/** Through JSON: as Maesn sends them. */
function toEntry(resource: Resource, record: unknown): [string, unknown] {
  const sent: unknown = JSON.parse(JSON.stringify(record));
  return [keyOf(resource, sent), sent];
}

/** By what the store knows a record. */
export function keyOf(resource: Resource, record: unknown): string {
  const field = resourceRow(resource).key ?? 'id';
  const key: unknown = typeof record === 'object' && record !== null ? Reflect.get(record, field) : undefined;
  if (typeof key !== 'string') throw new TypeError(`a record of ${resource} has no ${field}`);
  return key;
}
