/** The environment, read here and nowhere else. A wrong variable is named at start, all of them at once. */
import { z } from 'zod';
import type { ReauthorizationTimes } from './workflows/messages.js';

const DURATION = /^(\d+(?:\.\d+)?)\s*(ms|s|seconds?|m|minutes?|h|hours?|d|days?)$/;
const UNIT_MS: Readonly<Record<string, number>> = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 };

/** `'30 seconds'`, `'1 hour'`, `'14 days'` in milliseconds. */
const duration = z
  .string()
  .regex(DURATION, 'must be a duration such as "30 seconds", "1 hour" or "14 days"')
  .transform((text) => {
    const [, amount = '0', unit = 'ms'] = DURATION.exec(text) ?? [];
    return Number(amount) * (UNIT_MS[unit] ?? UNIT_MS[unit.charAt(0)] ?? 1);
  });

export const httpUrl = z.url({ protocol: /^https?$/, error: 'must be an http or https URL' });

const address = z.string().regex(/^[^\s:]*:\d{1,5}$|^\[[\d:a-f]+\]:\d{1,5}$/, 'must be host:port');

/** `name:token,name:token`. The name is who the journal says it was. */
const tokens = z
  .string()
  .transform((text) =>
    text.split(',').map((entry) => /^(?<name>[\w.@-]{1,50}):(?<token>[!-~]{16,500})$/.exec(entry.trim())?.groups),
  )
  .refine(
    (entries) => entries.every((entry) => entry !== undefined),
    'must be name:token, several with commas between them; a token has 16 to 500 characters, without spaces or commas',
  )
  .transform((entries) =>
    entries.flatMap((entry) =>
      entry === undefined ? [] : [{ name: entry['name'] ?? '', token: entry['token'] ?? '' }],
    ),
  );

const positive = z.int('must be a whole number').min(1, 'must be at least 1');

/** 1 to 50: more in flight for one connection is no agreement any vendor is known to make. */
const concurrency = z.int('must be a whole number').min(1, 'must be 1 to 50').max(50, 'must be 1 to 50');

const targetSystem = z.strictObject({
  rateLimits: z
    .array(
      z.strictObject({ requests: positive, perMs: positive, scope: z.enum(['connection', 'client']).exactOptional() }),
    )
    .exactOptional(),
  concurrency: concurrency.exactOptional(),
  // Of one error, half is none.
  errorLimit: z
    .strictObject({ requests: z.int('must be a whole number').min(2, 'must be at least 2'), perMs: positive })
    .exactOptional(),
  exclusive: z.boolean().exactOptional(),
  wholeSeconds: z.boolean().exactOptional(),
  webhooks: z.boolean().exactOptional(),
  readsOwnWritesAfterMs: z.int('must be a whole number').min(0, 'must be at least 0').exactOptional(),
});

/** JSON: rows of the table of target systems, by slug. */
const targetSystems = z
  .string()
  .transform((text, context): unknown => {
    try {
      return JSON.parse(text);
    } catch {
      context.addIssue({ code: 'custom', message: 'must be JSON, such as {"xero":{"concurrency":10}}' });
      return z.NEVER;
    }
  })
  .pipe(
    z.record(z.string().regex(/^[a-z0-9][a-z0-9-]{0,99}$/), targetSystem, {
      error: (issue) =>
        issue.code === 'invalid_key'
          ? 'must be a target system such as "xero"'
          : 'must be an object of target systems, such as {"xero":{"concurrency":10}}',
    }),
  );

const flag = z.enum(['true', 'false']).transform((text) => text === 'true');

const KEY_BYTES = 32;

/** `<base64>,<base64>`: the first seals, all of them open. */
const sealingKeys = z
  .string()
  .transform((text) => text.split(',').map((key) => Buffer.from(key.trim(), 'base64')))
  .refine(
    (keys) => keys.every(({ length }) => length === KEY_BYTES),
    'must be 32 bytes in base64, older keys after it with commas between them; make one with: openssl rand -base64 32',
  );

