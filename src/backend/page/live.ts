/** Sends a fragment to everybody who looks at it, whenever it has changed. Rendered once, however many look. */
import type { Context } from 'hono';
import { streamSSE } from 'hono/streaming';

/** How often is looked whether something has changed. */
const LOOK_EVERY_MS = 1_000;
/** A comment now and then tells both ends that the other one is there. */
const ALIVE_EVERY_MS = 15_000;

type Listener = (fragment: string) => void;

interface Watched {
  readonly listeners: Set<Listener>;
  last: string;
  timer: NodeJS.Timeout | undefined;
}

export interface Live {
  stream(c: Context, name: string, render: () => Promise<string>): Response;
  /** Ends all streams. */
  close(): void;
}

export function createLive(): Live {
  const watched = new Map<string, Watched>();
  const closing = new AbortController();

  async function look(of: Watched, render: () => Promise<string>): Promise<void> {
    const fragment = await render().catch(() => undefined);
    if (fragment !== undefined && fragment !== of.last) {
      of.last = fragment;
      for (const listener of of.listeners) listener(fragment);
    }
    of.timer = of.listeners.size === 0 ? undefined : setTimeout(() => void look(of, render), LOOK_EVERY_MS);
  }

  function watch(name: string, render: () => Promise<string>, listener: Listener): () => void {
    const of = watched.get(name) ?? { listeners: new Set<Listener>(), last: '', timer: undefined };
    watched.set(name, of);
    of.listeners.add(listener);
    if (of.last !== '') listener(of.last);
    if (of.listeners.size === 1) void look(of, render);
    return () => {
      of.listeners.delete(listener);
      if (of.listeners.size > 0) return;
      clearTimeout(of.timer);
      watched.delete(name);
    };
  }

  return {
    stream: (c, name, render) =>
      streamSSE(c, async (stream) => {
        const ended = new Promise<void>((resolve) => {
          stream.onAbort(resolve);
          closing.signal.addEventListener('abort', () => resolve(), { once: true });
        });
        const unwatch = watch(name, render, (data) => void stream.writeSSE({ event: 'changed', data }));
        const alive = setInterval(() => void stream.write(': alive\n\n'), ALIVE_EVERY_MS);
        await ended;
        clearInterval(alive);
        unwatch();
      }),
    close: () => closing.abort(),
  };
}
