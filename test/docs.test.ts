import { readFileSync } from 'node:fs';
import path from 'node:path';
import { format } from 'prettier';
import { describe, expect, it } from 'vitest';
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

it('.env.example names every variable; else: npm run docs', () => {
  expect(read('.env.example')).toBe(envExample());
});
