/** Photographs what the runbook shows, at the real Temporal UI and the page, and runs every command that it quotes. */
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { startBrowser } from '../../test/support/browser.js';
import { quotedCommands, runCommands } from './commands.js';
import { startStack } from './stack.js';
import { takeScreenshots } from './take.js';

const RUNBOOK = path.resolve(import.meta.dirname, '../../docs/runbook.md');

process.env['SCREENSHOTS'] = '1';
const stack = await startStack();
const browser = await startBrowser();
try {
  await takeScreenshots(browser, stack.service);
  const failed = await runCommands(quotedCommands(readFileSync(RUNBOOK, 'utf8')), stack.service);
  if (failed > 0) process.exitCode = 1;
} finally {
  await browser.close();
  await stack.close();
}
process.exit();
