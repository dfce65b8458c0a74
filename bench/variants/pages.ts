/** How every variant but maesn-sync fetches and writes a page, as a team would write it that writes it once. */
import { Pool } from 'pg';
import { PAGE_LIMIT } from '../../src/spec/resources.js';

export interface Invoice {
  readonly invoiceId: string;
  readonly updatedDate: string;
}

export interface Page {
  readonly records: readonly Invoice[];
  readonly totalPages: number;
}

export interface WantedPage {
  readonly connectionId: string;
  readonly page: number;
  /** `lastModifiedAt` */
  readonly since?: string | undefined;
}

export interface Pages {
  /** Fetches and writes one; answers how many there are. */
  pull(wanted: WantedPage): Promise<number>;
  fetch(wanted: WantedPage): Promise<Page>;
  save(connectionId: string, records: readonly Invoice[]): Promise<void>;
  /** Up to when a connection was pulled; `undefined`: everything is wanted. */
  since(connectionId: string, incremental: boolean): Promise<string | undefined>;
  close(): Promise<void>;
}

interface Envelope {
  readonly data: readonly Invoice[];
  readonly meta: { readonly pagination: { readonly totalPages: number } };
}

export async function openPages(pageSourceUrl: string, databaseUrl: string): Promise<Pages> {
  const pool = new Pool({ connectionString: databaseUrl });
  pool.on('error', () => undefined);
  await pool.query(`
    create table if not exists records (
      connection_id text not null,
      key text not null,
      record jsonb not null,
      modified_at timestamptz,
      synced_at timestamptz not null default now(),
      primary key (connection_id, key)
    )`);

  async function fetchPage({ connectionId, page, since }: WantedPage): Promise<Page> {
    const url = new URL('/accounting/invoices', pageSourceUrl);
    url.searchParams.set('page', String(page));
    url.searchParams.set('limit', String(PAGE_LIMIT));
    if (since !== undefined) url.searchParams.set('lastModifiedAt', since);
    const response = await fetch(url, {
      headers: { 'X-API-KEY': 'bench', 'X-ACCOUNT-KEY': connectionId },
      signal: AbortSignal.timeout(30_000),
    });
    if (!response.ok) throw new Error(`page ${page} was answered with ${response.status}`);
    // Not checked, as whoever wants it fast and simple would not.
    // oxlint-disable-next-line typescript/no-unsafe-type-assertion
    const { data, meta } = (await response.json()) as Envelope;
    return { records: data, totalPages: meta.pagination.totalPages };
  }

  async function save(connectionId: string, records: readonly Invoice[]): Promise<void> {
    if (records.length === 0) return;
    await pool.query({
      name: 'save-page',
      text: `
        insert into records (connection_id, key, record, modified_at)
        select $1, record ->> 'invoiceId', record, (record ->> 'updatedDate')::timestamptz
          from jsonb_array_elements($2::jsonb) as record
        on conflict (connection_id, key) do update
          set record = excluded.record, modified_at = excluded.modified_at, synced_at = now()`,
      values: [connectionId, JSON.stringify(records)],
    });
  }

  return {
    fetch: fetchPage,
    save,
    async pull(wanted) {
      const { records, totalPages } = await fetchPage(wanted);
      await save(wanted.connectionId, records);
      return totalPages;
    },
    async since(connectionId, incremental) {
      if (!incremental) return undefined;
      const { rows } = await pool.query<{ since: Date | null }>(
        'select max(modified_at) as since from records where connection_id = $1',
        [connectionId],
      );
      return rows[0]?.since?.toISOString();
    },
    close: () => pool.end(),
  };
}

/** Runs one after the other, so many at once. */
export async function forEachAtOnce<Item>(
  items: Iterable<Item>,
  atOnce: number,
  run: (item: Item) => Promise<unknown>,
): Promise<void> {
  const iterator = items[Symbol.iterator]();
  const runner = async () => {
    for (let next = iterator.next(); next.done !== true; next = iterator.next()) await run(next.value);
  };
  await Promise.all(Array.from({ length: atOnce }, runner));
}
