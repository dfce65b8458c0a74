/** What belongs to single records: the lines of a document are in the document too, the values of a dimension are not. */
import type { ChildResource } from '../../src/spec/resources.js';
import { BASE_DATE_MS } from './base-date.js';
import type { MaesnFields } from './context.js';

/** Every second dimension has more values than a page holds. */
const VALUES = [3, 120, 1, 250] as const;

export function childrenOf(resource: ChildResource, parent: MaesnFields, n: number): readonly unknown[] {
  if (resource === 'dimensionValuesV2') {
    return Array.from({ length: VALUES[n % VALUES.length] ?? 0 }, (_, index) => toDimensionValue(parent, index));
  }
  const { lineItems } = parent;
  return Array.isArray(lineItems) ? lineItems : [];
}

function toDimensionValue({ dimension }: MaesnFields, index: number): MaesnFields {
  const code = String(1_000 + index);
  const date = new Date(BASE_DATE_MS - 1).toISOString();
  return {
    id: `${String(dimension)}-${code}`,
    code,
    createdDate: date,
    description: null,
    dimension,
    name: `Kostenstelle ${code}`,
    status: 'ACTIVE',
    updatedDate: date,
  };
}
