/** A real Chromium. What it complains about is collected, so that a test can require silence. */
import { existsSync, mkdirSync, mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { chromium } from 'playwright-core';
import type { Browser, BrowserContextOptions, Page } from 'playwright-core';

const CHROMIUM = process.env['CHROMIUM_PATH'] ?? '/usr/bin/chromium';
const DOCS = path.resolve(import.meta.dirname, '../../docs/screenshots');

export interface TestBrowser {
  /** A page of its own. `complaints`: errors in the console, of scripts, and of the content security policy. */
  open(options?: BrowserContextOptions): Promise<{ readonly page: Page; readonly complaints: string[] }>;
  /** Into docs/screenshots with SCREENSHOTS=1, else where nobody looks. */
  screenshot(page: Page, name: string): Promise<void>;
  close(): Promise<void>;
}

export async function startBrowser(): Promise<TestBrowser> {
  if (!existsSync(CHROMIUM)) {
    throw new Error(`There is no Chromium at ${CHROMIUM}: install it (Debian: chromium), or set CHROMIUM_PATH`);
  }
  const browser: Browser = await chromium.launch({
    executablePath: CHROMIUM,
    args: [
      '--no-sandbox',
      '--disable-gpu',
      '--disable-quic',
      '--no-first-run',
      '--disable-background-networking',
      '--disable-component-update',
      '--disable-sync',
    ],
  });
  const dir = (process.env['SCREENSHOTS'] ?? '') === '' ? mkdtempSync(path.join(tmpdir(), 'screenshots-')) : DOCS;
  mkdirSync(dir, { recursive: true });
  return {
    async open(options = {}) {
      const context = await browser.newContext({ viewport: { width: 1_080, height: 760 }, ...options });
      const page = await context.newPage();
      const complaints: string[] = [];
      page.on('console', (message) => {
        if (message.type() === 'error' || message.type() === 'warning') complaints.push(message.text());
      });
      page.on('pageerror', (error) => complaints.push(error.message));
      return { page, complaints };
    },
    async screenshot(page, name) {
      await page.screenshot({ path: path.join(dir, `${name}.png`) });
    },
    close: () => browser.close(),
  };
}
