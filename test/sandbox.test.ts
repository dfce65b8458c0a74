import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { z } from 'zod';
import { startSandbox } from '../sandbox/index.js';
import type {
  AccountOptions,
  FaultAnswer,
  LoggedRequest,
  Sandbox,
  SandboxAccount,
  SandboxOptions,
} from '../sandbox/index.js';
import { FAULT_KINDS } from '../sandbox/faults.js';
import type { FaultKind } from '../sandbox/faults.js';
import { columnsOf } from '../src/spec/columns.js';
import { CHILD_RESOURCES, DEFAULT_RESOURCES, childPath, parentOf, resourceRow } from '../src/spec/resources.js';
import type { Resource, ResourceRow } from '../src/spec/resources.js';
import { standIn } from './support/stand-in.js';

/** The fields that Maesn's schemas name. */
const fieldsOf = (resource: Resource) => [...new Set(columnsOf(resource).map(({ path: [first] }) => first))].toSorted();

let sandbox: Sandbox;

beforeEach(async () => {
  sandbox = await startSandbox();
});

afterEach(() => sandbox.close());

const envelope = z.object({
  meta: z
    .object({
      pagination: z
        .object({ total: z.number(), perPage: z.number(), currentPage: z.number(), totalPages: z.number() })
        .nullable(),
      warnings: z.array(z.string()).optional(),
    })
    .partial()
    .nullable(),
  data: z.unknown(),
  errors: z.array(z.unknown()).nullish(),
  downstreamErrors: z.array(z.unknown()).optional(),
  validationErrors: z.array(z.unknown()).optional(),
});

const fields = z.record(z.string(), z.unknown());
const records = z.array(z.unknown());

const open = (options: Partial<AccountOptions> = {}) =>
  sandbox.addAccount({ targetSystem: 'sevdesk', records: { invoices: 45 }, ...options });

type Query = Record<string, string | number>;

function get(account: SandboxAccount, path: string, query: Query = {}, init: RequestInit = {}): Promise<Response> {
  const url = new URL(path, sandbox.url);
  for (const [name, value] of Object.entries(query)) url.searchParams.set(name, String(value));
  const headers = { 'X-API-KEY': sandbox.apiKey, 'X-ACCOUNT-KEY': account.accountKey };
  return fetch(url, { headers, redirect: 'manual', ...init });
}

const list = (account: SandboxAccount, resource: Resource, query: Query = {}, init: RequestInit = {}) =>
  get(account, resourceRow(resource).path, query, init);

async function read(answer: Promise<Response>) {
  const response = await answer;
  return { status: response.status, ...envelope.parse(await response.json()) };
}

const statusOf = async (answer: Promise<Response>) => {
  const response = await answer;
  await response.arrayBuffer();
  return response.status;
};

async function walk(account: SandboxAccount, resource: Resource, limit = 20): Promise<unknown[]> {
  const walked: unknown[] = [];
  for (let page = 1; ; page += 1) {
    const { data, meta } = await read(list(account, resource, { page, limit }));
    walked.push(...records.parse(data));
    if (page >= (meta?.pagination?.totalPages ?? 0)) return walked;
  }
}

const field = (record: unknown, name: string | null) => (name === null ? undefined : fields.parse(record)[name]);

/** The resources whose row says so. */
const where = (says: (row: ResourceRow) => boolean) => DEFAULT_RESOURCES.filter((name) => says(resourceRow(name)));

describe('the collection', () => {
  it.each(DEFAULT_RESOURCES)('%s pages through exactly its records, each with a key of its own', async (resource) => {
    const { key } = resourceRow(resource);
    const account = open({ records: { [resource]: 45 } });
    const walked = await walk(account, resource);
    expect(walked).toHaveLength(45);
    expect(walked).toEqual(account.records(resource));
    if (key !== null) expect(new Set(walked.map((record) => field(record, key))).size).toBe(45);
  });

  it.each(DEFAULT_RESOURCES)('%s has every field that Maesn names, and no other', (resource) => {
    const [record] = open({ records: { [resource]: 1 } }).records(resource);
    expect(Object.keys(fields.parse(record)).toSorted()).toEqual(fieldsOf(resource));
  });

  it.each(where(({ modified }) => modified !== null))('%s was last changed in 2024 or 2025', (resource) => {
    const { modified } = resourceRow(resource);
    const changed = open({ records: { [resource]: 200 } })
      .records(resource)
      .map((record) => String(field(record, modified)));
    expect(changed.filter((date) => !/^202[45]-.*Z$/.test(date))).toEqual([]);
    expect(new Set(changed.map((date) => date.slice(0, 4))).size).toBe(2);
  });

  it.each(where(({ paged }) => paged))('%s answers a page beyond the last with an empty list', async (resource) => {
    const { data, meta } = await read(list(open({ records: { [resource]: 45 } }), resource, { page: 4, limit: 20 }));
    expect(data).toEqual([]);
    expect(meta?.pagination).toEqual({ total: 45, perPage: 20, currentPage: 4, totalPages: 3 });
  });

  it.each(where(({ paged }) => !paged))('%s comes in one answer', async (resource) => {
    const { data } = await read(list(open({ records: { [resource]: 250 } }), resource, { page: 2, limit: 5 }));
    expect(data).toHaveLength(250);
  });

  it.each(where(({ incremental, modified }) => incremental && modified !== null))(
    '%s takes lastModifiedAt as “then or later”',
    async (resource) => {
      const { modified } = resourceRow(resource);
      const account = open({ records: { [resource]: 45 } });
      const dates = account.records(resource).map((record) => String(field(record, modified)));
      const lastModifiedAt = dates.toSorted()[30] ?? '';
      const { data } = await read(list(account, resource, { limit: 100, lastModifiedAt }));
      const expected = account.records(resource).filter((record) => String(field(record, modified)) >= lastModifiedAt);
      expect(expected).toHaveLength(15);
      expect(data).toEqual(expected);
    },
  );

  it.each(where(({ incremental }) => !incremental))(
    '%s is listed in full whatever lastModifiedAt says',
    async (resource) => {
      const account = open({ records: { [resource]: 45 } });
      const { data } = await read(list(account, resource, { limit: 100, lastModifiedAt: '2099-01-01T00:00:00Z' }));
      expect(data).toHaveLength(45);
    },
  );

  it.each(DEFAULT_RESOURCES)('%s can be one that the target system does not have', async (resource) => {
    expect(await statusOf(list(open({ unsupported: [resource] }), resource))).toBe(404);
    expect(await statusOf(list(open({ unsupported: [{ resource, status: 405 }] }), resource))).toBe(405);
  });

  it.each(DEFAULT_RESOURCES)('%s cannot be written as a whole', async (resource) => {
    expect(await statusOf(list(open(), resource, {}, { method: 'PUT' }))).toBe(405);
  });
});

