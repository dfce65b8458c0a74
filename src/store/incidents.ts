/** What many connections met at the same time: found by what Maesn last answered for each of them. */
import { and, count, desc, eq, gt, inArray, isNull, lt, or, sql } from 'drizzle-orm';
import {
  INCIDENT_KINDS,
  INCIDENT_WINDOW_MS,
  NOTE_OUTCOME_EVERY_MS,
  incidentRule,
  isIncident,
} from '../spec/incidents.js';
import type { IncidentKind, Outcome } from '../spec/incidents.js';
import { WITHOUT_WAITING } from './database.js';
import type { Database } from './database.js';
import { fromNow } from './from-now.js';
import { connections, incidents, outcomes } from './schema.js';

export interface Incident {
  /** Grows. */
  readonly id: number;
  readonly kind: IncidentKind;
  /** `null`: all that we ask. */
  readonly targetSystem: string | null;
  readonly openedAt: Date;
  readonly lastSeenAt: Date;
  readonly closedAt: Date | null;
  /** How many connections it concerned at once, at most. */
  readonly connections: number;
}

export interface OutcomeOf {
  readonly connectionId: string;
  readonly targetSystem: string;
  readonly outcome: Outcome;
}

export interface Incidents {
  /** Notes an answer, and opens and closes incidents by it. Answers those that the application has not been told of. */
  note(of: OutcomeOf): Promise<Incident[]>;
  /** The application has been told of it, as it was read. */
  announced(incident: Incident): Promise<void>;
  /** The open incident that explains all of these failures of a connection, if there is one. */
  explaining(connectionId: string, failureTypes: readonly string[]): Promise<Incident | undefined>;
  open(): Promise<Incident[]>;
  /** Those of which the application has to be told, or told more. */
  untold(): Promise<Incident[]>;
  /** A connection that it concerns and that can be asked for: of which the newest answer is the newest. */
  witness(incident: Incident): Promise<Pick<OutcomeOf, 'connectionId' | 'targetSystem'> | undefined>;
  close(id: number): Promise<void>;
  /** Newest first, from before `beforeId`. */
  list(options: { readonly beforeId?: number | undefined; readonly limit: number }): Promise<Incident[]>;
}

const COLUMNS = {
  id: incidents.id,
  kind: incidents.kind,
  targetSystem: incidents.targetSystem,
  openedAt: incidents.openedAt,
  lastSeenAt: incidents.lastSeenAt,
  closedAt: incidents.closedAt,
  connections: incidents.connections,
};

