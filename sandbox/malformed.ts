/** Records as no schema allows them, which real systems list all the same. */
import { resourceRow } from '../src/spec/resources.js';
import type { Collection } from '../src/spec/resources.js';
import type { MaesnFields } from './records/context.js';

/** A generated record that the list shows broken. */
export interface MalformedRule {
  readonly resource: Collection;
  /** Which of the generated records, from 0. */
  readonly index: number;
  readonly as: 'noKey' | 'notAnObject' | 'badDate';
}

export function assertPossible({ resource, index, as }: MalformedRule, generated: number): void {
  const { key, modified } = resourceRow(resource);
  if (!Number.isInteger(index) || index < 0 || index >= generated) {
    throw new RangeError(`malformed.index: ${resource} has no generated record ${index}`);
  }
  if (as === 'noKey' && key === null) throw new RangeError(`malformed.as: records of ${resource} have no key`);
  if (as === 'badDate' && modified === null) throw new RangeError(`malformed.as: records of ${resource} have no date`);
}

export function malform(resource: Collection, fields: MaesnFields, as: MalformedRule['as']): unknown {
  const { key, modified } = resourceRow(resource);
  if (as === 'notAnObject') return `${resource} record`;
  return as === 'noKey' ? { ...fields, [String(key)]: null } : { ...fields, [String(modified)]: 'gestern' };
}