describe('the children', () => {
  it.each(CHILD_RESOURCES)(
    '%s are listed for each record, page by page, and are all that there are',
    async (resource) => {
      const parent = parentOf(resource);
      const account = open({ records: { [parent]: 3 } });
      const walked: unknown[] = [];
      for (const record of account.records(parent)) {
        const path = childPath(resource, String(field(record, resourceRow(parent).key)));
        for (let page = 1; ; page += 1) {
          const { data, meta } = await read(get(account, path, { page, limit: 100 }));
          walked.push(...records.parse(data));
          if (page >= (meta?.pagination?.totalPages ?? 0)) break;
        }
      }
      expect(walked.length).toBeGreaterThanOrEqual(3);
      expect(walked).toEqual(account.records(resource));
      expect(Object.keys(fields.parse(walked[0])).toSorted()).toEqual(fieldsOf(resource));
    },
  );

  it.each(CHILD_RESOURCES)('%s of nobody are not found', async (resource) => {
    const account = open({ records: { [parentOf(resource)]: 1 } });
    expect(await statusOf(get(account, childPath(resource, 'nobody')))).toBe(404);
  });

  it('of a document change with it', () => {
    const account = open({ records: { bills: 1 } });
    const [bill] = account.records('bills');
    account.put('bills', { id: String(field(bill, 'id')), lineItems: [{ id: 'only' }] });
    expect(account.records('billLineItems')).toEqual([{ id: 'only' }]);
  });
});

describe('the parameters of a list', () => {
  it.each([
    [{ limit: 7 }],
    [{ limit: 1000 }],
    [{ limit: 'all' }],
    [{ page: 0 }],
    [{ page: -1 }],
    [{ page: 'x' }],
    [{ lastModifiedAt: 'yesterday' }],
    [{ lastModifiedAt: '2025-02-30T00:00:00Z' }],
  ] as const)('%j is refused', async (query) => {
    expect(await read(list(open(), 'invoices', query))).toMatchObject({ status: 400, data: null });
  });

  it('are 20 records of page 1 where nothing is said', async () => {
    const { meta } = await read(list(open(), 'invoices'));
    expect(meta?.pagination).toEqual({ total: 45, perPage: 20, currentPage: 1, totalPages: 3 });
  });

  it('must be whole seconds for Lexware Office, and only there', async () => {
    const withMilliseconds = { lastModifiedAt: '2025-01-01T00:00:00.000Z' };
    const lexware = open({ targetSystem: 'lexware-office' });
    expect(await statusOf(list(lexware, 'invoices', withMilliseconds))).toBe(400);
    expect(await statusOf(list(lexware, 'invoices', { lastModifiedAt: '2025-01-01T00:00:00Z' }))).toBe(200);
    expect(await statusOf(list(open(), 'invoices', withMilliseconds))).toBe(200);
  });

  it('must name the fiscal year where the DATEV export reads one', async () => {
    const datev = open({ targetSystem: 'datev-rewe-export' });
    expect(await statusOf(list(datev, 'accounts'))).toBe(400);
    expect(await statusOf(list(datev, 'accounts', { fiscalYearStartDate: '2025-01-01' }))).toBe(200);
    expect(await statusOf(list(datev, 'invoices'))).toBe(200);
  });

  it.each(['companyId', 'environmentName'] as const)('must name the %s of an account that has one', async (name) => {
    const account = open({ [name]: 'one' });
    expect(await statusOf(list(account, 'invoices'))).toBe(400);
    expect(await statusOf(list(account, 'invoices', { [name]: 'two' }))).toBe(400);
    expect(await statusOf(list(account, 'invoices', { [name]: 'one' }))).toBe(200);
  });

  it('carry warnings and no counts where the account says so', async () => {
    const account = open({ pagination: false, warnings: { invoices: ['slow today'] } });
    const { meta } = await read(list(account, 'invoices'));
    expect(meta).toEqual({ pagination: null, warnings: ['slow today'] });
  });
});

