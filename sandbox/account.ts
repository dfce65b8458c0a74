/** One end user's books in one target system, and the key that opens them. */
import { randomBytes } from 'node:crypto';
import { isChild } from '../src/spec/resources.js';
import type { Collection, Resource } from '../src/spec/resources.js';
import type { WriteOperation } from '../src/spec/writes.js';
import { createBooks } from './books.js';
import type { Books, ListOrder } from './books.js';
import { createFaultScript } from './faults.js';
import type { FaultRule, FaultScript, Weather } from './faults.js';
import type { MalformedRule } from './malformed.js';
import { createTasks } from './tasks.js';
import type { Tasks } from './tasks.js';
import { createWriteTasks } from './write-tasks.js';
import type { CarriedOut, WriteTasks } from './write-tasks.js';
import type { SandboxWrite } from './writes.js';
import { createWebhooks } from './webhooks.js';
import type { EmitOptions, SandboxEvent, SandboxWebhook, WebhookDelivery, Webhooks } from './webhooks.js';

/** The target system has no such collection: 404 where only the name is given. */
export type UnsupportedResource = Resource | { readonly resource: Resource; readonly status: 404 | 405 };

export interface AccountOptions {
  /** Shown to the end user, and what the records depend on. Default: the name of an invented firm. */
  readonly name?: string;
  readonly targetSystem: string;
  /** How many records of each collection there are; 0 of those not named. What belongs to them comes with them. */
  readonly records: Partial<Record<Collection, number>>;
  readonly unsupported?: readonly UnsupportedResource[];
  /** Requests must carry it; else they are answered with 400. Absent: any company is accepted. */
  readonly companyId?: string;
  readonly environmentName?: string;
  /** Lists of these are answered with a task that will hold the page. */
  readonly asyncResources?: readonly Resource[];
  /** How often a task says IN_PROGRESS before it says FINISHED. Default: 2. */
  readonly pollsUntilFinished?: number;
  /** These writes are answered with a task that carries them out. */
  readonly asyncWrites?: readonly WriteOperation[];
  /** What polls of such a task are answered with, one after the other; the last one again and again. Default: `IN_PROGRESS`, `FINISHED`. */
  readonly taskStatuses?: readonly (string | null)[];
  /** Milliseconds until what was created by a write is listed. Default: 0, before it is answered. */
  readonly showsWritesAfterMs?: number;
  readonly malformed?: readonly MalformedRule[];
  /** How lists are sorted. Default: by creation, oldest first. */
  readonly order?: ListOrder;
  /** Called before a list is answered, with nothing between: what it changes, the answer shows. */
  readonly beforeList?: (resource: Resource) => void;
  /** Whether lists count their records in `meta.pagination`. Default: true. */
  readonly pagination?: boolean;
  /** `meta.warnings` of every list of the resource. */
  readonly warnings?: Partial<Record<Resource, readonly string[]>>;
  /** How long a webhook subscription lives; `null`: for ever, without a date. Default: 30 days. */
  readonly webhookLifeMs?: number | null;
  /** Faults without a script: as likely as it makes them, for as long as it likes. */
  readonly weather?: Weather;
}

const WEBHOOK_LIFE_MS = 30 * 86_400_000;

export interface SandboxAccount {
  readonly name: string;
  readonly targetSystem: string;
  /** The current one; signing in again changes it. */
  readonly accountKey: string;
  readonly revoked: boolean;
  /** From now on the key is answered with 401. */
  revoke(): void;
  /** The end user signs in again, without the page. Returns the account key, which is a new one by default. */
  reconnect(options?: { readonly sameKey?: boolean }): string;
  /** What the account holds now, in the order and the form of Maesn's list. */
  records(resource: Resource): readonly unknown[];
  count(resource: Collection): number;
  /**
   * Changes the record with that key, field by field, or inserts one at the end of the list; what is not given, the
   * key included, is generated. Its modified date becomes now. Returns the whole record.
   */
  put(resource: Collection, fields: Readonly<Record<string, unknown>>): Readonly<Record<string, unknown>>;
  /** Records without a key are known by their position in the list, from 0. */
  remove(resource: Collection, key: string | number): void;
  /** What was written through the API and carried out, in that order. */
  readonly writes: readonly SandboxWrite[];
  fault(rule: FaultRule): void;
  malform(rule: MalformedRule): void;
  /** Who wants to be told what, in order of subscription; also what has expired. */
  readonly webhooks: readonly SandboxWebhook[];
  /** Tells them. Nothing is told by itself: neither `put` nor `remove` nor `revoke` does. */
  emit(events: readonly SandboxEvent[], options?: EmitOptions): Promise<WebhookDelivery[]>;
}

