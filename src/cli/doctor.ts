/** Is everything there that the environment names, and does it fit together? Changes nothing. */
import { isIP } from 'node:net';
import { optionalTsToDate } from '@temporalio/common/lib/time.js';
import type { temporal } from '@temporalio/proto';
import { isPublicAddress } from '../application/public-address.js';
import { hostOf, isSet, openToOthers } from '../config.js';
import type { Config } from '../config.js';
import { inspectStore } from '../store/inspect.js';
import { howToAddSearchAttributes, missingSearchAttributes } from '../search-attributes.js';
import { connectClient, temporalAddress } from '../temporal.js';
import { API_ARGS, createApi } from './api.js';
import { printJson } from './output.js';
import { CommandError, command, say } from './process.js';

interface Finding {
  readonly what: string;
  readonly result: 'ok' | 'warning' | 'wrong';
  readonly detail: string;
  /** What to do about it. */
  readonly fix?: string;
}

const TIMEOUT_MS = 10_000;
const MARKS = { ok: '✓', warning: '!', wrong: '✗' } as const;

export const doctor = command({
  name: 'doctor',
  description: 'Check every address, key and table that the environment names, and say how to mend what is wrong',
  args: API_ARGS,
  run: async ({ args, config }) => {
    const api = createApi(args, config);
    const findings = [
      checkEnvironment(config),
      ...(await checkTemporal(config)),
      ...(await checkStore(config)),
      ...(await checkMaesn(config)),
      await checkBackend(() => api.ready()),
      ...checkEvents(config),
    ];
    if (args.json === true) printJson(findings);
    else {
      for (const { what, result, detail, fix } of findings) {
        say(`${MARKS[result]} ${what}: ${detail}${fix === undefined ? '' : `\n    ${fix}`}`);
      }
    }
    const wrong = findings.filter(({ result }) => result === 'wrong').length;
    if (wrong > 0) throw new CommandError(`${wrong} of ${findings.length} checks found something wrong.`, 1);
  },
});

function checkEnvironment(config: Config): Finding {
  const what = 'environment';
  const wrong = openToOthers(config);
  if (wrong === undefined) return { what, result: 'ok', detail: 'every variable that is set is right' };
  return {
    what,
    // Only a backend is told where to listen; without it, this may be where a Worker runs.
    result: isSet(config, 'MAESN_SYNC_ADDRESS') ? 'wrong' : 'warning',
    detail: `dev and serve do not start: ${wrong}`,
    fix: 'Set it where the backend runs: name:token, several with commas between them.',
  };
}

async function checkTemporal(config: Config): Promise<Finding[]> {
  const { address, namespace } = temporalAddress(config.env);
  const what = `Temporal at ${address}`;
  let client: Awaited<ReturnType<typeof connectClient>>;
  try {
    client = await connectClient(config);
  } catch (error) {
    return [
      {
        what,
        result: 'wrong',
        detail: messageOf(error),
        fix: 'Start it, or set TEMPORAL_ADDRESS (and TEMPORAL_API_KEY, TEMPORAL_TLS...).',
      },
    ];
  }
  try {
    await client.workflowService.describeNamespace({ namespace });
    const name = config.MAESN_SYNC_TASK_QUEUE;
    const { pollers } = await client.workflowService.describeTaskQueue({
      namespace,
      taskQueue: { name },
      taskQueueType: 1,
    });
    const workers = (pollers ?? []).filter(isPolling).length;
    return [
      { what, result: 'ok', detail: `answers, and has the namespace ${namespace}` },
      toFinding(await missingSearchAttributes(client.connection, namespace), namespace),
      workers > 0
        ? { what: 'Workers', result: 'ok', detail: `${workers} on the task queue ${name}` }
        : {
            what: 'Workers',
            result: 'wrong',
            detail: `none on the task queue ${name}`,
            fix: 'Start one: maesn-sync worker; or set MAESN_SYNC_TASK_QUEUE.',
          },
    ];
  } catch (error) {
    return [
      {
        what,
        result: 'wrong',
        detail: messageOf(error),
        fix: `Create the namespace ${namespace}, or set TEMPORAL_NAMESPACE.`,
      },
    ];
  } finally {
    await client.connection.close();
  }
}

/** A Worker asks for work at least once a minute; Temporal lists one for five minutes after it has stopped. */
export function isPolling({ lastAccessTime }: temporal.api.taskqueue.v1.IPollerInfo): boolean {
  const asked = optionalTsToDate(lastAccessTime)?.getTime() ?? 0;
  return Date.now() - asked < 70_000;
}

function toFinding(missing: readonly string[] | undefined, namespace: string): Finding {
  const what = 'search attributes';
  const fix = howToAddSearchAttributes(namespace);
  if (missing === undefined) return { what, result: 'warning', detail: 'cannot be told', fix };
  if (missing.length === 0) return { what, result: 'ok', detail: 'there' };
  return { what, result: 'wrong', detail: `the namespace lacks ${missing.join(', ')}: no sync can be started`, fix };
}