/** `<id>:<base64>,<id>:<base64>`: the first encrypts, all of them decrypt. */
const payloadKeys = z
  .string()
  .transform((text) =>
    text.split(',').map((entry) => {
      const [, id = '', key = ''] = /^([\w.-]{1,50}):(.+)$/.exec(entry.trim()) ?? [];
      return { id, key: Buffer.from(key, 'base64') };
    }),
  )
  .refine(
    (keys) => keys.every(({ key }) => key.length === KEY_BYTES),
    'must be <id>:<32 bytes in base64>, older keys after it with commas between them; make one with: echo "$(date +%Y-%m-%d):$(openssl rand -base64 32)"',
  )
  .refine(
    (keys) => new Set(keys.map(({ id }) => id)).size === keys.length,
    'must not have two keys with one id: what is encrypted names its key by it',
  );

/** One row a variable; the README's table is made from it. Those of Temporal itself are read by Temporal's SDK. */
export const VARIABLES = {
  MAESN_API_KEY: z.string().min(1).optional().meta({
    description: 'Identifies you at Maesn (`X-API-KEY`). Without it, `npm start` runs against the sandbox.',
  }),
  MAESN_BASE_URL: httpUrl.default('https://api.maesn.dev').meta({ description: 'Where Maesn is.' }),
  MAESN_TIMEOUT: duration.prefault('30 seconds').meta({ description: 'How long one request to Maesn may take.' }),
  MAESN_MAX_RESPONSE_BYTES: z.coerce
    .number()
    .int()
    .min(1_024)
    .default(33_554_432)
    .meta({ description: 'A longer answer is refused: it would not fit into the memory of a Worker.' }),
  MAESN_PROBE_PATH: z
    .string()
    .startsWith('/')
    .default('/accounting/profile')
    .meta({ description: 'A cheap authorised call that tells whether a login is alive.' }),
  MAESN_LOGIN_METHOD: z.enum(['GET', 'POST']).default('GET').meta({
    description:
      'How a login page is asked for: `GET /auth/...`, or the newer `POST /auth/...`, with which Maesn also posts the account key to us.',
  }),
  MAESN_CALLBACK_ACCOUNT_KEY: z.string().min(1).default('accountKey').meta({
    description:
      'Name of the account key in the callback after a login. Not in Maesn’s published documents: UNVERIFIED.',
  }),
  MAESN_CALLBACK_SIGNATURE: z.string().min(1).default('signature').meta({
    description: 'Name of the signature in the callback. UNVERIFIED; looked at only with MAESN_SIGNING_SECRET.',
  }),
  MAESN_SIGNING_SECRET: z.string().min(1).optional().meta({
    description:
      'Secret of Maesn’s callback signatures: HMAC-SHA256 of the account key, hex or base64 (UNVERIFIED). Without it, the single-use state alone protects the callback.',
  }),
  MAESN_RETRY_TIME_SCALE: z.coerce.number().min(1).max(10_000).default(1).meta({
    description: 'Divides the delays of the error guide. 1 = real time; anything else is refused outside the sandbox.',
  }),
  DATABASE_URL: z
    .url({ protocol: /^postgres(ql)?$/, error: 'must be a postgres:// URL' })
    .optional()
    .meta({
      description: 'The Postgres that keeps the books. Without it, `npm start` keeps them in the data folder (PGlite).',
    }),
  MAESN_SYNC_SEALING_KEY: sealingKeys.optional().meta({
    description:
      'Seals account keys, webhook secrets and the contents of writes in the store: 32 bytes, base64; to change it, the new one first, older ones after it, with commas between them (docs/security.md). Needed with DATABASE_URL; without it, one is made in the data folder.',
  }),
  MAESN_SYNC_PAYLOAD_KEYS: payloadKeys.optional().meta({
    description:
      'Encrypts what Temporal keeps: `<id>:<base64>`, 32 bytes; to change it, the new one first, older ones after it, with commas between them (docs/security.md). Every process and application that speaks to the same Temporal needs it. Without it, nothing is encrypted.',
  }),
  MAESN_SYNC_DATA_DIR: z.string().min(1).default('.maesn-sync').meta({
    description: 'Folder of the embedded Temporal server and PGlite.',
  }),
  MAESN_SYNC_TASK_QUEUE: z
    .string()
    .min(1)
    .default('maesn-sync')
    .meta({ description: 'Temporal task queue of the Workers.' }),
  TEMPORAL_WORKER_DEPLOYMENT_NAME: z.string().min(1).max(200).optional().meta({
    description:
      'Temporal Worker Versioning: the deployment that a Worker is part of. With it, a Worker gets no work until its version is made the current one.',
  }),
  TEMPORAL_WORKER_BUILD_ID: z
    .string()
    .min(1)
    .max(200)
    .optional()
    .meta({ description: 'The version of that deployment: whatever names this build. Both, or neither.' }),
  MAESN_SYNC_HEALTH_ADDRESS: address
    .optional()
    .meta({ description: '`host:port` on which a Worker answers `/healthz` and `/readyz`. Without it, it does not.' }),
  MAESN_SYNC_WORKER_METRICS_ADDRESS: address.optional().meta({
    description:
      '`host:port` on which a Worker answers Prometheus at `/metrics`; see docs/observability.md. Without it, it does not.',
  }),
  MAESN_SYNC_METRICS_ADDRESS: address.optional().meta({
    description:
      '`host:port` on which the backend answers Prometheus at `/metrics`, without a token. Without it, it does not.',
  }),
  MAESN_SYNC_SHUTDOWN_GRACE: duration
    .prefault('20 seconds')
    .meta({ description: 'How long a Worker that is told to stop lets Activities finish before it cancels them.' }),
  MAESN_SYNC_MAX_CONCURRENT_ACTIVITIES: z.coerce.number().int().min(1).default(100).meta({
    description: 'How many connections one Worker pulls at once.',
  }),
  MAESN_SYNC_FULL_WALK_EVERY: duration.prefault('1 day').meta({
    description:
      'How often a resource is read in full. Between, only changes are asked for; what was deleted is found by a full walk alone.',
  }),
  MAESN_SYNC_DELETE_GUARD_PERCENT: z.coerce.number().min(0).max(100).default(20).meta({
    description:
      'When a larger share of a resource’s records is gone at once, or all of them, the connection is held until somebody confirms the deletion.',
  }),
  MAESN_SYNC_TARGET_SYSTEMS: targetSystems.optional().meta({
    description:
      'What you have agreed with a vendor, or know of a system that we do not: JSON by slug, fields as in `src/spec/target-systems.ts`. `{"xero":{"concurrency":10,"rateLimits":[{"requests":120,"perMs":60000}]}}`.',
  }),
  MAESN_SYNC_REMIND_EVERY: duration
    .prefault('1 day')
    .meta({ description: 'How often the application is reminded of an end user who must sign in again.' }),
  MAESN_SYNC_REAUTHORIZATION_EXPIRES: duration
    .prefault('30 days')
    .meta({ description: 'After this time nobody is expected to sign in any more, and the sync ends.' }),
  MAESN_SYNC_ADDRESS: address.default('127.0.0.1:8080').meta({
    description:
      '`host:port` of the backend: its HTTP API and its page. Anything but loopback needs MAESN_SYNC_TOKENS. Not set, `npm start` takes another port when that one is taken, and says so.',
  }),
  MAESN_SYNC_PUBLIC_URL: httpUrl.optional().meta({
    description:
      'Where browsers and Maesn reach the backend. Without it, links lead to MAESN_SYNC_ADDRESS and Maesn is not asked for webhooks.',
  }),
  MAESN_SYNC_TOKENS: tokens.optional().meta({
    description:
      'Bearer tokens of the HTTP API and the page: `name:token,name:token`. Without it, only this machine is served; needed with a MAESN_SYNC_PUBLIC_URL.',
  }),
  MAESN_SYNC_REQUESTS_PER_MINUTE: z.coerce.number().int().min(1).default(1_200).meta({
    description: 'How often one caller may ask the HTTP API; more is answered with 429.',
  }),
  MAESN_SYNC_RETURN_URL: httpUrl.optional().meta({
    description:
      'Where the end user goes after signing in, with `connectionId` and `outcome` (`connected`, `pending`: the key is still to come, `cancelled`, `failed`). Without it, a page of ours says so.',
  }),
  MAESN_SYNC_LOGIN_EXPIRES: duration.prefault('1 hour').meta({
    description: 'How long an end user may take from asking for the login page to coming back from it.',
  }),
  MAESN_SYNC_EVENTS_URL: httpUrl.optional().meta({
    description: 'Where events are delivered (Standard Webhooks). Without it, they can be read from the HTTP API.',
  }),
  MAESN_SYNC_EVENTS_SECRET: z
    .string()
    .regex(
      /^whsec_[A-Za-z0-9+/]{32,}={0,2}$/,
      'must be whsec_ and at least 24 bytes in base64; make one with: echo whsec_$(openssl rand -base64 32)',
    )
    .optional()
    .meta({ description: 'Signs delivered events. Needed with MAESN_SYNC_EVENTS_URL.' }),
  MAESN_SYNC_EVENTS_ALLOW_PRIVATE: flag.prefault('false').meta({
    description: '`true`: events may be delivered to private and loopback addresses.',
  }),
  MAESN_SYNC_TEMPORAL_UI_URL: httpUrl.optional().meta({
    description: 'Where Temporal’s UI is, for links to it. Of a Temporal that is started here, it is known.',
  }),
  MAESN_SYNC_URL: httpUrl.optional().meta({
    description:
      'For the commands that ask a running backend: where it is. Default: MAESN_SYNC_ADDRESS on this machine.',
  }),
  MAESN_SYNC_TOKEN: z.string().min(1).optional().meta({
    description: 'For the same commands: the bearer token. Default: the first of MAESN_SYNC_TOKENS.',
  }),
  LOG_LEVEL: z
    .enum(['trace', 'debug', 'info', 'warn', 'error'])
    .default('info')
    .meta({ description: 'Logs are JSON lines on standard error.' }),
} as const;