describe('the keys', () => {
  const ask = (headers: Record<string, string>) => read(fetch(`${sandbox.url}/accounting/invoices`, { headers }));

  it('answer 403 where the API key is missing or wrong', async () => {
    const { accountKey } = open();
    expect(await ask({ 'X-ACCOUNT-KEY': accountKey })).toMatchObject({ status: 403, data: null });
    expect(await ask({ 'X-API-KEY': 'wrong', 'X-ACCOUNT-KEY': accountKey })).toMatchObject({ status: 403 });
  });

  it('answer 401 where the account key is missing, unknown or revoked', async () => {
    const account = open();
    const keys = { 'X-API-KEY': sandbox.apiKey, 'X-ACCOUNT-KEY': account.accountKey };
    expect(await ask({ 'X-API-KEY': sandbox.apiKey })).toMatchObject({ status: 401, data: null });
    expect(await ask({ ...keys, 'X-ACCOUNT-KEY': 'unknown' })).toMatchObject({ status: 401 });
    expect(await ask(keys)).toMatchObject({ status: 200 });
    account.revoke();
    expect(await ask(keys)).toMatchObject({ status: 401 });
  });

  it('change when the end user signs in again, unless told otherwise', async () => {
    const account = open();
    const first = account.accountKey;
    account.revoke();
    expect(account.reconnect({ sameKey: true })).toBe(first);
    expect(await ask({ 'X-API-KEY': sandbox.apiKey, 'X-ACCOUNT-KEY': first })).toMatchObject({ status: 200 });
    const second = account.reconnect();
    expect(second).not.toBe(first);
    expect(account.accountKey).toBe(second);
    expect(await ask({ 'X-API-KEY': sandbox.apiKey, 'X-ACCOUNT-KEY': second })).toMatchObject({ status: 200 });
    expect(await ask({ 'X-API-KEY': sandbox.apiKey, 'X-ACCOUNT-KEY': first })).toMatchObject({ status: 401 });
  });

  it('open the books of their own account only', async () => {
    const [one, other] = [open(), open()];
    expect(await walk(one, 'invoices')).not.toEqual(await walk(other, 'invoices'));
  });

  it('are not needed for /health, and are for the probes', async () => {
    expect(await statusOf(fetch(`${sandbox.url}/health`))).toBe(200);
    for (const path of ['/accounting/profile', '/user/user-info']) {
      expect(await statusOf(fetch(sandbox.url + path))).toBe(403);
      expect(await statusOf(get(open(), path))).toBe(200);
    }
  });

  it('are random and of a form that a scan can find', async () => {
    const other = await startSandbox();
    expect(sandbox.apiKey).toMatch(/^sandbox_api_key_[0-9a-f]{32}$/);
    expect(open().accountKey).toMatch(/^sandbox_account_key_[0-9a-f]{32}$/);
    expect(other.apiKey).not.toBe(sandbox.apiKey);
    await other.close();
  });

  it('answer an unknown path with 404 and the envelope', async () => {
    expect(await read(get(open(), '/accounting/nothing'))).toMatchObject({ status: 404, data: null });
    expect(await read(get(open(), '/nothing'))).toMatchObject({ status: 404, data: null });
  });
});

