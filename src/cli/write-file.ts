/** What is to be written, from a file: a JSON object, a JSON array of them, or an object a line. */
import { readFile } from 'node:fs/promises';
import { text as readAll } from 'node:stream/consumers';
import type { z } from 'zod';
import { MaesnSyncError, parseInput } from '../client/errors.js';
import { writeInput } from '../client/write-inputs.js';
import { CommandError } from './process.js';

export interface Entry {
  /** Where it is: `line 7`, `entry 7`. */
  readonly place: string;
  readonly write: z.output<typeof writeInput>;
}

/** More that is wrong is not named: it is likely the same. */
const NAMED = 20;

/** `-`: standard input. */
export async function readWrites(file: string, operation: string | undefined): Promise<Entry[]> {
  const text = file === '-' ? await readAll(process.stdin) : await readFile(file, 'utf8').catch(notRead);
  return parseWrites(text, operation);
}

function notRead(error: unknown): never {
  throw new CommandError(error instanceof Error ? error.message : String(error), 2);
}

/** All of it, or an error that names each place that is wrong. `operation`: of those that name none. */
export function parseWrites(text: string, operation?: string): Entry[] {
  const wrong: string[] = [];
  const places = new Map<string, string>();
  const entries = split(text.replace(/^\uFEFF/, '')).flatMap(({ place, value }) => {
    try {
      const write = parseInput(writeInput, withDefault(toValue(value), operation));
      const before = places.get(write.idempotencyKey);
      if (before !== undefined) throw new Error(`idempotencyKey: is that of ${before}`);
      places.set(write.idempotencyKey, place);
      return [{ place, write }];
    } catch (error) {
      wrong.push(`${place}: ${error instanceof Error ? error.message : String(error)}`);
      return [];
    }
  });
  if (wrong.length > 0) throw new CommandError(summary(wrong), 2);
  if (entries.length === 0) throw new CommandError('There is nothing to write.', 2);
  return entries;
}

interface Part {
  readonly place: string;
  /** Text where it is still to be parsed. */
  readonly value: unknown;
}

function split(text: string): Part[] {
  const whole = parseJson(text);
  if (Array.isArray(whole)) return whole.map((value: unknown, index) => ({ place: `entry ${index + 1}`, value }));
  if (whole !== undefined) return [{ place: 'line 1', value: whole }];
  return text.split('\n').flatMap((line, index) => {
    return line.trim() === '' ? [] : [{ place: `line ${index + 1}`, value: line }];
  });
}

function toValue(value: unknown): unknown {
  if (typeof value !== 'string') return value;
  const parsed = parseJson(value);
  if (parsed === undefined) throw new MaesnSyncError('InvalidInput', 'is not JSON');
  return parsed;
}

function withDefault(value: unknown, operation: string | undefined): unknown {
  const isObject = typeof value === 'object' && value !== null && !Array.isArray(value);
  return isObject && operation !== undefined ? { operation, ...value } : value;
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

function summary(wrong: readonly string[]): string {
  const more = wrong.length > NAMED ? [`and ${wrong.length - NAMED} more`] : [];
  return [...wrong.slice(0, NAMED), ...more, 'Nothing was sent.'].join('\n');
}
