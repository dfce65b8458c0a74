/**
 * What is published and deployed: the package, installed where nothing else is, and each command that a container of ours
 * runs, as a process of that package, against a real Postgres and a real Temporal server.
 */
import { execFile, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, inject, it } from 'vitest';
import { parse, parseAllDocuments } from 'yaml';
import { z } from 'zod';
import { startPostgres } from '../bench/servers/postgres.js';
import type { PostgresServer } from '../bench/servers/postgres.js';
import { startSandbox } from '../sandbox/index.js';
import type { Sandbox } from '../sandbox/index.js';
import { brokenComposeRules, brokenManifestRules, parseCompose } from '../scripts/deployment-rules.js';
import { VARIABLES } from '../src/config.js';
import { freePort } from '../src/embedded/temporal-port.js';
import { TEST_SEALING_KEY } from './support/store.js';
import { waitFor } from './support/wait.js';

const ROOT = path.resolve(import.meta.dirname, '..');
const read = (file: string) => readFileSync(path.join(ROOT, file), 'utf8');
const run = promisify(execFile);

let dir: string;
let postgres: PostgresServer;
let sandbox: Sandbox;
let env: Record<string, string>;

beforeAll(async () => {
  dir = mkdtempSync(path.join(tmpdir(), 'maesn-sync-package-'));
  [postgres, sandbox] = await Promise.all([startPostgres(), startSandbox()]);
  const packed = z.array(z.object({ filename: z.string() })).parse(
    JSON.parse(
      execFileSync('npm', ['pack', '--json', '--silent', '--pack-destination', dir], { cwd: ROOT, encoding: 'utf8' })
        // What the build says comes first.
        .replace(/^[^[]*(?=\[)/, ''),
    ),
  );
  writeFileSync(path.join(dir, 'package.json'), '{"name":"empty","private":true,"type":"module"}');
  const flags = ['--prefer-offline', '--ignore-scripts', '--no-audit', '--no-fund', '--silent'];
  await run('npm', ['install', ...flags, `./${packed[0]?.filename ?? ''}`], { cwd: dir });
  env = {
    PATH: process.env['PATH'] ?? '',
    HOME: dir,
    NO_COLOR: '1',
    TEMPORAL_ADDRESS: inject('temporalAddress'),
    TEMPORAL_NAMESPACE: 'default',
    DATABASE_URL: await postgres.createDatabase('packaging'),
    MAESN_SYNC_SEALING_KEY: TEST_SEALING_KEY.toString('base64'),
    MAESN_API_KEY: sandbox.apiKey,
    MAESN_BASE_URL: sandbox.url,
    MAESN_SYNC_TASK_QUEUE: `packaging-${process.pid}`,
    MAESN_SYNC_TOKENS: 'operator:0123456789abcdef',
  };
}, 300_000);
afterAll(async () => {
  await sandbox.close();
  await postgres.stop();
  rmSync(dir, { recursive: true, force: true });
});

/** The installed package's program, as the image's ENTRYPOINT starts its own. */
function start(args: readonly string[], more: Readonly<Record<string, string>>) {
  const cli = path.join(dir, 'node_modules/maesn-sync/dist/src/cli.js');
  const child = spawn(process.execPath, [cli, ...args], {
    cwd: dir,
    env: { ...env, ...more },
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  let stderr = '';
  child.stderr.on('data', (chunk: Buffer) => (stderr += chunk.toString('utf8')));
  const ended = once(child, 'exit').then(([code]: unknown[]) => code);
  return { child, ended, stderr: () => stderr };
}

interface Command {
  readonly where: string;
  readonly args: readonly string[];
  readonly env: Readonly<Record<string, string>>;
}

/** Fixed values that are not about where others are. */
function local(given: Readonly<Record<string, string>>): Record<string, string> {
  const names = new Set(['MAESN_SYNC_ADDRESS', 'MAESN_SYNC_HEALTH_ADDRESS', 'NODE_OPTIONS']);
  return Object.fromEntries(Object.entries(given).filter(([name]) => names.has(name)));
}

const compose = Object.entries(parseCompose(read('docker-compose.temporal.yml')))
  .filter(([, { image }]) => image.startsWith('maesn-sync:'))
  .map(([name, { command, environment }]): Command => ({
    where: `compose ${name}`,
    args: z.array(z.string()).parse(command),
    env: local(environment),
  }));

const workload = z.object({
  spec: z.object({
    template: z.object({
      spec: z.object({
        containers: z.array(
          z.object({
            name: z.string(),
            args: z.array(z.string()),
            env: z.array(z.object({ name: z.string(), value: z.string().exactOptional() })),
          }),
        ),
      }),
    }),
  }),
});
const manifests = readdirSync(path.join(ROOT, 'deploy/kubernetes')).flatMap((file) =>
  parseAllDocuments(read(`deploy/kubernetes/${file}`)).flatMap((document): Command[] => {
    const parsed = workload.safeParse(document.toJS());
    if (!parsed.success) return [];
    return parsed.data.spec.template.spec.containers.map(({ name, args, env: given }) => ({
      where: `kubernetes ${name}`,
      args,
      env: local(Object.fromEntries(given.map((one) => [one.name, one.value ?? '']))),
    }));
  }),
);
const dockerfile: Command = {
  where: 'Dockerfile',
  args: z.array(z.string()).parse(JSON.parse(/^CMD (\[.*\])$/m.exec(read('Dockerfile'))?.[1] ?? '')),
  env: { MAESN_SYNC_HEALTH_ADDRESS: ':8080' },
};
const COMMANDS = [...compose, ...manifests, dockerfile];

describe('a command that a container of ours runs', () => {
  it('is known of the compose file, the manifests and the image', () => {
    expect(COMMANDS.map(({ where, args }) => `${where}: ${args.join(' ')}`).toSorted()).toEqual([
      'Dockerfile: worker',
      'compose backend: serve',
      'compose migrate: migrate',
      'compose worker: worker',
      'kubernetes backend: serve',
      'kubernetes migrate: migrate',
      'kubernetes worker: worker',
    ]);
  });

  it.each(COMMANDS.filter(({ args }) => args[0] === 'migrate'))('$where: ends with 0', async ({ args, env: more }) => {
    const { ended, stderr } = start(args, more);
    expect(await ended, stderr()).toBe(0);
  });

  it.each(COMMANDS.filter(({ args }) => args[0] !== 'migrate'))(
    '$where: gets ready, and ends with 0 when it is told to stop',
    async ({ args, env: more }) => {
      const port = await freePort('127.0.0.1');
      // The container's port is 8080, of this machine any.
      const moved = Object.fromEntries(
        Object.entries(more).map(([name, value]) => [name, value.replace('8080', `${port}`)]),
      );
      const { child, ended, stderr } = start(args, moved);
      try {
        await waitFor('it is ready', () => {
          if (child.exitCode !== null) throw new Error(stderr());
          return isReady(port);
        });
      } finally {
        child.kill('SIGTERM');
      }
      expect(await ended, stderr()).toBe(0);
    },
  );

  it('without its database, is not healthy: it ends with another code than 0', async () => {
    const { ended } = start(['migrate'], { DATABASE_URL: 'postgres://nobody@127.0.0.1:1/none' });
    expect(await ended).toBe(1);
  });
});

const isReady = (port: number) =>
  fetch(`http://127.0.0.1:${port}/readyz`).then(
    ({ ok }) => ok,
    () => false,
  );

describe('the package, in an empty project', () => {
  it('has the commands', async () => {
    const { stdout } = await run('npx', ['--no-install', 'maesn-sync', '--help'], { cwd: dir, env });
    expect(stdout).toContain('migrate');
  });

  it('holds neither tests nor sources nor an environment', () => {
    const files = readdirSync(path.join(dir, 'node_modules/maesn-sync'), { recursive: true, encoding: 'utf8' });
    expect(files.filter((file) => /^(?:src|test|bench|dist\/test)\/|\.test\.|\.env$/.test(file))).toEqual([]);
    expect(files).toContain('dist/workflow-bundle.js');
  });

  it('compiles and runs the example of the README against a running stack', async () => {
    const [, example = ''] = /## In your backend\n\n```ts\n([\s\S]*?)```/.exec(read('README.md')) ?? [];
    expect(example).toContain("from 'maesn-sync'");
    const file = path.join(dir, 'example.ts');
    writeFileSync(
      file,
      `${example}\nawait sync.close();\nconsole.log(state, resource, retry, loginUrl);\nprocess.exit();\n`,
    );
    writeFileSync(
      path.join(dir, 'tsconfig.json'),
      JSON.stringify({
        compilerOptions: {
          strict: true,
          exactOptionalPropertyTypes: true,
          module: 'nodenext',
          target: 'es2023',
          outDir: 'out',
          skipLibCheck: true,
          types: ['node'],
          typeRoots: [path.join(ROOT, 'node_modules/@types')],
        },
        files: ['example.ts'],
      }),
    );
    await run(process.execPath, [path.join(ROOT, 'node_modules/typescript/bin/tsc'), '-p', dir]).catch(
      (error: unknown) => {
        throw new Error(z.object({ stdout: z.string() }).parse(error).stdout);
      },
    );
    const port = await freePort('127.0.0.1');
    const worker = start(['worker'], { MAESN_SYNC_HEALTH_ADDRESS: `127.0.0.1:${port}` });
    try {
      await waitFor('the Worker is ready', () => isReady(port));
      const { stdout } = await run(process.execPath, ['out/example.js'], { cwd: dir, env });
      expect(stdout).toContain(sandbox.url);
    } finally {
      worker.child.kill('SIGTERM');
      await worker.ended;
    }
  });
});

describe('the rules of what is deployed', () => {
  const composeText = read('docker-compose.temporal.yml');
  it('hold for the compose file', () => {
    expect(brokenComposeRules(composeText)).toEqual([]);
  });

  it.each([
    ['an image without a version', /postgres:16[\w.-]+/, 'postgres:latest', /is not pinned/],
    ['a port for everybody', '127.0.0.1:7233:7233', '7233:7233', /open to the network/],
    ['a password of ours', '${TEMPORAL_POSTGRES_PASSWORD:?set TEMPORAL_POSTGRES_PASSWORD}', 'temporal', /has a value/],
    ['a default password', 'POSTGRES_PASSWORD:?set POSTGRES_PASSWORD', 'POSTGRES_PASSWORD:-secret', /has a value/],
    ['a service without a health check', 'healthcheck: *ready', 'init: true', /has no health check/],
  ])('name %s', (_what, from, to, told) => {
    expect(brokenComposeRules(composeText.replace(from, to)).join('\n')).toMatch(told);
  });

  it('find nothing missing of what can be set', () => {
    const { worker, backend } = parseCompose(read('docker-compose.temporal.yml'));
    // Of a machine without containers, of the sandbox, and of the commands.
    const elsewhere =
      /^(?:MAESN_RETRY_TIME_SCALE|MAESN_SYNC_(?:DATA_DIR|URL|TOKEN)|TEMPORAL_WORKER_(?:DEPLOYMENT_NAME|BUILD_ID))$/;
    const wanted = Object.keys(VARIABLES).filter((name) => !elsewhere.test(name));
    const ofBackend = /^MAESN_SYNC_(?:ADDRESS|TOKENS|TEMPORAL_UI_URL)$/;
    expect(Object.keys(worker?.environment ?? {})).toEqual(
      expect.arrayContaining(wanted.filter((name) => !ofBackend.test(name))),
    );
    expect(Object.keys(backend?.environment ?? {})).toEqual(
      expect.arrayContaining(wanted.filter((name) => name !== 'MAESN_SYNC_HEALTH_ADDRESS')),
    );
    const secrets = ['MAESN_API_KEY', 'MAESN_SYNC_SEALING_KEY', 'MAESN_SYNC_PAYLOAD_KEYS', 'MAESN_SYNC_EVENTS_SECRET'];
    for (const file of ['worker', 'backend']) {
      const manifest = read(`deploy/kubernetes/${file}.yaml`);
      for (const name of secrets) expect(manifest).toContain(`key: ${name}`);
    }
  });

  it('name a container without probes, with a password in the open, and without a version', () => {
    const document: unknown = parse(read('deploy/kubernetes/worker.yaml').split('---')[0] ?? '');
    const broken = JSON.parse(
      JSON.stringify(document)
        .replace('"livenessProbe"', '"noProbe"')
        .replace(/"name":"DATABASE_URL","valueFrom":\{.*?\}\}/, '"name":"DATABASE_URL","value":"postgres://..."'),
    ) as unknown;
    const told = brokenManifestRules([broken]).join('\n');
    expect(told).toMatch(/is not pinned/);
    expect(told).toMatch(/no livenessProbe/);
    expect(told).toMatch(/DATABASE_URL is not from a Secret/);
  });
});