describe('the books', () => {
  const twin = async (options: SandboxOptions, name: string) => {
    const started = await startSandbox(options);
    const account = started.addAccount({ name, targetSystem: 'xero', records: { bills: 30, contacts: 30 } });
    await started.close();
    return [...account.records('bills'), ...account.records('contacts')];
  };

  it('are the same for the same seed and name, and for no other', async () => {
    const books = await twin({ seed: 'a' }, 'Brandt');
    expect(await twin({ seed: 'a' }, 'Brandt')).toEqual(books);
    expect(await twin({ seed: 'b' }, 'Brandt')).not.toEqual(books);
    expect(await twin({ seed: 'a' }, 'Höfer')).not.toEqual(books);
  });

  it('refer to records that exist', () => {
    const account = open({ records: { invoices: 50, customers: 50 } });
    const customers = new Set(account.records('customers').map((record) => field(record, 'id')));
    for (const invoice of account.records('invoices')) expect(customers).toContain(field(invoice, 'contactId'));
  });

  it('list a changed record as changed now', async () => {
    const account = open();
    const invoiceId = String(field(account.records('invoices')[7], 'invoiceId'));
    const lastModifiedAt = new Date().toISOString();
    account.put('invoices', { invoiceId, reference: 'paid in cash' });
    const { data } = await read(list(account, 'invoices', { lastModifiedAt }));
    expect(data).toMatchObject([{ invoiceId, reference: 'paid in cash', currency: 'EUR' }]);
    expect(account.records('invoices')).toHaveLength(45);
  });

  it('list an inserted record last, with what was not given filled in', async () => {
    const account = open();
    const given = account.put('invoices', { invoiceId: 'given' });
    const generated = account.put('invoices', { reference: 'no key given' });
    expect(Object.keys(given).toSorted()).toEqual(fieldsOf('invoices'));
    expect(generated['invoiceId']).toMatch(/^[0-9a-f-]{36}$/);
    expect((await walk(account, 'invoices')).slice(45)).toEqual([given, generated]);
    account.put('invoices', { invoiceId: 'given', reference: 'twice' });
    expect(account.records('invoices')).toHaveLength(47);
  });

  it('move the records behind a removed one forward', async () => {
    const account = open();
    const before = account.records('invoices');
    account.remove('invoices', String(field(before[3], 'invoiceId')));
    const { data, meta } = await read(list(account, 'invoices', { page: 1, limit: 5 }));
    expect(data).toEqual([0, 1, 2, 4, 5].map((index) => before[index]));
    expect(meta?.pagination).toMatchObject({ total: 44 });
    expect(account.records('invoices')).toHaveLength(44);
    expect(() => account.remove('invoices', String(field(before[3], 'invoiceId')))).toThrow(RangeError);
  });

  it.each(DEFAULT_RESOURCES)('take back what was put into %s', (resource) => {
    const { key } = resourceRow(resource);
    const account = open({ records: { [resource]: 3 } });
    const before = account.records(resource);
    const put = account.put(resource, {});
    expect(account.records(resource)).toEqual([...before, put]);
    account.remove(resource, key === null ? 3 : String(put[key]));
    account.remove(resource, key === null ? 1 : String(field(before[1], key)));
    expect(account.records(resource)).toEqual([before[0], before[2]]);
  });

  it('show a record without key, without fields or with a wrong date where they are told to', async () => {
    const account = open({
      malformed: [
        { resource: 'invoices', index: 0, as: 'noKey' },
        { resource: 'invoices', index: 1, as: 'notAnObject' },
      ],
    });
    account.malform({ resource: 'invoices', index: 2, as: 'badDate' });
    const { data } = await read(list(account, 'invoices', { limit: 5 }));
    const [noKey, notAnObject, badDate, sound] = records.parse(data);
    expect(field(noKey, 'invoiceId')).toBeNull();
    expect(fields.safeParse(notAnObject).success).toBe(false);
    expect(Date.parse(String(field(badDate, 'updatedDate')))).toBeNaN();
    expect(field(sound, 'invoiceId')).toBeTypeOf('string');
  });

  it.each([
    ['beyond the last', { resource: 'invoices', index: 45, as: 'noKey' }],
    ['in a list without keys', { resource: 'trialBalance', index: 0, as: 'noKey' }],
    ['in a list without dates', { resource: 'units', index: 0, as: 'badDate' }],
  ] as const)('refuse to malform a record %s', (_where, rule) => {
    const account = open({ records: { invoices: 45, trialBalance: 1, units: 1 } });
    expect(() => account.malform(rule)).toThrow(RangeError);
  });

  it('of two accounts cannot have the same name', () => {
    open({ name: 'Brandt' });
    expect(() => open({ name: 'Brandt' })).toThrow(RangeError);
  });
});

interface Seen {
  /** `null`: `fetch` or reading the body failed. */
  readonly status: number | null;
  readonly body: string;
  readonly headers: Headers;
}

async function see(account: SandboxAccount): Promise<Seen> {
  const failed: Seen = { status: null, body: '', headers: new Headers() };
  try {
    const response = await list(account, 'invoices', {}, { signal: AbortSignal.timeout(1_000) });
    try {
      return { status: response.status, headers: response.headers, body: await response.text() };
    } catch {
      return { ...failed, headers: response.headers };
    }
  } catch {
    return failed;
  }
}

const isJson = (text: string) => {
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
};

/** What a client sees of each kind of fault: at least one answer for every kind there is. */
const SEEN: Readonly<Record<FaultKind, readonly [FaultAnswer, (seen: Seen, answer: string) => void][]>> = {
  status: [
    [
      { status: 429, retryAfter: 5 },
      ({ status, headers, body }) => {
        expect(status).toBe(429);
        expect(headers.get('retry-after')).toBe('5');
        expect(envelope.parse(JSON.parse(body)).errors).toHaveLength(1);
      },
    ],
    [
      { status: 429, retryAfter: 'Wed, 21 Oct 2026 07:28:00 GMT' },
      ({ headers }) => expect(headers.get('retry-after')).toBe('Wed, 21 Oct 2026 07:28:00 GMT'),
    ],
    [{ status: 429 }, ({ headers }) => expect(headers.has('retry-after')).toBe(false)],
    [
      { status: 500, errors: ['a'], downstreamErrors: [{ b: 1 }], validationErrors: [[2]] },
      ({ status, body }) => {
        expect(status).toBe(500);
        expect(JSON.parse(body)).toMatchObject({
          data: null,
          errors: ['a'],
          downstreamErrors: [{ b: 1 }],
          validationErrors: [[2]],
        });
      },
    ],
    [{ kind: 'status', status: 418 }, ({ status }) => expect(status).toBe(418)],
  ],
  garbage: [
    [
      'garbage',
      ({ status, body }) => {
        expect(status).toBe(200);
        expect(isJson(body)).toBe(false);
      },
    ],
  ],
  html: [
    ['html', ({ status, body }) => expect([status, body.startsWith('<!doctype')]).toEqual([200, true])],
    [{ kind: 'html', status: 502 }, ({ status, body }) => expect([status, isJson(body)]).toEqual([502, false])],
  ],
  empty: [['empty', ({ status, body }) => expect([status, body]).toEqual([200, ''])]],
  truncated: [
    [
      'truncated',
      ({ status, body }, answer) => {
        expect(status).toBe(200);
        expect(isJson(body)).toBe(false);
        expect(answer.startsWith(body.slice(0, 200))).toBe(true);
      },
    ],
    [
      { kind: 'truncated', connection: 'destroyed' },
      ({ status, headers }, answer) => {
        expect(status).toBeNull();
        // The head did arrive, and promised all of it.
        expect(headers.get('content-length')).toBe(String(Buffer.byteLength(answer)));
      },
    ],
  ],
  wrongEnvelope: [
    [
      'wrongEnvelope',
      ({ status, body }) => {
        expect(status).toBe(200);
        expect(records.safeParse(envelope.parse(JSON.parse(body)).data).success).toBe(false);
      },
    ],
  ],
  hang: [['hang', ({ status, headers }) => expect([status, [...headers]]).toEqual([null, []])]],
  cut: [['cut', ({ status, headers }) => expect([status, [...headers]]).toEqual([null, []])]],
  redirect: [
    ['redirect', ({ status, headers }) => expect([status, headers.get('location')]).toEqual([302, '/health'])],
  ],
  huge: [
    [
      { kind: 'huge', bytes: 3_000_000 },
      ({ status, body }) => {
        expect(status).toBe(200);
        expect(body.length).toBeGreaterThanOrEqual(3_000_000);
        expect(isJson(body)).toBe(true);
      },
    ],
  ],
  revoke: [['revoke', ({ status }) => expect(status).toBe(401)]],
  failedTask: [],
};