const schema = z.object(VARIABLES);

export type Config = z.output<typeof schema> & {
  /** For Temporal's own environment configuration (`TEMPORAL_ADDRESS`, `TEMPORAL_API_KEY`, ...), and for finding programs. */
  readonly env: Environment;
};

export type Environment = Readonly<Record<string, string | undefined>>;

/** Names every variable that is wrong. */
export class ConfigError extends Error {
  override readonly name = 'ConfigError';
}

export interface ReadConfigOptions {
  readonly env?: Environment;
  /** Values that the process itself gives, such as the address of a sandbox that it has started. */
  readonly overrides?: Readonly<Partial<Record<keyof typeof VARIABLES, string>>>;
  /** Set by a process that has started a sandbox and talks to nothing else. */
  readonly sandbox?: boolean;
}

export function readConfig({ env = process.env, overrides = {}, sandbox = false }: ReadConfigOptions = {}): Config {
  // An empty variable is one that is not set: that is how compose files and shells leave one out.
  const given = Object.fromEntries(Object.entries({ ...env, ...overrides }).filter(([, value]) => value !== ''));
  const parsed = schema.safeParse(given);
  const wrong = parsed.success ? [] : parsed.error.issues.map(({ path, message }) => `${path.join('.')}: ${message}`);
  if (parsed.success && parsed.data.MAESN_RETRY_TIME_SCALE !== 1 && !sandbox) {
    wrong.push(
      'MAESN_RETRY_TIME_SCALE: only the sandbox may be asked faster than the error guide allows; leave it out',
    );
  }
  if (parsed.success) {
    const { TEMPORAL_WORKER_DEPLOYMENT_NAME: name, TEMPORAL_WORKER_BUILD_ID: buildId } = parsed.data;
    if ((name === undefined) !== (buildId === undefined)) {
      wrong.push('TEMPORAL_WORKER_DEPLOYMENT_NAME, TEMPORAL_WORKER_BUILD_ID: set both, or neither');
    }
  }
  if (parsed.success && parsed.data.MAESN_SYNC_EVENTS_URL !== undefined) {
    if (parsed.data.MAESN_SYNC_EVENTS_SECRET === undefined) {
      wrong.push('MAESN_SYNC_EVENTS_SECRET: must be set with MAESN_SYNC_EVENTS_URL, so that events can be verified');
    }
    const { protocol, username, password } = new URL(parsed.data.MAESN_SYNC_EVENTS_URL);
    if (protocol !== 'https:' && !parsed.data.MAESN_SYNC_EVENTS_ALLOW_PRIVATE) {
      wrong.push('MAESN_SYNC_EVENTS_URL: must be https, unless MAESN_SYNC_EVENTS_ALLOW_PRIVATE is true');
    }
    if (username !== '' || password !== '') {
      wrong.push('MAESN_SYNC_EVENTS_URL: must not hold a user name or password; events are known by their signature');
    }
  }
  if (!parsed.success || wrong.length > 0)
    throw new ConfigError(`The environment is not right:\n  ${wrong.join('\n  ')}`);
  return { ...parsed.data, env };
}

