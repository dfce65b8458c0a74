import { readFileSync } from 'node:fs';
import path from 'node:path';
import { format } from 'prettier';
import { describe, expect, it } from 'vitest';
import { SECTIONS, envExample, withSections } from '../scripts/generated-docs.js';

const read = (file: string) => readFileSync(path.resolve(import.meta.dirname, '..', file), 'utf8');

describe('the README', () => {
  it('says what the tables in the code say; else: npm run docs', async () => {
    const readme = read('README.md');
    const expected = await format(withSections(readme), { parser: 'markdown', singleQuote: true, printWidth: 120 });
    expect(readme).toBe(expected);
  });

  it.each(Object.keys(SECTIONS))('has a place for the generated "%s"', (name) => {
    expect(read('README.md')).toContain(`<!-- generated: ${name} -->`);
  });

  it('is told apart from one that says something else', () => {
    const readme = read('README.md');
    const altered = readme.replace('`TooManyRequests`', '`SlowDown`');
    expect(altered).not.toBe(readme);
    expect(withSections(altered)).not.toContain('SlowDown');
  });
});

it('.env.example names every variable; else: npm run docs', () => {
  expect(read('.env.example')).toBe(envExample());
});