describe('a fault', () => {
  const cases = FAULT_KINDS.flatMap((kind) => SEEN[kind].map(([answer, check]) => ({ kind, answer, check })));

  it.each(cases)('$answer is seen by a client, once', async ({ kind, answer, check }) => {
    const account = open();
    const honest = await see(account);
    account.fault({ resource: 'invoices', request: 2, answer });
    check(await see(account), honest.body);
    expect(sandbox.requests.at(-1)?.fault).toBe(kind);
    if (kind === 'revoke') account.reconnect();
    expect(await see(account)).toMatchObject({ status: 200, body: honest.body });
  });

  const statuses = async (account: SandboxAccount, count: number, query: Query = {}) => {
    const seen: number[] = [];
    for (let asked = 0; asked < count; asked += 1) seen.push(await statusOf(list(account, 'invoices', query)));
    return seen;
  };

  it('fires at the request it was scripted for, faulted ones counted', async () => {
    const account = open();
    account.fault({ resource: 'invoices', request: 2, answer: { status: 500 } });
    account.fault({ resource: 'invoices', request: 3, times: 2, answer: { status: 429 } });
    expect(await statuses(account, 6)).toEqual([200, 500, 429, 429, 200, 200]);
  });

  it('for a page fires at that page only, as often as scripted', async () => {
    const account = open();
    account.fault({ resource: 'invoices', page: 2, times: 2, answer: { status: 503 } });
    expect(await statuses(account, 2, { page: 1 })).toEqual([200, 200]);
    expect(await statuses(account, 3, { page: 2 })).toEqual([503, 503, 200]);
  });

  it('without request or page fires next, one after the other', async () => {
    const account = open();
    await statuses(account, 2);
    account.fault({ resource: 'invoices', answer: { status: 500 } });
    account.fault({ resource: 'invoices', answer: { status: 502 } });
    expect(await statuses(account, 3)).toEqual([500, 502, 200]);
  });

  it('of the weather fires where no rule does, as long as the weather says so', async () => {
    const answers: FaultAnswer[] = [{ status: 503 }, { status: 429 }];
    const account = sandbox.addAccount({
      targetSystem: 'sevdesk',
      records: { invoices: 5 },
      weather() {
        const answer = answers.shift();
        return answer && { answer };
      },
    });
    account.fault({ resource: 'invoices', request: 2, answer: { status: 500 } });
    expect(await statuses(account, 4)).toEqual([503, 500, 429, 200]);
  });

  it('can fire for ever', async () => {
    const account = open();
    account.fault({ resource: 'invoices', request: 2, times: Infinity, answer: { status: 429 } });
    expect(await statuses(account, 5)).toEqual([200, 429, 429, 429, 429]);
  });

  it('of one resource or account spares the others', async () => {
    const [account, other] = [open(), open()];
    account.fault({ resource: 'invoices', times: Infinity, answer: { status: 500 } });
    expect(await statusOf(list(account, 'bills'))).toBe(200);
    expect(await statuses(other, 1)).toEqual([200]);
    expect(await statuses(account, 1)).toEqual([500]);
  });

  it('of no resource counts and hits every call of the account', async () => {
    const account = open();
    account.fault({ request: 2, times: 2, answer: { status: 500 } });
    expect(await statusOf(list(account, 'bills'))).toBe(200);
    expect(await statusOf(get(account, '/accounting/profile'))).toBe(500);
    expect(await statuses(account, 2)).toEqual([500, 200]);
  });

  it('of a huge body ends with a client that leaves', async () => {
    const account = open();
    account.fault({ resource: 'invoices', answer: { kind: 'huge', bytes: Number.MAX_SAFE_INTEGER } });
    const response = await list(account, 'invoices');
    await response.body?.cancel();
    await expect.poll(() => sandbox.requests.at(-1)?.status).toBe(200);
  });

  it('that revokes holds until the end user signs in again', async () => {
    const account = open();
    account.fault({ resource: 'invoices', request: 2, answer: 'revoke' });
    expect(await statuses(account, 4)).toEqual([200, 401, 401, 401]);
    expect(account.revoked).toBe(true);
    account.reconnect();
    expect(await statuses(account, 2)).toEqual([200, 200]);
  });

  it.each([
    ['request and page', { request: 1, page: 1, answer: 'cut' }],
    ['request 0', { request: 0, answer: 'cut' }],
    ['half a time', { times: 0.5, answer: 'cut' }],
    ['no time', { times: 0, answer: 'cut' }],
    ['a page of what has none', { resource: 'fiscalYears', page: 1, answer: 'cut' }],
    ['no status there is', { answer: { status: 99 } }],
    ['a body of no bytes', { answer: { kind: 'huge', bytes: 0 } }],
    ['a task where there are none', { resource: 'invoices', answer: 'failedTask' }],
  ] as const)('that can never fire is refused: %s', (_why, rule) => {
    expect(() => open().fault(rule)).toThrow(/^fault: /);
  });

  it('for a request that is over is refused', async () => {
    const account = open();
    await statuses(account, 2);
    expect(() => account.fault({ resource: 'invoices', request: 2, answer: 'cut' })).toThrow(/never fire/);
    expect(() => account.fault({ resource: 'invoices', request: 2, times: 2, answer: 'cut' })).not.toThrow();
  });
});