/** The part of the configuration that everybody needs who starts the Workflow reauthorizeConnection. */
export function reauthorizationTimes(config: Config): ReauthorizationTimes {
  return { remindEveryMs: config.MAESN_SYNC_REMIND_EVERY, expireAfterMs: config.MAESN_SYNC_REAUTHORIZATION_EXPIRES };
}

/** Where the application receives events; `undefined`: nowhere. */
export function eventReceiver(config: Config) {
  const { MAESN_SYNC_EVENTS_URL: url, MAESN_SYNC_EVENTS_SECRET: secret } = config;
  if (url === undefined || secret === undefined) return undefined;
  return { url, secret, allowPrivate: config.MAESN_SYNC_EVENTS_ALLOW_PRIVATE };
}

/** Where browsers and Maesn reach the backend; without a slash at the end. */
export function publicUrl(config: Config, backendUrl: string): string {
  return (config.MAESN_SYNC_PUBLIC_URL ?? backendUrl).replace(/\/$/, '');
}

/** `host:port` in its parts, for `listen`; without a host, every one. */
export function hostAndPort(hostPort: string): { readonly host: string; readonly port: number } {
  const separator = hostPort.lastIndexOf(':');
  return {
    host: hostPort.slice(0, separator).replace(/^\[(.*)\]$/, '$1') || '0.0.0.0',
    port: Number(hostPort.slice(separator + 1)),
  };
}

