/** Everything maesn-sync remembers outside of Temporal. */
import { sql } from 'drizzle-orm';
import { createConnections } from './connections.js';
import type { Connections } from './connections.js';
import { openPglite, openPostgres } from './database.js';
import type { OpenDatabase } from './database.js';
import { createNotices } from './notices.js';
import type { Notices } from './notices.js';
import { createReauthorizations } from './reauthorizations.js';
import type { Reauthorizations } from './reauthorizations.js';
import { createRecords } from './records.js';
import type { Records } from './records.js';
import { createSealing } from './sealing.js';
import { createWalks } from './walks.js';
import type { Walks } from './walks.js';

export interface Store {
  readonly connections: Connections;
  readonly walks: Walks;
  readonly records: Records;
  readonly reauthorizations: Reauthorizations;
  readonly notices: Notices;
  /** Resolves when the database answers. */
  ping(): Promise<void>;
  close(): Promise<void>;
}

export interface StoreOptions {
  /** A Postgres connection string. */
  readonly databaseUrl?: string | undefined;
  /** Where PGlite keeps its files when there is no `databaseUrl`: a folder, or `memory://`. */
  readonly pgliteDir?: string | undefined;
  /** 32 bytes. */
  readonly sealingKey: Buffer;
}

/** Opens the database and brings its tables up to date. */
export async function openStore({ databaseUrl, pgliteDir, sealingKey }: StoreOptions): Promise<Store> {
  const sealing = createSealing(sealingKey);
  const { db, close }: OpenDatabase =
    databaseUrl === undefined ? await openPglite(pgliteDir ?? 'memory://') : await openPostgres(databaseUrl);
  return {
    connections: createConnections(db, sealing),
    walks: createWalks(db),
    records: createRecords(db),
    reauthorizations: createReauthorizations(db),
    notices: createNotices(db),
    ping: async () => {
      await db.execute(sql`select 1`);
    },
    close,
  };
}

export type { Connection, Connections, NewConnection } from './connections.js';
export type { Notice, Notices } from './notices.js';
export type { Joined, ReauthorizationOutcome, Reauthorizations } from './reauthorizations.js';
export type { Records, StoredRecord } from './records.js';
export type { ConnectionStatus, NoticeType } from './schema.js';
export { SealingError } from './sealing.js';
export type { Cursor, Walks } from './walks.js';
