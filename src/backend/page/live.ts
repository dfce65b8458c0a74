/** Sends a fragment to everybody who looks at it, whenever it has changed. Rendered once, however many look. */
import type { Context } from 'hono';
import { streamSSE } from 'hono/streaming';

/** How often is looked whether something has changed. */
const LOOK_EVERY_MS = 1_000;
/** A sign of life that scripts can see: a line that is dead looks like one on which nothing happens. */
const ALIVE_EVERY_MS = 15_000;

/** `stale`: what is shown cannot be had anew at the moment. */
interface Message {
  readonly event: 'changed' | 'stale' | 'alive';
  readonly data: string;
}

type Listener = (message: Message) => void;

interface Watched {
  readonly listeners: Set<Listener>;
  last: Message | undefined;
  timer: NodeJS.Timeout | undefined;
}

export interface Live {
  stream(c: Context, name: string, render: () => Promise<string>): Response;
  /** Ends all streams. */
  close(): void;
}

export function createLive(): Live {
  const watched = new Map<string, Watched>();
  const ends = new Set<() => void>();

  async function look(of: Watched, render: () => Promise<string>): Promise<void> {
    const message: Message = await render().then(
      (data) => ({ event: 'changed', data }),
      () => ({ event: 'stale', data: '' }),
    );
    if (isNews(message, of.last)) {
      of.last = message;
      for (const listener of of.listeners) listener(message);
    }
    of.timer = of.listeners.size === 0 ? undefined : setTimeout(() => void look(of, render), LOOK_EVERY_MS);
  }

  function watch(name: string, render: () => Promise<string>, listener: Listener): () => void {
    const of = watched.get(name) ?? { listeners: new Set<Listener>(), last: undefined, timer: undefined };
    watched.set(name, of);
    of.listeners.add(listener);
    if (of.last !== undefined) listener(of.last);
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
        let waiting: Message | undefined;
        let writing = false;
        /** Of a viewer who is slow, only the newest waits. */
        const send = async (message: Message): Promise<void> => {
          waiting = message;
          if (writing) return;
          writing = true;
          while (waiting !== undefined) {
            const next: Message = waiting;
            waiting = undefined;
            await stream.writeSSE(next);
          }
          writing = false;
        };
        const unwatch = watch(name, render, (message) => void send(message));
        const alive = setInterval(() => void (writing || send({ event: 'alive', data: '' })), ALIVE_EVERY_MS);
        await new Promise<void>((resolve) => {
          ends.add(resolve);
          stream.onAbort(() => {
            ends.delete(resolve);
            resolve();
          });
        });
        clearInterval(alive);
        unwatch();
      }),
    close: () => {
      for (const end of ends) end();
    },
  };
}

function isNews(message: Message, last: Message | undefined): boolean {
  return last === undefined || last.event !== message.event || withoutCountdown(last) !== withoutCountdown(message);
}

/** The time until the next attempt is counted down in the browser: that it has become less is no news. */
function withoutCountdown({ data }: Message): string {
  return data.replaceAll(/(<time data-countdown="[^"]*">)[^<]*/g, '$1');
}