describe('a task', () => {
  const started = z.object({ taskId: z.string() });
  const start = async (account: SandboxAccount, query: Query = {}) =>
    started.parse((await read(list(account, 'contacts', query))).data).taskId;
  const poll = (account: SandboxAccount, taskId: string, query: Query = {}) =>
    read(get(account, `/accounting/asyncTask/${taskId}`, query));
  const openAsync = (options: Partial<AccountOptions> = {}) =>
    open({ records: { contacts: 45 }, asyncResources: ['contacts'], ...options });

  it('is in progress for some polls, then holds the page it was started for', async () => {
    const account = openAsync({ pollsUntilFinished: 3 });
    const taskId = await start(account, { page: 2, limit: 20 });
    for (let polls = 0; polls < 3; polls += 1) {
      expect((await poll(account, taskId)).data).toEqual({
        status: 'IN_PROGRESS',
        information: [],
        responseData: null,
      });
    }
    const { data, meta } = await poll(account, taskId);
    expect(data).toMatchObject({ status: 'FINISHED', responseData: account.records('contacts').slice(20, 40) });
    expect(meta?.pagination).toEqual({ total: 45, perPage: 20, currentPage: 2, totalPages: 3 });
  });

  it('keeps the filter of its list, and gives the page that is asked for', async () => {
    const account = openAsync({ pollsUntilFinished: 0 });
    const put = account.put('contacts', {});
    const taskId = await start(account, { lastModifiedAt: '2026-06-01T00:00:00Z' });
    expect((await poll(account, taskId)).data).toMatchObject({ responseData: [put] });
    expect((await poll(account, taskId, { page: 2 })).data).toMatchObject({ responseData: [] });
  });

  it('can fail, and the next one does not', async () => {
    const account = openAsync({ pollsUntilFinished: 0 });
    account.fault({ resource: 'contacts', request: 1, answer: 'failedTask' });
    expect((await poll(account, await start(account))).data).toMatchObject({ status: 'FAILED', responseData: null });
    expect((await poll(account, await start(account))).data).toMatchObject({ status: 'FINISHED' });
  });

  it('is known to its own account only', async () => {
    const account = openAsync();
    const taskId = await start(account);
    expect(await poll(open(), taskId)).toMatchObject({ status: 404 });
  });

  it('can be hit by faults of its own', async () => {
    const account = openAsync();
    account.fault({ resource: 'asyncTask', request: 1, answer: { status: 500 } });
    expect(await poll(account, await start(account))).toMatchObject({ status: 500 });
  });

  it('of AbaConnect keeps every other list out until it ends, and nobody else’s does', async () => {
    const account = openAsync({ targetSystem: 'abaconnect', pollsUntilFinished: 2 });
    const taskId = await start(account);
    const refused = await read(list(account, 'invoices'));
    expect(refused).toMatchObject({ status: 400 });
    expect(refused.downstreamErrors).toHaveLength(1);
    await poll(account, taskId);
    expect(await statusOf(list(account, 'invoices'))).toBe(200);

    const patient = openAsync();
    await start(patient);
    expect(await statusOf(list(patient, 'invoices'))).toBe(200);
  });

  it('of AbaConnect is not needed to keep others out: a request under way does, too', async () => {
    const account = open({ targetSystem: 'abaconnect' });
    account.fault({ resource: 'invoices', answer: 'hang' });
    const controller = new AbortController();
    const hanging = list(account, 'invoices', {}, { signal: controller.signal }).then(
      () => 'answered',
      () => 'cut',
    );
    await expect.poll(() => sandbox.requests.at(-1)?.fault).toBe('hang');
    expect(await statusOf(list(account, 'bills'))).toBe(400);
    controller.abort();
    expect(await hanging).toBe('cut');
    await expect.poll(() => statusOf(list(account, 'bills'))).toBe(200);
  });

  it('of AbaConnect that nobody polls ends all the same', async () => {
    const account = openAsync({ targetSystem: 'abaconnect', pollsUntilFinished: 2 });
    await start(account);
    expect(await statusOf(list(account, 'invoices'))).toBe(400);
    expect(await statusOf(list(account, 'invoices'))).toBe(400);
    expect(await statusOf(list(account, 'invoices'))).toBe(200);
  });
});