/** An account as the server sees it. */
export interface OpenAccount extends SandboxAccount {
  readonly options: AccountOptions;
  readonly books: Books;
  readonly faults: FaultScript;
  readonly tasks: Tasks;
  readonly writeTasks: WriteTasks;
  /** Answers the id of the task. */
  startWriteTask(carryOut: (how: { readonly partly: boolean }) => CarriedOut): string;
  wrote(write: SandboxWrite): void;
  readonly subscriptions: Webhooks;
  /** Requests under way, for target systems that allow only one. */
  busy: number;
}

export interface AccountContext {
  readonly name: string;
  readonly seed: string;
  readonly now: () => Date;
  /** Makes the key known to the server. */
  readonly onKey: (accountKey: string, account: OpenAccount) => void;
}

export function createAccount(options: AccountOptions, { name, seed, now, onKey }: AccountContext): OpenAccount {
  const books = createBooks({ seed, name, records: options.records, now, order: options.order });
  for (const rule of options.malformed ?? []) books.malform(rule);
  const faults = createFaultScript(options.asyncResources ?? [], options.weather);
  const { targetSystem, webhookLifeMs: lifeMs = WEBHOOK_LIFE_MS } = options;
  const subscriptions = createWebhooks({ targetSystem, lifeMs, now });
  let accountKey = createAccountKey();
  let revoked = false;

  const writes: SandboxWrite[] = [];
  const writeTasks = createWriteTasks(options.taskStatuses ?? ['IN_PROGRESS', 'FINISHED']);

  const account: OpenAccount = {
    name,
    targetSystem,
    options,
    books,
    faults,
    tasks: createTasks(options.pollsUntilFinished ?? 2),
    writeTasks,
    startWriteTask: (carryOut) => writeTasks.start(carryOut),
    writes,
    wrote: (write) => void writes.push(write),
    subscriptions,
    busy: 0,
    get accountKey() {
      return accountKey;
    },
    get revoked() {
      return revoked;
    },
    revoke() {
      revoked = true;
    },
    reconnect({ sameKey = false } = {}) {
      revoked = false;
      if (!sameKey) accountKey = createAccountKey();
      onKey(accountKey, account);
      return accountKey;
    },
    records: (resource) =>
      isChild(resource) ? books.allChildren(resource) : books.list(resource, { offset: 0, count: Infinity }).records,
    count: (resource) => books.count(resource),
    put: (resource, fields) => books.put(resource, fields),
    remove: (resource, key) => books.remove(resource, String(key)),
    fault: (rule) => faults.add(rule),
    malform: (rule) => books.malform(rule),
    get webhooks() {
      return subscriptions.list();
    },
    emit: (events, emitOptions) => subscriptions.emit(events, emitOptions),
  };
  onKey(accountKey, account);
  return account;
}

/** The status that answers for a collection which the target system does not have. */
export function unsupportedStatus(account: OpenAccount, resource: Resource): 404 | 405 | undefined {
  const found = account.options.unsupported?.find(
    (entry) => (typeof entry === 'string' ? entry : entry.resource) === resource,
  );
  return typeof found === 'object' ? found.status : found && 404;
}

export function isAsync(account: OpenAccount, resource: Resource): boolean {
  return account.options.asyncResources?.includes(resource) === true;
}

function createAccountKey(): string {
  return `sandbox_account_key_${randomBytes(16).toString('hex')}`;
}
