/** The parts of the documents that are made from the tables in the code. */
import { readFileSync } from 'node:fs';
import type { CommandDef } from 'citty';
import prettyMs from 'pretty-ms';
import { parse } from 'yaml';
import { z } from 'zod';
import { openApiDocument } from '../src/backend/reference.js';
import { createRoutes } from '../src/backend/routes/index.js';
import { API_ARGS } from '../src/cli/api.js';
import { main } from '../src/cli/main.js';
import { EXIT_CODES } from '../src/cli/process.js';
import type { MaesnSync } from '../src/client.js';
import { VARIABLES } from '../src/config.js';
import {
  BACKOFF_COEFFICIENT,
  ERROR_GUIDE,
  FAILURE_TYPES,
  MAXIMUM_INTERVAL_MS,
  errorRule,
} from '../src/spec/error-guide.js';
import { METRIC_NAMES, metricRow } from '../src/spec/metrics.js';
import { viewName } from '../src/spec/columns.js';
import { RESOURCE_NAMES, resourceRow } from '../src/spec/resources.js';
import { WRITE_OPERATIONS, writeRow } from '../src/spec/writes.js';
import type { WriteRow } from '../src/spec/writes.js';

const ACTIONS = {
  retry: 'retried',
  reauthorize: 'not retried: waits until the end user has signed in again',
  fail: 'not retried',
} as const;

function statuses(type: (typeof FAILURE_TYPES)[number]): string {
  const exact = new Set(FAILURE_TYPES.flatMap((name) => errorRule(name).statuses));
  const texts = errorRule(type).statuses.map((status) => {
    if (typeof status === 'number') return String(status);
    const [from] = status;
    if (type === 'InvalidResponse') return '2xx that is not the envelope, 3xx';
    return exact.size === 0 ? `${from / 100}xx` : `other ${from / 100}xx`;
  });
  if (type === 'ErrorBudgetSpent') return 'none: was not sent';
  return texts.length === 0 ? 'no answer, time-out' : texts.join(', ');
}

function firstDelay(type: (typeof FAILURE_TYPES)[number]): string {
  const { initialIntervalMs, maximumAttempts } = errorRule(type);
  if (initialIntervalMs === undefined) return '-';
  if (type === 'ErrorBudgetSpent') return 'when enough of the errors are an hour ago';
  const first =
    typeof initialIntervalMs === 'number'
      ? prettyMs(initialIntervalMs, { verbose: true })
      : `${initialIntervalMs.map((ms) => ms / 1000).join('-')} seconds`;
  const end = maximumAttempts === undefined ? '' : `; given up after ${maximumAttempts} in a row`;
  return `after ${first}, then x${BACKOFF_COEFFICIENT}, at most ${prettyMs(MAXIMUM_INTERVAL_MS, { verbose: true })}${end}`;
}

function line(cells: readonly string[]): string {
  return `| ${cells.map((cell) => cell.replaceAll('|', '\\|')).join(' | ')} |`;
}

function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  return [line(head), line(head.map(() => '---')), ...rows.map(line)].join('\n');
}

const openApiPaths = z.record(
  z.string(),
  z.record(z.string(), z.object({ summary: z.string(), responses: z.record(z.string(), z.unknown()) })),
);

/** Any request can be answered with these. */
const COMMON_STATUSES = new Set(['401', '403', '413', '415', '429', '503']);

/** What the OpenAPI document says, in a table. */
function httpApi(): string {
  // The document is made without anybody to answer for it.
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- routes keep it for requests, of which there are none
  const routes = createRoutes({ sync: {} as MaesnSync, toTemporalUi: () => undefined });
  const document = openApiDocument(routes, { version: '', publicUrl: 'http://localhost', secured: true });
  const rows = Object.entries(openApiPaths.parse(document.paths)).flatMap(([path, operations]) =>
    Object.entries(operations).map(([method, { summary, responses }]) => [
      `\`${method.toUpperCase()} ${path}\``,
      summary,
      Object.keys(responses)
        .filter((status) => !COMMON_STATUSES.has(status))
        .join(', '),
    ]),
  );
  return table(['request', 'what it does', 'answers'], rows);
}

/** The commands, as their own definitions say. */
async function commands(): Promise<string> {
  const rows: string[][] = [];
  const collect = async (name: string, command: CommandDef): Promise<void> => {
    const subCommands = Object.entries((await resolve(command.subCommands)) ?? {});
    for (const [sub, of] of subCommands) await collect(`${name} ${sub}`.trim(), await resolve(of));
    if (subCommands.length > 0) return;
    const args = Object.entries((await resolve(command.args)) ?? {}).filter(([arg]) => !(arg in API_ARGS));
    const written = args.map(([arg, { type, required }]) => {
      const text = type === 'positional' ? `<${arg}>` : type === 'boolean' ? `--${arg}` : `--${arg} ...`;
      return required === true ? text : `[${text}]`;
    });
    const { description = '' } = (await resolve(command.meta)) ?? {};
    rows.push([`\`${[name, ...written].join(' ')}\``, description]);
  };
  await collect('', main);
  return table(['command', 'what it does'], rows);
}

async function resolve<Value>(value: Value | Promise<Value> | (() => Value | Promise<Value>)): Promise<Value> {
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- citty takes any of the three, wherever it takes one
  return typeof value === 'function' ? (value as () => Value | Promise<Value>)() : value;
}

