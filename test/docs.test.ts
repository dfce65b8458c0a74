import { existsSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { format } from 'prettier';
import { describe, expect, it } from 'vitest';
import { MAESN_STATES } from '../src/workflows/search-attributes.js';
import { DOCUMENTS, SECTIONS, envExample, withSections } from '../scripts/generated-docs.js';

const read = (file: string) => readFileSync(path.resolve(import.meta.dirname, '..', file), 'utf8');

describe('the documents', () => {
  it.each(DOCUMENTS)('%s says what the tables in the code say; else: npm run docs', async (document) => {
    const text = read(document);
    const expected = await format(withSections(text), { parser: 'markdown', singleQuote: true, printWidth: 120 });
    expect(text).toBe(expected);
  });

  it.each(Object.keys(SECTIONS))('have one place for the generated "%s"', (name) => {
    const places = DOCUMENTS.filter((document) => read(document).includes(`<!-- generated: ${name} -->`));
    expect(places).toHaveLength(1);
  });

  it('are told apart from those that say something else', () => {
    const readme = read('README.md');
    const altered = readme.replace('`TooManyRequests`', '`SlowDown`');
    expect(altered).not.toBe(readme);
    expect(withSections(altered)).not.toContain('SlowDown');
  });
});

describe('the runbook', () => {
  const runbook = read('docs/runbook.md');
  const isNamed = (state: string) => runbook.includes(`\`${state}\``);

  it.each(MAESN_STATES)('says of %s what it means and who must act', (state) => {
    expect(isNamed(state)).toBe(true);
    expect(isNamed(`${state}Not`)).toBe(false);
  });

  it('shows pictures that are there', () => {
    const pictures = [...runbook.matchAll(/\]\((screenshots\/[^)]+)\)/g)].map(([, file = '']) => file);
    expect(pictures.length).toBeGreaterThan(5);
    expect(pictures.filter((file) => !existsSync(path.resolve(import.meta.dirname, '../docs', file)))).toEqual([]);
  });
});

it('.env.example names every variable; else: npm run docs', () => {
  expect(read('.env.example')).toBe(envExample());
});
