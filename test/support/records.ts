import { expect } from 'vitest';
import type { SandboxAccount } from '../../sandbox/index.js';
import type { Resource } from '../../src/spec/resources.js';
import type { Store } from '../../src/store/index.js';

/** The store holds exactly what the account holds: nothing lost, nothing doubled, nothing changed. */
export async function expectSameRecords(
  store: Store,
  connectionId: string,
  account: SandboxAccount,
  resources: readonly Resource[],
): Promise<void> {
  for (const resource of resources) {
    const stored = await store.records.list({ connectionId, resource, limit: 1_000_000 });
    const inStore = stored.map(({ record }) => JSON.stringify(sorted(record))).toSorted();
    const inAccount = account
      .records(resource)
      .map((record) => JSON.stringify(sorted(record)))
      .toSorted();
    expect(inStore.length, resource).toBe(inAccount.length);
    expect(inStore, resource).toEqual(inAccount);
  }
}

/** jsonb does not keep the order of an object's fields. */
function sorted(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(sorted);
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(
    Object.entries(value)
      .toSorted(([a], [b]) => (a < b ? -1 : 1))
      .map(([name, inner]) => [name, sorted(inner)]),
  );
}