function writeBody({ body, part, files }: WriteRow): string {
  if (body !== 'form') return body === 'json' ? 'JSON' : '-';
  const fields = [part === undefined ? [] : `\`${part}\``, `${files?.several === true ? 'files' : 'a file'} in`];
  return `form: ${fields.flat().join(', ')} \`${files?.field ?? ''}\``;
}

function howLookedUp({ lookUp }: WriteRow): string {
  if (lookUp === null) return 'a person';
  if (lookUp.by === 'path') return 'by its path';
  return lookUp.naturalKey === null ? 'by what changed' : `by \`${lookUp.naturalKey.field}\`, else by what changed`;
}

const rules = z.object({
  groups: z.array(
    z.object({
      rules: z.array(
        z.object({
          alert: z.string(),
          for: z.string(),
          labels: z.object({ severity: z.string() }),
          annotations: z.object({ summary: z.string(), description: z.string(), runbook: z.string() }),
        }),
      ),
    }),
  ),
});

function alerts() {
  const file = new URL('../deploy/prometheus/alerts.yml', import.meta.url);
  return rules.parse(parse(readFileSync(file, 'utf8'))).groups.flatMap((group) => group.rules);
}

/** The documents that have generated sections. */
export const DOCUMENTS = ['README.md', 'docs/cli.md', 'docs/writes.md', 'docs/observability.md'];

/** Name -> Markdown. */
export const SECTIONS: Readonly<Record<string, string>> = {
  'error guide': table(
    ['answer', 'failure type', 'what happens', 'when', 'advice in the failure'],
    FAILURE_TYPES.map((type) => [
      statuses(type),
      `\`${type}\``,
      ACTIONS[ERROR_GUIDE[type].action],
      firstDelay(type),
      errorRule(type).advice,
    ]),
  ),
  configuration: table(
    ['variable', 'default', 'what it is'],
    Object.entries(VARIABLES).map(([name, schema]) => {
      const value = defaultOf(schema);
      return [`\`${name}\``, value === undefined ? '-' : `\`${value}\``, schema.meta()?.description ?? ''];
    }),
  ),
  'http api': httpApi(),
  commands: await commands(),
  'exit codes': table(
    ['exit code', 'meaning'],
    Object.entries(EXIT_CODES).map(([code, meaning]) => [code, meaning]),
  ),
  'write operations': table(
    ['operation', 'request', 'body', 'may be a task', 'in the store as', 'looked up'],
    WRITE_OPERATIONS.map((operation) => {
      const row = writeRow(operation);
      return [
        `\`${operation}\``,
        `\`${row.method} ${row.path}\``,
        writeBody(row),
        row.mayBeTask ? 'yes' : '-',
        row.resource === null ? '-' : `\`${row.resource}\``,
        howLookedUp(row),
      ];
    }),
  ),
  metrics: table(
    ['metric', 'kind', 'where', 'labels', 'what it says'],
    METRIC_NAMES.map((name) => {
      const { kind, at, labels, help } = metricRow(name);
      return [`\`${name}\``, kind, at, labels.map((label) => `\`${label}\``).join(', ') || '-', help];
    }),
  ),
  alerts: table(
    ['alert', 'severity', 'after', 'what it means, and what to do', 'runbook'],
    alerts().map(({ alert, for: after, labels, annotations }) => {
      const file = annotations.runbook.replace(/^docs\//, '');
      return [
        `\`${alert}\``,
        labels.severity,
        after,
        annotations.description,
        `[${file.replace(/^.*#/, '').replaceAll('-', ' ')}](${file})`,
      ];
    }),
  ),
  resources: table(
    ['resource', 'kind', 'path', 'key', 'modified', 'second walk', 'view'],
    RESOURCE_NAMES.map((resource) => {
      const { path, key, modified, incremental, parent } = resourceRow(resource);
      return [
        `\`${resource}\``,
        parent === undefined ? 'collection' : `child of \`${parent}\``,
        `\`${path}\``,
        key ?? 'none: a snapshot',
        modified ?? '-',
        parent === undefined ? (incremental ? 'what changed' : 'all') : 'of parents that changed',
        `\`${viewName(resource)}\``,
      ];
    }),
  ),
};

/** The default as it would be written in the environment. */
function defaultOf(schema: (typeof VARIABLES)[keyof typeof VARIABLES]): string | undefined {
  const { def } = schema;
  return 'defaultValue' in def ? String(def.defaultValue) : undefined;
}

/** Puts every section between its markers; a document keeps what it has no markers for. */
export function withSections(document: string): string {
  return Object.entries(SECTIONS).reduce((text, [name, content]) => {
    const markers = new RegExp(`(<!-- generated: ${name} -->)[\\s\\S]*?(<!-- end -->)`);
    return text.replace(markers, (_all, begin: string, end: string) => `${begin}\n\n${content}\n\n${end}`);
  }, document);
}

export function envExample(): string {
  const variables = Object.entries(VARIABLES).map(([name, schema]) => {
    const description = (schema.meta()?.description ?? '').replaceAll('`', '');
    return `# ${description}\n#${name}=${defaultOf(schema) ?? ''}\n`;
  });
  return [
    '# Copy to .env. What is set in the environment wins over this file. Made by `npm run docs`.',
    '# Temporal is found through its own standard variables: TEMPORAL_ADDRESS, TEMPORAL_NAMESPACE, TEMPORAL_API_KEY, TEMPORAL_TLS...',
    '',
    ...variables,
  ].join('\n');
}
