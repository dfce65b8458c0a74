/** Who may import whom. Types are free: they are gone at run time. */
import { readFileSync, readdirSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, it } from 'vitest';

/** What each part of `src` may import values of, besides itself. */
const MAY_IMPORT: Readonly<Record<string, readonly string[]>> = {
  spec: [],
  maesn: ['spec'],
  store: ['spec', 'maesn'],
  // Besides Maesn the other one that is spoken to over HTTP.
  application: [],
  // Of the Workflows only the names of their messages and ids: what they say to each other over Temporal.
  activities: ['application', 'spec', 'maesn', 'store', 'workflows/messages', 'workflows/search-attributes'],
  workflows: ['spec'],
  'config.ts': [],
  // What Temporal is given to keep, encrypted.
  payloads: [],
  'temporal.ts': ['payloads'],
  'logging.ts': ['store/database-error'],
  // What the operator of a Temporal server is asked for.
  'search-attributes.ts': ['workflows/search-attributes'],
  client: ['spec', 'maesn', 'payloads', 'store', 'workflows/messages', 'workflows/search-attributes'],
  'client.ts': ['spec', 'maesn', 'store', 'workflows/messages', 'client', 'config', 'payloads', 'temporal'],
  'health.ts': ['config'],
  // Says to Temporal what a Worker that is gone cannot.
  'lost-attempts.ts': ['activities', 'workflows/messages'],
  // Knows of requests what it is told.
  tracing: [],
  'worker.ts': [
    'activities',
    'maesn',
    'payloads',
    'spec',
    'store',
    'config',
    'health',
    'lost-attempts',
    'search-attributes',
    'temporal',
    'tracing',
    'workflow-bundle',
  ],
  'workflow-bundle.ts': [],
  embedded: ['store', 'config', 'search-attributes', 'temporal'],
  'version.ts': [],
  backend: ['spec', 'maesn', 'payloads', 'store', 'client', 'config', 'version'],
  'service.ts': [
    'backend',
    'config',
    'embedded',
    'health',
    'maesn',
    'search-attributes',
    'temporal',
    'tracing',
    'worker',
  ],
  cli: [
    'application',
    'backend',
    'client',
    'config',
    'logging',
    'search-attributes',
    'service',
    'spec',
    'store',
    'temporal',
    'tracing',
    'version',
    'worker',
    '../sandbox',
  ],
  'cli.ts': ['cli'],
};

const SRC = path.resolve(import.meta.dirname, '../src');

interface Import {
  readonly file: string;
  readonly target: string;
}

/** Value imports of a source text, as written. */
function valueImports(source: string): string[] {
  const statements = source.matchAll(
    /^(?:import|export)\s+(?!type\b)(?:[^'";]*?\bfrom\s+)?'([^']+)'|\bimport\('([^']+)'\)/gm,
  );
  return [...statements].map(([, from, dynamic]) => from ?? dynamic ?? '');
}

function importsOf(file: string): Import[] {
  const full = path.join(SRC, file);
  return valueImports(readFileSync(full, 'utf8')).map((target) => ({
    file,
    target: target.startsWith('.')
      ? path.relative(SRC, path.resolve(path.dirname(full), target)).replace(/\.js$/, '')
      : target,
  }));
}

const FILES = readdirSync(SRC, { recursive: true, encoding: 'utf8' }).filter((file) => file.endsWith('.ts'));
const partOf = (file: string) => file.split('/')[0] ?? file;

function forbidden({ file, target }: Import): boolean {
  if (!/^[a-z.-]+(?:\/|$)/.test(target) || target.startsWith('@')) return false;
  const part = partOf(file);
  const isOurs = target.startsWith('../') || FILES.includes(`${target}.ts`);
  if (!isOurs || partOf(target) === part) return false;
  return !(MAY_IMPORT[part] ?? []).some((allowed) => target === allowed || target.startsWith(`${allowed}/`));
}

describe('the layers', () => {
  it('are told of every part of src', () => {
    expect(FILES.map(partOf).filter((part) => !(part in MAY_IMPORT))).toEqual([]);
  });

  it.each(FILES)('src/%s imports only what is below it', (file) => {
    expect(importsOf(file).filter(forbidden)).toEqual([]);
  });

  it.each(FILES.filter((file) => /^(?:spec|workflows)\//.test(file)))('src/%s is free of Node', (file) => {
    expect(importsOf(file).filter(({ target }) => target.startsWith('node:'))).toEqual([]);
  });

  it('of spec import nothing at all', () => {
    const outside = FILES.filter((file) => file.startsWith('spec/')).flatMap(importsOf);
    expect(outside.filter(({ target }) => !target.startsWith('spec/'))).toEqual([]);
  });

  it('are broken by what breaks them', () => {
    expect(valueImports("import { a } from '../store/index.js';\nimport type { B } from './b.js';")).toEqual([
      '../store/index.js',
    ]);
    expect(valueImports("import {\n  a,\n  b,\n} from 'x';\nexport * from './c.js';\nawait import('./d.js')")).toEqual([
      'x',
      './c.js',
      './d.js',
    ]);
    expect(forbidden({ file: 'workflows/sync-connection.ts', target: 'activities/index' })).toBe(true);
    expect(forbidden({ file: 'activities/attempt.ts', target: 'workflows/sync-connection' })).toBe(true);
    expect(forbidden({ file: 'store/index.ts', target: 'client' })).toBe(true);
    expect(forbidden({ file: 'client.ts', target: '../sandbox/index' })).toBe(true);
  });
});