describe('signing in', () => {
  const CALLBACK = 'http://127.0.0.1:9/back?connection=c-1&x=a%20b';
  const CANCELLED = 'https://app.example/cancelled?connection=c-1';

  const auth = (path: string, init: RequestInit = {}) =>
    fetch(`${sandbox.url}/auth/${path}`, { headers: { 'X-API-KEY': sandbox.apiKey }, ...init });

  const login = async (query: Record<string, string> = { callbackUrl: CALLBACK, cancelCallbackUrl: CANCELLED }) => {
    const params = new URLSearchParams(query);
    const response = await auth(`sevdesk?${params.toString()}`);
    expect(response.status).toBe(200);
    return response.text();
  };

  const press = (url: string, action: 'signIn' | 'cancel', account: string) =>
    fetch(url, { method: 'POST', body: new URLSearchParams({ action, account }), redirect: 'manual' });

  const post = (path: string, body: object) =>
    auth(path, {
      method: 'POST',
      headers: { 'X-API-KEY': sandbox.apiKey, 'content-type': 'application/json' },
      body: JSON.stringify(body),
    });

  it('gives a new key to the callback, and the old one is dead', async () => {
    const account = open();
    const old = account.accountKey;
    account.revoke();
    const url = await login();
    expect(url.startsWith(`${sandbox.url}/sandbox/login/`)).toBe(true);
    const answer = await press(url, 'signIn', account.name);
    expect(answer.status).toBe(303);
    const location = new URL(answer.headers.get('location') ?? '');
    expect(location.origin + location.pathname).toBe('http://127.0.0.1:9/back');
    expect(Object.fromEntries(location.searchParams)).toEqual({
      connection: 'c-1',
      x: 'a b',
      accountKey: account.accountKey,
    });
    expect(account.accountKey).not.toBe(old);
    expect(await statusOf(list(account, 'invoices'))).toBe(200);
    const headers = { 'X-API-KEY': sandbox.apiKey, 'X-ACCOUNT-KEY': old };
    expect(await statusOf(list(account, 'invoices', {}, { headers }))).toBe(401);
  });

  it('shows the accounts of that target system, and neither others nor keys', async () => {
    const account = open({ name: 'Brandt & <Söhne>' });
    open({ name: 'Höfer', targetSystem: 'xero' });
    const page = await (await fetch(await login())).text();
    expect(page).toContain('Brandt &amp; &lt;Söhne&gt;');
    expect(page).toContain('A new account');
    expect(page).not.toContain('Höfer');
    expect(page).not.toContain(account.accountKey);
    expect(page).not.toMatch(/<script|src=|@import|url\(/);
  });

  it('that is cancelled goes to the other callback and changes nothing', async () => {
    const account = open();
    const old = account.accountKey;
    const answer = await press(await login(), 'cancel', account.name);
    expect(answer.status).toBe(303);
    expect(answer.headers.get('location')).toBe(CANCELLED);
    expect(account.accountKey).toBe(old);
  });

  it.each(['signIn', 'cancel'] as const)('works once: after %s the page is gone', async (action) => {
    const account = open();
    const url = await login();
    await press(url, action, account.name);
    const key = account.accountKey;
    expect(await statusOf(fetch(url))).toBe(410);
    expect(await statusOf(press(url, 'signIn', account.name))).toBe(410);
    expect(account.accountKey).toBe(key);
  });

  it('works for a time only', async () => {
    let time = new Date('2026-11-01T12:00:00Z');
    await sandbox.close();
    sandbox = await startSandbox({ loginTtlMs: 60_000, now: () => time });
    const account = open();
    const url = await login();
    time = new Date('2026-11-01T12:00:59Z');
    expect(await statusOf(fetch(url))).toBe(200);
    time = new Date('2026-11-01T12:01:00Z');
    expect(await statusOf(fetch(url))).toBe(410);
    expect(await statusOf(press(url, 'signIn', account.name))).toBe(410);
  });

  it('can open a new account', async () => {
    const answer = await press(await login(), 'signIn', '');
    const [account] = sandbox.accounts;
    expect(new URL(answer.headers.get('location') ?? '').searchParams.get('accountKey')).toBe(account?.accountKey);
    expect(account?.targetSystem).toBe('sevdesk');
    expect(account?.count('invoices')).toBeGreaterThan(0);
  });

  it('to an account of another target system is refused, and the page stays good', async () => {
    open({ name: 'Höfer', targetSystem: 'xero' });
    const url = await login();
    expect(await statusOf(press(url, 'signIn', 'Höfer'))).toBe(400);
    expect(await statusOf(fetch(url))).toBe(200);
  });

  it.each([
    ['none', {}],
    ['javascript', { callbackUrl: 'javascript:alert(1)' }],
    ['no URL', { callbackUrl: 'callback' }],
    ['a bad one to cancel', { callbackUrl: CALLBACK, cancelCallbackUrl: 'ftp://app.example' }],
  ])('without a usable callback is refused: %s', async (_why, query) => {
    const params = new URLSearchParams(query);
    expect(await read(auth(`sevdesk?${params.toString()}`))).toMatchObject({ status: 400, data: null });
  });

  it('needs the API key', async () => {
    expect(await statusOf(auth(`sevdesk?callbackUrl=${CALLBACK}`, { headers: {} }))).toBe(403);
  });

  it('can also tell a webhook', async () => {
    const received: string[] = [];
    const webhook = await standIn((request, response) => {
      request.setEncoding('utf8').on('data', (chunk: string) => received.push(chunk));
      request.on('end', () => response.end());
    });
    const account = open();
    const asked = await post('sevdesk', { webhookCallbackUrl: `${webhook}/`, callBackUrl: CALLBACK });
    expect(asked.status).toBe(201);
    await press(await asked.text(), 'signIn', account.name);
    expect(JSON.parse(received.join(''))).toEqual({ accountKey: account.accountKey });
  });

  it('succeeds although nobody listens to the webhook', async () => {
    const account = open();
    const asked = await post('sevdesk', { webhookCallbackUrl: 'http://127.0.0.1:9/', callBackUrl: CALLBACK });
    expect((await press(await asked.text(), 'signIn', account.name)).status).toBe(303);
  });

  it('without a page takes an API key of the target system', async () => {
    const answer = await post('accounts/weclapp', { apiKey: 'theirs' });
    expect(answer.status).toBe(201);
    const { accountKey } = z.object({ accountKey: z.string() }).parse(await answer.json());
    expect(sandbox.accounts.map((account) => [account.targetSystem, account.accountKey])).toEqual([
      ['weclapp', accountKey],
    ]);
    expect((await post('accounts/weclapp', {})).status).toBe(400);
  });
});

describe('the log', () => {
  it('holds every request in order, and no key', async () => {
    const account = open({ name: 'Brandt' });
    await list(account, 'invoices', { page: 2, limit: 5, lastModifiedAt: '2025-01-01T00:00:00Z', companyId: 'c' });
    account.revoke();
    await get(account, '/accounting/profile');
    await fetch(
      `${sandbox.url}/auth/sevdesk?callbackUrl=${encodeURIComponent(`http://x.example/${account.accountKey}`)}`,
    );
    expect(sandbox.requests).toMatchObject([
      {
        account: 'Brandt',
        method: 'GET',
        path: '/accounting/invoices',
        resource: 'invoices',
        page: '2',
        limit: '5',
        lastModifiedAt: '2025-01-01T00:00:00Z',
        companyId: 'c',
        status: 200,
      },
      { account: 'Brandt', path: '/accounting/profile', status: 401 },
      { path: '/auth/sevdesk', status: 403 },
    ]);
    expect(JSON.stringify(sandbox.requests)).not.toMatch(/_key_/);
  });

  it('is told of every request when it is over', async () => {
    const told: LoggedRequest[] = [];
    await sandbox.close();
    sandbox = await startSandbox({ onRequest: (request) => told.push(request) });
    await statusOf(list(open(), 'items'));
    await expect.poll(() => told).toEqual([expect.objectContaining({ resource: 'items', status: 200 })]);
  });

  it('shows a request that was never answered without a status', async () => {
    const account = open();
    account.fault({ resource: 'invoices', answer: 'cut' });
    await see(account);
    expect(sandbox.requests.at(-1)).toMatchObject({ status: null, fault: 'cut' });
  });
});

describe('the page of the sandbox', () => {
  it('shows accounts and requests, and neither keys nor itself', async () => {
    const account = open({ name: 'Brandt & <Söhne>' });
    await list(account, 'invoices', { page: 3 });
    const page = await (await fetch(`${sandbox.url}/sandbox`)).text();
    expect(page).toContain('Brandt &amp; &lt;Söhne&gt;');
    expect(page).toContain('45 invoices');
    expect(page).toContain('/accounting/invoices page 3');
    expect(page).not.toMatch(/_key_/);
    expect(sandbox.requests).toHaveLength(1);
  });

  it('revokes a login at the press of a button', async () => {
    const account = open();
    const body = new URLSearchParams({ account: account.name });
    const answer = await fetch(`${sandbox.url}/sandbox/revoke`, { method: 'POST', body, redirect: 'manual' });
    expect(answer.status).toBe(303);
    expect(account.revoked).toBe(true);
    expect(await statusOf(list(account, 'invoices'))).toBe(401);
  });
});

describe('close', () => {
  it('ends although a request hangs', async () => {
    const account = open();
    account.fault({ resource: 'invoices', answer: 'hang' });
    const outcome = list(account, 'invoices').then(
      () => 'answered',
      () => 'cut',
    );
    await expect.poll(() => sandbox.requests.at(-1)?.fault).toBe('hang');
    await sandbox.close();
    expect(await outcome).toBe('cut');
  });

  it('can be asked twice, after which nothing listens', async () => {
    await sandbox.close();
    await sandbox.close();
    await expect(fetch(`${sandbox.url}/health`)).rejects.toThrow('fetch failed');
  });
});
