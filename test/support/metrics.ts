/** Reads what Prometheus would read. */
import { once } from 'node:events';
import { createServer } from 'node:net';

export interface Sample {
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly value: number;
}

/** The text format of Prometheus, without its comments. */
export function parseSamples(text: string): Sample[] {
  return text.split('\n').flatMap((line) => {
    const found = /^(?<name>[a-z_:][\w:]*)(?:\{(?<labels>.*)\})? (?<value>\S+)$/i.exec(line)?.groups;
    if (found === undefined) return [];
    const labels = [...(found['labels'] ?? '').matchAll(/(\w+)="((?:[^"\\]|\\.)*)"/g)];
    return [
      {
        name: found['name'] ?? '',
        labels: Object.fromEntries(labels.map(([, name = '', value = '']) => [name, value])),
        value: Number(found['value']),
      },
    ];
  });
}

export async function scrape(url: string): Promise<Sample[]> {
  const response = await fetch(url);
  if (!response.ok) throw new Error(`${url} answered ${response.status}`);
  return parseSamples(await response.text());
}

/** The sum of a metric over all samples that have these labels; `undefined`: there is none. */
export function valueOf(
  samples: readonly Sample[],
  name: string,
  labels: Readonly<Record<string, string>> = {},
): number | undefined {
  const found = samples.filter(
    (sample) =>
      sample.name === name && Object.entries(labels).every(([label, value]) => sample.labels[label] === value),
  );
  return found.length === 0 ? undefined : found.reduce((sum, { value }) => sum + value, 0);
}

/** One that was free a moment ago: the SDK does not say which it was given. */
export async function freeAddress(): Promise<string> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const bound = server.address();
  if (typeof bound !== 'object' || bound === null) throw new Error('there is no port');
  server.close();
  await once(server, 'close');
  return `127.0.0.1:${bound.port}`;
}
