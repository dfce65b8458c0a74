/** How the commands print. */
import { text as readAll } from 'node:stream/consumers';
import { CommandError, say } from './process.js';

export function printJson(value: unknown): void {
  say(JSON.stringify(value, undefined, 2));
}

/** Columns, as wide as they must be; the last one is as long as it is. */
export function printTable(head: readonly string[], rows: readonly (readonly string[])[]): void {
  const widths = head.map((title, column) => Math.max(title.length, ...rows.map((row) => (row[column] ?? '').length)));
  for (const row of [head.map((title) => title.toUpperCase()), ...rows]) {
    say(row.map((cell, column) => (column === row.length - 1 ? cell : cell.padEnd(widths[column] ?? 0))).join('  '));
  }
}

/** A secret comes in by standard input, never as an argument: other users of the machine see those. */
export async function readSecret(what: string): Promise<string> {
  if (process.stdin.isTTY) console.error(`${what}, then Ctrl-D:`);
  const secret = (await readAll(process.stdin)).trim();
  if (secret === '') throw new CommandError(`${what}: nothing came by standard input`, 2);
  return secret;
}

/** What others have written, on one line and without what a terminal would take for a command. */
export function toLine(text: string): string {
  return text.replaceAll(/[\p{Cc}\p{Cf}]+/gu, ' ');
}

/** On standard error: on a terminal one line that changes, elsewhere a line a second, and always the last. */
export function createProgress(): (line: string, isLast: boolean) => void {
  let shownAt = 0;
  return (line, isLast) => {
    if (process.stderr.isTTY) {
      process.stderr.write(`\r\u001B[K${line.slice(0, process.stderr.columns - 1)}${isLast ? '\n' : ''}`);
    } else if (isLast || Date.now() - shownAt >= 1_000) {
      shownAt = Date.now();
      console.error(line);
    }
  };
}
