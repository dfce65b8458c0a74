/** What goes on all the while: books that change, writes, and the people and programs around maesn-sync. They know what events tell them. */
import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { signIn } from '../../demo/end-user.js';
import type { SandboxAccount } from '../../sandbox/index.js';
import type { Resource } from '../../src/client.js';
import { resourceRow } from '../../src/spec/resources.js';
import { keyOf } from '../differences.js';
import type { Random } from './random.js';
import { until } from './until.js';
import type { Application, World } from './world.js';

export const RESOURCES = ['items', 'customers', 'invoices'] as const satisfies readonly Resource[];
const TARGETS = ['sevdesk', 'lexware-office', 'quickbooks', 'exact-nl', 'xero', 'abaconnect'] as const;
const RECORDS = { items: 230, customers: 120, invoices: 110 };
const EVERY = '4 seconds';
/** Stands in records and in what is written, and must be nowhere but in the store. */
export const RECORD_MARKER = `Zaunkönig ${randomUUID()} GmbH`;

export interface Customer {
  readonly connectionId: string;
  readonly account: SandboxAccount;
}

export interface Order {
  readonly connectionId: string;
  readonly key: string;
  readonly invoiceNumber: string;
}

export interface Workload {
  readonly customers: readonly Customer[];
  /** Everything that was ever to be written. */
  readonly orders: readonly Order[];
  readonly signIns: number;
  readonly decisions: number;
  onEvent(event: Application['taken'][number]): void;
  begin(world: World): Promise<void>;
  /** Something new in the books of everybody, and something to be written: resolves when all of it has come through. */
  progress(limitMs: number): Promise<Progress>;
  /** Nothing changes any more; the people stay. */
  calm(): void;
  /** Ends all syncs, so that nothing new happens. */
  stopSyncs(): Promise<void>;
  end(): Promise<void>;
}

export interface Progress {
  readonly seconds: number;
  /** What had not come through within the limit. */
  readonly missing: readonly string[];
}

/** Ids of the records that show whether everything goes on. */
const PROBE = 'probe-';

