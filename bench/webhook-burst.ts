/**
 * Does the backend stay responsive while Maesn calls it a thousand times? Latency of an ordinary request, idle and during the
 * burst, in one run, and how many pulls the burst led to. maesn-sync runs in a process of its own; Maesn and whoever asks
 * run in this one, on the same machine.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { defineCommand, runMain } from 'citty';
import { recordPage, syncStatus } from '../src/backend/schemas.js';
import { startSandbox } from '../sandbox/index.js';
import type { SandboxAccount } from '../sandbox/index.js';
import { machine, writeSections } from './document.js';

const EVENTS = 1_000;
const IN_FLIGHT = 20;
const IDLE_REQUESTS = 1_000;
const CONNECTION = '/connections/acme';

const command = defineCommand({
  meta: { name: 'webhook-burst', description: 'Latency of the backend during 1,000 webhooks, as a ratio to idle.' },
  run: async () => {
    const dir = await mkdtemp(path.join(tmpdir(), 'maesn-sync-bench-'));
    const sandbox = await startSandbox();
    // freshbooks: it has webhooks, and no rate limit that would slow the pulls down.
    const account = sandbox.addAccount({ name: 'Acme', targetSystem: 'freshbooks', records: { invoices: EVENTS } });
    const url = `http://127.0.0.1:${await freePort()}`;
    const service = spawn(
      process.execPath,
      ['--import', 'tsx', fileURLToPath(new URL('../src/cli.ts', import.meta.url)), 'dev'],
      {
        stdio: ['ignore', 'ignore', 'inherit'],
        env: {
          ...process.env,
          DATABASE_URL: '',
          TEMPORAL_ADDRESS: '',
          MAESN_API_KEY: sandbox.apiKey,
          MAESN_BASE_URL: sandbox.url,
          MAESN_SYNC_ADDRESS: new URL(url).host,
          MAESN_SYNC_DATA_DIR: dir,
          MAESN_SYNC_PUBLIC_URL: url,
          MAESN_SYNC_REQUESTS_PER_MINUTE: '1000000',
        },
      },
    );
    try {
      await until(async () => (await fetch(`${url}/readyz`).catch(() => undefined))?.ok === true);
      const { targetSystem, accountKey } = account;
      await post(`${url}/connections`, { connectionId: 'acme', targetSystem, accountKey });
      await post(`${url}${CONNECTION}/sync`, { resources: ['invoices'], every: '1 hour' });
      await until(async () => {
        const { state } = syncStatus.parse(await (await fetch(`${url}${CONNECTION}/sync`)).json());
        return state === 'Idle' && account.webhooks.length > 0;
      });

      const idle: number[] = [];
      for (let i = 0; i < IDLE_REQUESTS; i += 1) idle.push(await timed(url + CONNECTION));
      const keys = changeAll(account);
      const pullsBefore = pulls();
      const begun = performance.now();
      const burst = { over: false };
      const delivering = account
        .emit(
          keys.map((resourceId) => ({ eventType: 'UPDATED', resource: 'INVOICE', resourceId })),
          { concurrency: IN_FLIGHT },
        )
        .finally(() => {
          burst.over = true;
        });
      const during: number[] = [];
      while (!burst.over) during.push(await timed(url + CONNECTION));
      const deliveries = await delivering;
      const seconds = (performance.now() - begun) / 1_000;
      const changed = `${url}${CONNECTION}/resources/invoices/records?limit=1000`;
      await until(async () => {
        const { items } = recordPage.parse(await (await fetch(changed)).json());
        return items.length === EVENTS && items.every(({ record }) => isChanged(record));
      });

      const refused = deliveries.filter(({ status }) => status !== 202).length;
      const text = [
        report(idle, during),
        '',
        `${deliveries.length} webhooks in ${seconds.toFixed(1)} s, ${IN_FLIGHT} in flight, ${refused} refused; ` +
          `${pulls() - pullsBefore} pulls, after which the store has all ${EVENTS} changes.`,
      ].join('\n');
      console.log(text);
      await writeSections({ webhooks: toSection(text) });
    } finally {
      service.kill('SIGTERM');
      await once(service, 'exit');
      await sandbox.close();
      await rm(dir, { recursive: true, force: true });
    }

    function pulls(): number {
      return sandbox.requests.filter(({ path: asked, page }) => asked === '/accounting/invoices' && page === '1')
        .length;
    }
  },
});

function toSection(text: string): string {
  return `## A burst of webhooks: \`npm run bench:webhooks\`

An ordinary request, again and again, one at a time, on an idle backend and while Maesn calls it ${EVENTS} times. maesn-sync is one process here: backend, Worker and the
embedded Postgres.

${text}

${machine()}
`;
}

function report(idle: readonly number[], during: readonly number[]): string {
  const lines = [[`\`GET ${CONNECTION}\``, 'requests', 'p50', 'p95', 'p99'], Array.from({ length: 5 }, () => '---')];
  const shares = [0.5, 0.95, 0.99];
  for (const [name, times] of [['idle', idle] as const, ['during the burst', during] as const]) {
    lines.push([name, String(times.length), ...shares.map((share) => `${quantile(times, share).toFixed(1)} ms`)]);
  }
  lines.push(['ratio', '', ...shares.map((share) => (quantile(during, share) / quantile(idle, share)).toFixed(1))]);
  return lines.map((cells) => `| ${cells.join(' | ')} |`).join('\n');
}

/** Something of every record that the sandbox did not make up by itself; answers the keys. */
function changeAll(account: SandboxAccount): string[] {
  const keys = account.records('invoices').map((record) => String(field(record, 'invoiceId')));
  for (const invoiceId of keys) account.put('invoices', { invoiceId, currency: 'XTS' });
  return keys;
}

function isChanged(record: unknown): boolean {
  return field(record, 'currency') === 'XTS';
}

function field(record: unknown, name: string): unknown {
  return typeof record === 'object' && record !== null ? Reflect.get(record, name) : undefined;
}

async function timed(url: string): Promise<number> {
  const begun = performance.now();
  const response = await fetch(url);
  await response.arrayBuffer();
  if (!response.ok) throw new Error(`${url} answered ${response.status}`);
  return performance.now() - begun;
}

async function post(url: string, content: object): Promise<void> {
  const headers = { 'content-type': 'application/json' };
  const response = await fetch(url, { method: 'POST', headers, body: JSON.stringify(content) });
  if (!response.ok) throw new Error(`${url} answered ${response.status}: ${await response.text()}`);
}

async function until(isSo: () => Promise<boolean>): Promise<void> {
  while (!(await isSo())) await sleep(200);
}

function quantile(times: readonly number[], share: number): number {
  return times.toSorted((a, b) => a - b)[Math.floor(share * (times.length - 1))] ?? Number.NaN;
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  server.close();
  await once(server, 'close');
  if (typeof address !== 'object' || address === null) throw new Error('no port is free');
  return address.port;
}

await runMain(command);
