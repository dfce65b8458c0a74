/** How the page source is told what to answer, and asked what it was asked. */
import { z } from 'zod';
import { startChild } from './child-process.js';

export const pageSourceSettings = z.object({
  /** Of every account. */
  records: z.number(),
  /** Before every answer. */
  delayMs: z.number(),
});

export type PageSourceSettings = z.infer<typeof pageSourceSettings>;

const figures = z.object({
  requests: z.number(),
  /** Different pages: of different accounts, or of what has changed since different times. */
  pages: z.number(),
  /** When an account first asked for a page, in milliseconds since 1970. */
  firstAt: z.record(z.string(), z.number()),
});

export type PageSourceFigures = z.infer<typeof figures>;

/** An account key that begins so is answered with 401. */
export const REFUSED_KEY = 'refused-';

export interface PageSource {
  readonly url: string;
  /** Counts from 0 again. */
  set(settings: PageSourceSettings): Promise<void>;
  figures(): Promise<PageSourceFigures>;
  stop(): Promise<void>;
}

export async function startPageSource(): Promise<PageSource> {
  const child = startChild('./page-source.ts');
  const url = await child.call('url', undefined, z.string());
  const bench = `${url}/bench`;
  return {
    url,
    set: async (settings) => {
      await fetch(bench, { method: 'POST', body: JSON.stringify(settings) });
    },
    figures: async () => figures.parse(await (await fetch(bench)).json()),
    stop: () => child.kill(),
  };
}