export function createWorkload(random: Random): Workload {
  const customers: Customer[] = [];
  const orders: Order[] = [];
  const toBeAsked = new Set<Order>();
  const toSignIn = new Set<string>();
  const toDecide = new Map<string, { readonly connectionId: string; readonly key: string }>();
  const toConfirm = new Set<string>();
  const over = new AbortController();
  const loops: Promise<void>[] = [];
  let changing = true;
  let world: World | undefined;
  let probes = 0;
  let signIns = 0;
  let decisions = 0;

  const here = (): World => {
    if (world === undefined) throw new Error('the workload has not begun');
    return world;
  };

  /** Until the end, one round after the other; what fails is tried again in the next. */
  function loop(everyMs: number, round: () => Promise<void> | void): void {
    loops.push(
      (async () => {
        while (!over.signal.aborted) {
          await Promise.resolve()
            .then(round)
            .catch(() => undefined);
          await sleep(everyMs, undefined, { signal: over.signal }).catch(() => undefined);
        }
      })(),
    );
  }

  function change(): void {
    if (!changing) return;
    const { account } = random.pick(customers);
    const resource = random.pick(RESOURCES);
    const keyField = resourceRow(resource).key ?? 'id';
    const key = keyOf(resource, random.pick(account.records(resource)));
    const name = `${RECORD_MARKER} ${probes}`;
    if (random.next() < 0.6) account.put(resource, { [keyField]: key, name });
    else if (random.next() < 0.7) account.put(resource, { [keyField]: randomUUID(), name });
    // Invoices are left: what was written is looked for among them; and so is what is waited for.
    else if (resource !== 'invoices' && !key.startsWith(PROBE)) account.remove(resource, key);
  }

  function newOrder(connectionId: string): Order {
    const number = orders.length + 1;
    const order = { connectionId, key: `order-${number}`, invoiceNumber: `F-${number}` };
    orders.push(order);
    toBeAsked.add(order);
    return order;
  }

  /** As an application with an outbox of its own does: until the backend has taken it. Now and then it asks twice. */
  async function ask(order: Order): Promise<void> {
    const { connectionId, key, invoiceNumber } = order;
    const content = { operation: 'createInvoice', body: { invoiceNumber, name: RECORD_MARKER } };
    await here().api.addWrite(connectionId, key, content);
    if (random.next() < 0.3) await here().api.addWrite(connectionId, key, content);
    toBeAsked.delete(order);
  }

  /** The person who must say what became of a write looks into the target system. */
  async function decide(connectionId: string, key: string): Promise<void> {
    const order = orders.find((known) => known.key === key);
    const { state } = await here().api.write(connectionId, key);
    if (state === 'undecided' && order !== undefined) {
      await here().api.resolveWrite(connectionId, key, written(order) > 0 ? 'applied' : 'not_applied');
      decisions += 1;
    }
    toDecide.delete(key);
  }

  async function signInAgain(connectionId: string): Promise<void> {
    const { account } = customerOf(connectionId);
    const { loginUrl } = await here().api.authorize(connectionId);
    const read = await signIn(loginUrl, account.name);
    if (!/connected/i.test(read)) throw new Error(`${connectionId} was not connected: ${read}`);
    signIns += 1;
    toSignIn.delete(connectionId);
  }

  const customerOf = (id: string): Customer => {
    const found = customers.find(({ connectionId }) => connectionId === id);
    if (found === undefined) throw new Error(`there is no customer ${id}`);
    return found;
  };

  function written({ connectionId, invoiceNumber }: Order): number {
    return customerOf(connectionId).account.writes.filter(({ record }) => record['invoiceNumber'] === invoiceNumber)
      .length;
  }

  /** What an operator does: starts what has ended, asks again for what is not offered, ends a wait that was asked for by mistake. */
  async function operate({ connectionId }: Customer): Promise<void> {
    const { api } = here();
    const { state, retry, failedCycles = 0, notOffered } = await api.sync(connectionId);
    if (['NotStarted', 'Completed', 'Failed', 'Terminated'].includes(state)) {
      await api.startSync(connectionId, { resources: RESOURCES, every: EVERY });
    }
    for (const resource of Object.keys(notOffered)) await api.recheckResource(connectionId, resource);
    if (state === 'Idle' && failedCycles > 0) await api.syncNow(connectionId);
    const waitsMs = retry === undefined ? 0 : Date.parse(retry.nextAttemptAt) - Date.now();
    const { items: waiting } = await api.writes({ state: 'waiting' }, connectionId);
    const olderThan = Date.now() - 30_000;
    if (waitsMs > 30_000 || waiting.some(({ createdAt }) => Date.parse(createdAt) < olderThan))
      await api.retryNow(connectionId);
  }

  return {
    customers,
    orders,
    get signIns() {
      return signIns;
    },
    get decisions() {
      return decisions;
    },
    onEvent({ type, data }) {
      const connectionId = String(data['connectionId']);
      if (type === 'connection.reauthorization_required') toSignIn.add(connectionId);
      if (type === 'sync.deletes_withheld') toConfirm.add(connectionId);
      if (type === 'write.undecided') {
        const key = String(data['idempotencyKey']);
        toDecide.set(key, { connectionId, key });
      }
    },

    async begin(given) {
      world = given;
      for (const targetSystem of TARGETS) {
        const account = given.sandbox.addAccount({
          name: targetSystem,
          targetSystem,
          records: RECORDS,
          weather: given.weather.of,
        });
        const connectionId = `customer-${targetSystem}`;
        customers.push({ connectionId, account });
        await given.api.addConnection({ connectionId, targetSystem, accountKey: account.accountKey });
        await given.api.startSync(connectionId, { resources: RESOURCES, every: EVERY });
      }
      loop(300, change);
      loop(600, () => {
        if (changing) newOrder(random.pick(customers).connectionId);
      });
      loop(300, () => each([...toBeAsked], ask));
      loop(500, () => each([...toSignIn], signInAgain));
      loop(500, () => each([...toDecide.values()], ({ connectionId, key }) => decide(connectionId, key)));
      loop(500, () =>
        each([...toConfirm], async (connectionId) => {
          await given.api.decideDeletes(connectionId, 'delete');
          toConfirm.delete(connectionId);
        }),
      );
      loop(2_000, () => each(customers, operate));
    },

    async progress(limitMs) {
      const began = Date.now();
      probes += 1;
      const probe = `${PROBE}${probes}`;
      for (const { account } of customers) account.put('items', { id: probe, name: RECORD_MARKER });
      const order = newOrder(random.pick(customers).connectionId);
      let missing: string[] = [];
      const arrived = await until(async () => {
        missing = ['the store'];
        const rows = await here().query(
          `select connection_id from maesn_sync.records where resource = 'items' and key = '${probe}' and deleted_at is null`,
        );
        const [write] = await here().query(
          `select state from maesn_sync.writes where connection_id = '${order.connectionId}' and idempotency_key = '${order.key}'`,
        );
        const there = new Set(rows.map((row) => row['connection_id']));
        missing = customers.map(({ connectionId }) => connectionId).filter((id) => !there.has(id));
        if (write?.['state'] !== 'ended') missing.push(`write ${order.key} of ${order.connectionId}`);
        return missing.length === 0;
      }, limitMs);
      return { seconds: (Date.now() - began) / 1_000, missing: arrived === true ? [] : missing };
    },

    calm() {
      changing = false;
    },
    async stopSyncs() {
      for (const { connectionId } of customers) {
        await until(async () => {
          const { state } = await here().api.sync(connectionId);
          if (state === 'Cancelled') return true;
          await here().api.cancelSync(connectionId);
          return false;
        }, 60_000);
      }
    },
    async end() {
      over.abort();
      await Promise.all(loops);
    },
  };
}

/** All of them, also when some fail: they are tried again. */
async function each<Item>(items: readonly Item[], act: (item: Item) => Promise<void>): Promise<void> {
  await Promise.allSettled(items.map(act));
}