/** Of a URL, as `listen` and `isIP` take it. */
export function hostOf(url: string): string {
  return new URL(url).hostname.replace(/^\[(.*)\]$/, '$1');
}

/** A host and a port, in a URL. */
export function originOf({ host, port }: { readonly host: string; readonly port: number }): string {
  return `http://${host.includes(':') ? `[${host}]` : host}:${port}`;
}

/** Where the backend is reached from this machine. */
export function localUrl({ MAESN_SYNC_ADDRESS }: Config): string {
  return `http://${MAESN_SYNC_ADDRESS.replace(/^(?:0\.0\.0\.0|\[::\])?:/, '127.0.0.1:')}`;
}

type Name = keyof typeof VARIABLES;

/** A configuration in which these variables are set. */
export type ConfigWith<Names extends Name> = Config & { readonly [Each in Names]-?: NonNullable<Config[Each]> };

const LOOPBACK = new Set(['127.0.0.1', 'localhost', '::1']);

/** Why a backend would be open to others; of a Worker or an application, which are told the public URL too, it is nothing wrong. */
export function openToOthers(config: Config): string | undefined {
  const { MAESN_SYNC_ADDRESS: listensAt, MAESN_SYNC_PUBLIC_URL: url } = config;
  if (config.MAESN_SYNC_TOKENS !== undefined) return undefined;
  if (!LOOPBACK.has(hostAndPort(listensAt).host)) {
    return `MAESN_SYNC_TOKENS: must be set when MAESN_SYNC_ADDRESS is not loopback (${listensAt})`;
  }
  // A proxy that goes before it makes everybody one of this machine.
  if (url !== undefined && !LOOPBACK.has(hostOf(url))) {
    return `MAESN_SYNC_TOKENS: must be set with MAESN_SYNC_PUBLIC_URL (${url})`;
  }
  return undefined;
}

/** Of whoever starts a backend, before anything else is started. */
export function refuseOpenToOthers(config: Config): void {
  const wrong = openToOthers(config);
  if (wrong !== undefined) throw new ConfigError(`The environment is not right:\n  ${wrong}`);
}

/** By whoever runs this, and not by a default. */
export function isSet({ env }: Config, name: Name): boolean {
  return (env[name] ?? '') !== '';
}

/** Refuses a configuration without the variables that this process cannot do without, and names all that are missing. */
export function requireVariables<Names extends Name>(config: Config, ...names: Names[]): ConfigWith<Names> {
  if (hasVariables(config, names)) return config;
  const missing = names.filter((name) => config[name] === undefined);
  throw new ConfigError(`The environment is not right:${missing.map((name) => `\n  ${name}: must be set`).join('')}`);
}

function hasVariables<Names extends Name>(config: Config, names: readonly Names[]): config is ConfigWith<Names> {
  return names.every((name) => config[name] !== undefined);
}
