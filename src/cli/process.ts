/** What all commands have in common: how they begin, how they end, and what a wrong one is told. */
import { existsSync } from 'node:fs';
import { defineCommand } from 'citty';
import type { ArgsDef, CommandDef, ParsedArgs } from 'citty';
import { ConfigError, readConfig } from '../config.js';
import type { Config } from '../config.js';
import { statementFailure } from '../store/database-error.js';

/** One place for what an exit code means. */
export const EXIT_CODES = {
  0: 'done',
  1: 'failed, or refused',
  2: 'wrong usage, or the environment is not right',
  3: 'there is no such connection, record, event or write',
  4: 'the backend was not reached, or is not able to answer',
  130: 'interrupted',
  141: 'whoever reads the output has stopped reading',
} as const;

export type ExitCode = keyof typeof EXIT_CODES;

/** An error with an exit code of its own; its message is for people. */
export class CommandError extends Error {
  override readonly name = 'CommandError';
  readonly exitCode: ExitCode;
  constructor(message: string, exitCode: ExitCode) {
    super(message);
    this.exitCode = exitCode;
  }
}

interface CommandOptions<Args extends ArgsDef> {
  readonly name: string;
  readonly description: string;
  readonly args?: Args;
  readonly run: (input: { readonly args: ParsedArgs<Args>; readonly config: Config }) => Promise<void>;
}

let begun = false;
export const hasBegun = () => begun;

/** A command that reads the environment, refuses flags that it does not know, and ends with a code that says how it went. */
export function command<const Args extends ArgsDef>({
  name,
  description,
  args,
  run,
}: CommandOptions<Args>): CommandDef<Args> {
  return defineCommand({
    meta: { name, description },
    ...(args === undefined ? {} : { args }),
    run: async (context) => {
      begun = true;
      try {
        refuseUnknown(name, args ?? {}, context.args);
        if (existsSync('.env')) process.loadEnvFile('.env');
        await run({ args: context.args, config: readConfig() });
      } catch (error) {
        console.error(statementFailure(error) ?? (error instanceof Error ? error.message : error));
        process.exitCode = error instanceof CommandError ? error.exitCode : error instanceof ConfigError ? 2 : 1;
      }
      await drained();
      // The SDK's runtime, once installed, keeps a process alive that has nothing left to do.
      process.exit();
    },
  });
}

/** A flag that nobody knows is a flag that was meant to do something. */
function refuseUnknown(name: string, known: ArgsDef, given: object): void {
  const positionals = Object.values(known).filter(({ type }) => type === 'positional').length;
  const names = new Set([
    '_',
    ...Object.keys(known),
    ...Object.values(known).flatMap((arg) => ('alias' in arg ? (arg.alias ?? []) : [])),
  ]);
  const isKnown = (flag: string) => names.has(flag) || names.has(toKebab(flag)) || names.has(toCamel(flag));
  const unknown = Object.keys(given).filter((flag) => !isKnown(flag));
  const rest = '_' in given && Array.isArray(given._) ? given._.slice(positionals) : [];
  const wrong = [...unknown.map((flag) => `--${flag}`), ...rest.map(String)];
  if (wrong.length === 0) return;
  throw new CommandError(`${name} does not know ${wrong.join(', ')}; see maesn-sync ${name} --help`, 2);
}

const toKebab = (text: string) => text.replaceAll(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);
const toCamel = (text: string) => text.replaceAll(/-([a-z])/g, (_all, letter: string) => letter.toUpperCase());

/** For people: on standard output. */
export function say(line: string): void {
  console.log(line);
}

/** What was said has been taken by whoever reads it: a pipe takes 64 KiB at once, and the rest would end with the process. */
export async function drained(): Promise<void> {
  await Promise.all([process.stdout, process.stderr].map((stream) => new Promise((taken) => stream.write('', taken))));
}

/** `... | head` has seen enough: to go on would be for nobody. */
export function endWithReader(): void {
  process.stdout.on('error', ({ code }: NodeJS.ErrnoException) => process.exit(code === 'EPIPE' ? 141 : 1));
  // Nobody is left who could be told.
  process.stderr.on('error', () => undefined);
}

/** Resolves with the first SIGINT or SIGTERM; the second one ends the process at once. */
export function untilStopped(): Promise<void> {
  return new Promise((resolve) => {
    let stopping = false;
    const stop = () => {
      if (stopping) process.exit(130);
      stopping = true;
      resolve();
    };
    process.on('SIGINT', stop);
    process.on('SIGTERM', stop);
  });
}