export function createIncidents(db: Database): Incidents {
  const isOpen = isNull(incidents.closedAt);

  /** The open one of a kind and target system. */
  const openAt = (kind: IncidentKind, targetSystem: string | null) =>
    and(
      isOpen,
      eq(incidents.kind, kind),
      targetSystem === null ? isNull(incidents.targetSystem) : eq(incidents.targetSystem, targetSystem),
    );

  async function countMet(kind: IncidentKind, targetSystem: string | null) {
    const [row] = await db
      .select({
        asked: count(),
        met: sql<number>`(count(*) filter (where ${outcomes.outcome} = ${incidentRule(kind).outcome}))::int`,
      })
      .from(outcomes)
      .innerJoin(connections, eq(connections.id, outcomes.connectionId))
      .where(
        and(
          gt(outcomes.at, fromNow(-INCIDENT_WINDOW_MS)),
          targetSystem === null ? undefined : eq(connections.targetSystem, targetSystem),
        ),
      );
    return { asked: row?.asked ?? 0, met: row?.met ?? 0 };
  }

  async function see(kind: IncidentKind, targetSystem: string | null): Promise<void> {
    const counted = await countMet(kind, targetSystem);
    const seen = await db
      .update(incidents)
      .set({ lastSeenAt: sql`now()`, connections: sql`greatest(${incidents.connections}, ${counted.met})` })
      .where(openAt(kind, targetSystem))
      .returning({ id: incidents.id });
    if (seen.length > 0 || !isIncident(kind, counted)) return;
    await db.insert(incidents).values({ kind, targetSystem, connections: counted.met }).onConflictDoNothing();
  }

  async function closeIfOver(incident: Incident, before: Outcome | null): Promise<void> {
    const { id, kind, targetSystem } = incident;
    const { endsWithFirst, outcome } = incidentRule(kind);
    const isOver = (endsWithFirst && before === outcome) || !isIncident(kind, await countMet(kind, targetSystem));
    if (isOver) await close(id);
  }

  async function close(id: number): Promise<void> {
    await db
      .update(incidents)
      .set({ closedAt: sql`now()`, announced: false })
      .where(and(eq(incidents.id, id), isOpen));
  }

  const untold = () => db.select(COLUMNS).from(incidents).where(eq(incidents.announced, false)).orderBy(incidents.id);

  const openOf = (targetSystem: string) =>
    db
      .select(COLUMNS)
      .from(incidents)
      .where(and(isOpen, or(isNull(incidents.targetSystem), eq(incidents.targetSystem, targetSystem))));

  return {
    async note({ connectionId, targetSystem, outcome }) {
      const before = db
        .$with('before')
        .as(db.select({ outcome: outcomes.outcome }).from(outcomes).where(eq(outcomes.connectionId, connectionId)));
      // By itself, and before anything is counted: of those who come at once, the last one sees all of them.
      const noted = db.$with('noted').as(
        db
          .insert(outcomes)
          .values({ connectionId, outcome })
          .onConflictDoUpdate({
            target: outcomes.connectionId,
            set: { outcome, at: sql`now()` },
            setWhere: sql`${outcomes.outcome} <> ${outcome} or ${outcomes.at} < ${fromNow(-NOTE_OUTCOME_EVERY_MS)}`,
          })
          .returning({ outcome: outcomes.outcome }),
      );
      const [known] = await db
        .with(before, noted)
        .select({
          before: sql<Outcome | null>`(select outcome from ${before})`,
          hasNews: sql<boolean>`exists (select from ${incidents} where ${isOpen} or not ${incidents.announced})`,
        })
        .from(sql`(values (0)) as once`)
        .where(WITHOUT_WAITING);
      if (outcome === 'succeeded') {
        if (known?.hasNews !== true) return [];
        for (const incident of await openOf(targetSystem)) await closeIfOver(incident, known.before);
      }
      for (const kind of INCIDENT_KINDS) {
        const rule = incidentRule(kind);
        if (rule.outcome === outcome) await see(kind, rule.perTargetSystem ? targetSystem : null);
      }
      return untold();
    },

    async announced({ id, closedAt }) {
      // One that was closed meanwhile has its end yet to be told.
      const asRead = closedAt === null ? isOpen : undefined;
      await db
        .update(incidents)
        .set({ announced: true })
        .where(and(eq(incidents.id, id), asRead));
    },

    async explaining(connectionId, failureTypes) {
      const kinds = INCIDENT_KINDS.filter((kind) =>
        failureTypes.every((type) => incidentRule(kind).explains.includes(type)),
      );
      if (failureTypes.length === 0 || kinds.length === 0) return undefined;
      const ofSystem = db
        .select({ targetSystem: connections.targetSystem })
        .from(connections)
        .where(eq(connections.id, connectionId));
      const [found] = await db
        .select(COLUMNS)
        .from(incidents)
        .where(
          and(
            isOpen,
            inArray(incidents.kind, kinds),
            or(isNull(incidents.targetSystem), inArray(incidents.targetSystem, ofSystem)),
          ),
        )
        .limit(1);
      return found;
    },

    close,
    untold,

    async witness({ kind, targetSystem }) {
      const [found] = await db
        .select({ connectionId: connections.id, targetSystem: connections.targetSystem })
        .from(outcomes)
        .innerJoin(connections, eq(connections.id, outcomes.connectionId))
        .where(
          and(
            eq(outcomes.outcome, incidentRule(kind).outcome),
            eq(connections.status, 'active'),
            targetSystem === null ? undefined : eq(connections.targetSystem, targetSystem),
          ),
        )
        .orderBy(desc(outcomes.at))
        .limit(1);
      return found;
    },

    open: () => db.select(COLUMNS).from(incidents).where(isOpen).orderBy(incidents.id),

    list: ({ beforeId, limit }) =>
      db
        .select(COLUMNS)
        .from(incidents)
        .where(beforeId === undefined ? undefined : lt(incidents.id, beforeId))
        .orderBy(desc(incidents.id))
        .limit(limit),
  };
}
