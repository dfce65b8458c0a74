/** Brings the generated parts of the documents up to date. */
import { readFile, writeFile } from 'node:fs/promises';
import { format, resolveConfig } from 'prettier';
import { envExample, withSections } from './generated-docs.js';

const readme = withSections(await readFile('README.md', 'utf8'));
await writeFile('README.md', await format(readme, { ...(await resolveConfig('README.md')), parser: 'markdown' }));
await writeFile('.env.example', envExample());
console.log('README.md and .env.example are up to date.');
