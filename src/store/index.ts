/** Everything maesn-sync remembers outside of Temporal. */
import { sql } from 'drizzle-orm';
import { createAttempts } from './attempts.js';
import type { Attempts } from './attempts.js';
import { createCapabilities } from './capabilities.js';
import type { Capabilities } from './capabilities.js';
import { createConnections } from './connections.js';
import type { Connections } from './connections.js';
import { openPglite, openPostgres } from './database.js';
import type { OpenDatabase } from './database.js';
import { createEvents } from './events.js';
import type { Events } from './events.js';
import { createHolds } from './holds.js';
import type { Holds } from './holds.js';
import { createIncidents } from './incidents.js';
import type { Incidents } from './incidents.js';
import { createJournal } from './journal.js';
import type { Journal } from './journal.js';
import { createLogins } from './logins.js';
import type { Logins } from './logins.js';
import { createMeasurements } from './measurements.js';
import type { Measurements } from './measurements.js';
import { createPaces } from './paces.js';
import type { Paces } from './paces.js';
import { createReauthorizations } from './reauthorizations.js';
import type { Reauthorizations } from './reauthorizations.js';
import { createRecords } from './records.js';
import type { Records } from './records.js';
import { createSealing } from './sealing.js';
import type { Sealing, SealingKeys } from './sealing.js';
import { createWalks } from './walks.js';
import type { Walks } from './walks.js';
import { createWarnings } from './warnings.js';
import type { Warnings } from './warnings.js';
import { createWrites } from './writes.js';
import type { Writes } from './writes.js';
import { createWebhooks } from './webhooks.js';
import type { Webhooks } from './webhooks.js';

export interface Store {
  readonly attempts: Attempts;
  readonly capabilities: Capabilities;
  readonly connections: Connections;
  readonly incidents: Incidents;
  readonly measurements: Measurements;
  readonly paces: Paces;
  readonly walks: Walks;
  readonly warnings: Warnings;
  readonly records: Records;
  readonly reauthorizations: Reauthorizations;
  readonly holds: Holds;
  readonly logins: Logins;
  readonly webhooks: Webhooks;
  readonly events: Events;
  readonly journal: Journal;
  readonly writes: Writes;
  /** Resolves when the database answers. */
  ping(): Promise<void>;
  close(): Promise<void>;
}

export interface StoreOptions {
  /** A Postgres connection string. */
  readonly databaseUrl?: string | undefined;
  /** Where PGlite keeps its files when there is no `databaseUrl`: a folder, or `memory://`. */
  readonly pgliteDir?: string | undefined;
  readonly sealingKey: SealingKeys;
}

/** Opens the database and brings its tables up to date. */
export async function openStore({ databaseUrl, pgliteDir, sealingKey }: StoreOptions): Promise<Store> {
  const sealing = createSealing(sealingKey);
  return createStore(
    databaseUrl === undefined
      ? await openPglite(pgliteDir ?? 'memory://')
      : await openPostgres(databaseUrl, sealing.keyIds),
    sealing,
  );
}

export function createStore({ db, process, isAlone, close }: OpenDatabase, sealing: Sealing): Store {
  return {
    attempts: createAttempts(db, { process, isAlone }),
    capabilities: createCapabilities(db),
    connections: createConnections(db, sealing),
    incidents: createIncidents(db),
    measurements: createMeasurements(db),
    paces: createPaces(db),
    walks: createWalks(db, process),
    warnings: createWarnings(db),
    records: createRecords(db),
    reauthorizations: createReauthorizations(db),
    holds: createHolds(db),
    logins: createLogins(db, sealing),
    webhooks: createWebhooks(db, sealing),
    events: createEvents(db),
    journal: createJournal(db),
    writes: createWrites(db, sealing),
    ping: async () => {
      await db.execute(sql`select 1`);
    },
    close,
  };
}

export type { Attempts, LostAttempt } from './attempts.js';
export type { Capabilities, Capability, NotOffered } from './capabilities.js';
export type { Connection, Connections, NewConnection, OpenConnection, OpenedForWalk } from './connections.js';
export type { Event, Events, ListEventsOptions, NewEvent } from './events.js';
export type { Hold, Holds } from './holds.js';
export type { Incident, Incidents } from './incidents.js';
export type { Journal, JournalEntry, NewJournalEntry } from './journal.js';
export type { Login, Logins } from './logins.js';
export type { Counted, Measurements, Quantile } from './measurements.js';
export type { Paces, ReservedTurns } from './paces.js';
export type { Joined, ReauthorizationOutcome, Reauthorizations } from './reauthorizations.js';
export type { ListRecordsOptions, Records, StoredRecord } from './records.js';
export {
  CONNECTION_STATUSES,
  EVENT_TYPES,
  HOLD_KINDS,
  JOURNAL_ACTIONS,
  WRITE_OUTCOMES,
  WRITE_STATES,
} from './schema.js';
export type {
  CapabilityReason,
  ConnectionStatus,
  EventData,
  EventType,
  HoldKind,
  JournalAction,
  LoginOutcome,
  WriteOutcomeName,
  WriteState,
} from './schema.js';
export { SealingError } from './sealing.js';
export type { Cursor, Walks } from './walks.js';
export type { Warning, Warnings } from './warnings.js';
export type { NewWebhookSubscription, RecordDeletion, WebhookSubscription, Webhooks } from './webhooks.js';
export { RESOLUTIONS } from './writes.js';
export type { BatchCounts, BatchOf, NewWrite, Resolution, Seen, Write, WriteBody, WriteOf, Writes } from './writes.js';
