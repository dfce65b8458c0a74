import { onTestFinished, vi } from 'vitest';
import type { Store } from '../../src/store/index.js';

/**
 * Does something at the end of the first so many cycles that are completed: within the Activity that tells the application, when
 * the run has only to continue as new. Until the test has finished.
 */
export function atCycleEnds({ events }: Store, cycles: number, act: () => Promise<unknown>): void {
  const add = events.add.bind(events);
  const ended = new Set<string>();
  const telling = vi.spyOn(events, 'add').mockImplementation(async (event) => {
    await add(event);
    // It is told again when the Workflow Task is done again.
    if (event.type !== 'sync.completed' || ended.size === cycles || ended.has(event.occasion)) return;
    ended.add(event.occasion);
    await act();
  });
  onTestFinished(() => telling.mockRestore());
}