async function checkStore({ DATABASE_URL: url, MAESN_SYNC_SEALING_KEY: key }: Config): Promise<Finding[]> {
  const what = 'Postgres';
  if (url === undefined) {
    const fix = 'Set DATABASE_URL, unless everything runs on this machine with maesn-sync dev.';
    return [{ what, result: 'warning', detail: 'DATABASE_URL is not set: the embedded one is used', fix }];
  }
  if (key === undefined) {
    const fix = 'Set it to what the Workers have. For a new store, make one: openssl rand -base64 32.';
    return [{ what: 'sealing key', result: 'wrong', detail: 'MAESN_SYNC_SEALING_KEY is not set', fix }];
  }
  try {
    const { missingMigrations, keys, sealedOtherwise } = await inspectStore(url, key);
    const upToDate = missingMigrations === 0;
    const behind =
      missingMigrations === undefined ? 'it has no tables yet' : `${missingMigrations} migrations are missing`;
    return [
      { what, result: 'ok', detail: 'answers' },
      upToDate
        ? { what: 'tables', result: 'ok', detail: 'up to date' }
        : { what: 'tables', result: 'wrong', detail: behind, fix: 'Run maesn-sync migrate.' },
      sealedOtherwise === 0
        ? { what: 'sealing key', result: 'ok', detail: `opens all ${keys} account keys` }
        : {
            what: 'sealing key',
            result: 'wrong',
            detail: `does not open ${sealedOtherwise} of ${keys} account keys`,
            fix: 'Set MAESN_SYNC_SEALING_KEY to the key that they were sealed with; else those customers must reconnect.',
          },
    ];
  } catch (error) {
    return [
      {
        what,
        result: 'wrong',
        detail: messageOf(error),
        fix: 'Check DATABASE_URL, and that the server lets this machine in.',
      },
    ];
  }
}

async function checkMaesn({ MAESN_BASE_URL: base, MAESN_API_KEY: apiKey }: Config): Promise<Finding[]> {
  if (apiKey === undefined) {
    const fix = 'Set MAESN_API_KEY, unless everything runs on this machine with maesn-sync dev.';
    return [{ what: 'Maesn', result: 'warning', detail: 'MAESN_API_KEY is not set: the sandbox is used', fix }];
  }
  const what = `Maesn at ${base}`;
  const ask = (path: string, headers: Record<string, string> = {}) =>
    fetch(`${base.replace(/\/$/, '')}${path}`, {
      headers,
      redirect: 'manual',
      signal: AbortSignal.timeout(TIMEOUT_MS),
    });
  try {
    const { status } = await ask('/health');
    const findings: Finding[] = [
      status < 500
        ? { what, result: 'ok', detail: `answers (${status})` }
        : { what, result: 'warning', detail: `answers ${status}`, fix: 'Wait; or ask Maesn’s support if it persists.' },
    ];
    // The one request that needs this key alone and changes nothing.
    const { status: keyStatus } = await ask('/tenants/get-target-system-values', { 'X-API-KEY': apiKey });
    const refused = keyStatus === 401 || keyStatus === 403;
    const known = keyStatus >= 200 && keyStatus < 300;
    findings.push({
      what: 'API key',
      result: refused ? 'wrong' : known ? 'ok' : 'warning',
      detail: refused
        ? 'refused'
        : known
          ? 'accepted'
          : `cannot be told: the request that tells is answered ${keyStatus}`,
      ...(refused ? { fix: 'Check MAESN_API_KEY.' } : {}),
    });
    return findings;
  } catch (error) {
    return [{ what, result: 'wrong', detail: messageOf(error), fix: 'Check MAESN_BASE_URL and the network.' }];
  }
}

async function checkBackend(ready: () => Promise<Readonly<Record<string, boolean>>>): Promise<Finding> {
  const what = 'backend';
  try {
    const lacking = Object.entries(await ready()).filter(([, isThere]) => !isThere);
    if (lacking.length === 0) return { what, result: 'ok', detail: 'answers, and is ready' };
    return {
      what,
      result: 'wrong',
      detail: `is not ready: ${lacking.map(([name]) => name).join(', ')}`,
      fix: 'Look at its log.',
    };
  } catch (error) {
    const fix = 'Start it: maesn-sync serve; or set MAESN_SYNC_URL.';
    return { what, result: 'warning', detail: messageOf(error), fix };
  }
}

function checkEvents({ MAESN_SYNC_EVENTS_URL: url, MAESN_SYNC_EVENTS_ALLOW_PRIVATE: allowed }: Config): Finding[] {
  if (url === undefined) return [];
  const { protocol } = new URL(url);
  const host = hostOf(url);
  const inside = host === 'localhost' || (isIP(host) !== 0 && !isPublicAddress(host));
  if (allowed || (!inside && protocol === 'https:')) return [{ what: 'events', result: 'ok', detail: `go to ${host}` }];
  const fix = 'Set MAESN_SYNC_EVENTS_ALLOW_PRIVATE=true if that is meant, or use a public https URL.';
  return [{ what: 'events', result: 'wrong', detail: `${url} is private or not https: nothing is sent there`, fix }];
}

function messageOf(error: unknown): string {
  const cause: unknown =
    error instanceof Error && error.cause instanceof Error && error.message === 'fetch failed' ? error.cause : error;
  return cause instanceof Error ? cause.message : String(cause);
}
