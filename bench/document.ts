/** docs/benchmarks.md: every benchmark writes its own section and leaves the others as they are. */
import { readFile, writeFile } from 'node:fs/promises';
import { cpus, platform, totalmem } from 'node:os';
import { fileURLToPath } from 'node:url';
import { format, resolveConfig } from 'prettier';

const DOCUMENT = fileURLToPath(new URL('../docs/benchmarks.md', import.meta.url));

const HEAD = `# Benchmarks

Written by the commands themselves; what counts are the ratios, measured in one run.
`;

export async function writeSections(sections: Readonly<Record<string, string>>): Promise<void> {
  let text = await readFile(DOCUMENT, 'utf8').catch(() => HEAD);
  for (const [name, content] of Object.entries(sections)) text = withSection(text, name, content);
  await writeFile(DOCUMENT, await format(text, { ...(await resolveConfig(DOCUMENT)), parser: 'markdown' }));
}

/** The text with this section in the place of the one of the same name; a new one goes to the end. */
export function withSection(text: string, name: string, content: string): string {
  const [begin, end] = [`<!-- bench: ${name} -->`, `<!-- /bench: ${name} -->`];
  const section = `${begin}\n\n${content.trim()}\n\n${end}`;
  const from = text.indexOf(begin);
  if (from === -1) return `${text.trimEnd()}\n\n${section}\n`;
  const to = text.indexOf(end, from);
  if (to === -1) throw new Error(`docs/benchmarks.md: the section "${name}" has no end`);
  return text.slice(0, from) + section + text.slice(to + end.length);
}

/** What the figures were measured on. */
export function machine(): string {
  const [cpu] = cpus();
  return `${cpus().length} x ${cpu?.model ?? 'unknown'}, ${Math.round(totalmem() / 2 ** 30)} GiB, Node ${process.version}, ${platform()}`;
}
