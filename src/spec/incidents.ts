/** What happens to many connections at once, and has one cause: an incident, not a thousand failures. */
import { keysOf } from './table.js';

/** What Maesn's last answer for a connection was, as far as it says anything of other connections. */
export const OUTCOMES = ['succeeded', 'refused', 'failing', 'other'] as const;

export type Outcome = (typeof OUTCOMES)[number];

export interface IncidentRule {
  /** What the answers have in common. */
  readonly outcome: Outcome;
  /** Failure types of the error guide that it explains. */
  readonly explains: readonly string[];
  /** Whether it is about one target system, or about all that we ask. */
  readonly perTargetSystem: boolean;
  /** So many connections, and half of those that asked: fewer is their own trouble. */
  readonly least: number;
  /** Whether one connection that is answered again is proof enough that it is over. */
  readonly endsWithFirst: boolean;
  readonly what: string;
  /** Who must do what. */
  readonly advice: string;
}

export const INCIDENT_RULES = {
  api_key_refused: {
    outcome: 'refused',
    explains: ['Forbidden'],
    perTargetSystem: false,
    least: 3,
    // There is one API key: what Maesn lets through with it for one connection, it lets through for all.
    endsWithFirst: true,
    what: 'Maesn answers 403 for many connections at once',
    advice: 'Check MAESN_API_KEY and what your plan at Maesn includes. No customer can help.',
  },
  target_system_failing: {
    outcome: 'failing',
    explains: ['InternalServerError', 'ServerError', 'NoResponse'],
    perTargetSystem: true,
    least: 5,
    endsWithFirst: false,
    what: 'Many connections of one target system fail alike: 5xx, or no answer',
    advice: 'Wait: every connection is asked again by itself. Ask Maesn’s support if it persists.',
  },
} as const satisfies Record<string, IncidentRule>;

export type IncidentKind = keyof typeof INCIDENT_RULES;

export const INCIDENT_KINDS = keysOf(INCIDENT_RULES);

/** Only what was answered within this time counts. */
export const INCIDENT_WINDOW_MS = 15 * 60_000;

/** That a connection is answered as before is news only now and then. */
export const NOTE_OUTCOME_EVERY_MS = 60_000;

/** How often one of the connections that it concerns asks on behalf of all. */
export const INCIDENT_REVIEW_MS = INCIDENT_WINDOW_MS;

export function incidentRule(kind: IncidentKind): IncidentRule {
  return INCIDENT_RULES[kind];
}

export function isIncident(kind: IncidentKind, { met, asked }: { readonly met: number; readonly asked: number }) {
  return met >= incidentRule(kind).least && met * 2 >= asked;
}

/** What a failure says of other connections. */
export function outcomeOf(failureType: string): Outcome {
  const kind = INCIDENT_KINDS.find((name) => incidentRule(name).explains.includes(failureType));
  return kind === undefined ? 'other' : incidentRule(kind).outcome;
}
