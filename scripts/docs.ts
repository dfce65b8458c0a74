/** Brings the generated parts of the documents up to date. */
import { readFile, writeFile } from 'node:fs/promises';
import { format, resolveConfig } from 'prettier';
import { DOCUMENTS, envExample, withSections } from './generated-docs.js';

for (const document of DOCUMENTS) {
  const text = withSections(await readFile(document, 'utf8'));
  await writeFile(document, await format(text, { ...(await resolveConfig(document)), parser: 'markdown' }));
}
await writeFile('.env.example', envExample());
console.log(`${DOCUMENTS.join(', ')} and .env.example are up to date.`);
process.exit();
