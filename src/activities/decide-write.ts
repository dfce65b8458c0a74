/** What people and circumstances decide about a write. */
import type { ResolveWriteInput, WriteRecordInput, WriteStep } from '../workflows/messages.js';
import type { ActivityDependencies } from './dependencies.js';
import { stepOf } from './end-write.js';
import { writeNotUndecided } from './failure.js';

/** Whoever reaches the Temporal server. */
const AT_TEMPORAL = 'somebody at Temporal';

export function createReadWrite(dependencies: ActivityDependencies) {
  /** What is next. */
  return async function readWrite(of: WriteRecordInput): Promise<WriteStep> {
    return stepOf(dependencies, of);
  };
}

export function createResolveWrite({ store }: ActivityDependencies) {
  return async function resolveWrite(input: WriteRecordInput & ResolveWriteInput): Promise<void> {
    const { connectionId, idempotencyKey, decision, sends, by: actor = AT_TEMPORAL } = input;
    if (!(await store.writes.resolve({ connectionId, idempotencyKey, decision, sends, actor })))
      throw writeNotUndecided();
  };
}

export function createGiveUpWrite(dependencies: ActivityDependencies) {
  const { store } = dependencies;
  /** Ends what was never sent; of what may have been applied, a person must say what became of it. */
  return async function giveUpWrite(input: WriteRecordInput & { readonly because: string }): Promise<WriteStep> {
    const { because, ...of } = input;
    const write = await store.writes.find(of);
    if (write?.state === 'waiting') {
      const seen = { states: ['waiting'], sentAt: write.sentAt } as const;
      await store.writes.end({ ...of, outcome: 'cancelled', because, seen });
    }
    // Also one that an attempt has sent just now. What has ended stays as it is.
    await store.writes.move(of, { state: 'undecided', because });
    return stepOf(dependencies, of);
  };
}
