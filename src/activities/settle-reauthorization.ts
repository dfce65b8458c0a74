/** The side of reauthorizeConnection: open a round, tell the application, probe a new key, release who waits. */
import { heartbeat } from '@temporalio/activity';
import type { EventType, ReauthorizationOutcome } from '../store/index.js';
import { reauthorizationSettledSignal } from '../workflows/messages.js';
import { startAttempt } from './attempt.js';
import type { TriedBefore } from '../workflows/messages.js';
import type { ActivityDependencies } from './dependencies.js';
import { isMaesnError } from './failure.js';
import { ITSELF } from './holds.js';
import { signalUnlessGone } from './signal-workflow.js';
import { openConnection } from './open-connection.js';
import { createProbe } from './probe.js';
import { createTell } from './tell-application.js';

export interface OpenReauthorizationInput {
  readonly connectionId: string;
}

/** `round` is absent when nobody has to sign in again. */
export interface OpenReauthorizationResult {
  readonly round?: number;
}

export interface RemindReauthorizationInput {
  readonly connectionId: string;
  readonly round: number;
  readonly reminder: number;
}

export interface ProbeConnectionInput extends TriedBefore {
  readonly connectionId: string;
}

/**
 * `accepted`: Maesn takes the key. `refused`: it answered 401 or 403. `unchanged`: there is no key newer than the one that
 * was refused; Maesn was not asked.
 */
export interface ProbeConnectionResult {
  readonly outcome: 'accepted' | 'refused' | 'unchanged';
  readonly keyVersion: number;
  /** In words, for whoever reads it in the Temporal UI. */
  readonly reason?: string;
}

export interface SettleReauthorizationInput {
  readonly connectionId: string;
  readonly round: number;
  readonly outcome: ReauthorizationOutcome;
}

export interface SettleReauthorizationResult {
  /** How many Workflows were signalled. */
  readonly released: number;
}

export function createOpenReauthorization(dependencies: ActivityDependencies) {
  const { store } = dependencies;
  const tell = createTell(dependencies);

  /** Reads whether a round is open, and tells the application of it: once per round. */
  return async function openReauthorization(input: OpenReauthorizationInput): Promise<OpenReauthorizationResult> {
    const { connectionId } = input;
    const connection = await store.connections.find(connectionId);
    if (connection?.status !== 'awaiting_reauthorization') return {};
    const { round, awaitingSince } = connection;
    const occasion = `round ${round}`;
    await store.journal.add({
      connectionId,
      actor: ITSELF,
      action: 'reauthorization.required',
      detail: { round },
      occasion,
    });
    const data = { round, since: awaitingSince?.toISOString() };
    await tell({ connectionId, type: 'connection.reauthorization_required', occasion, data });
    return { round };
  };
}

export function createRemindReauthorization(dependencies: ActivityDependencies) {
  const tell = createTell(dependencies);
  return async function remindReauthorization(input: RemindReauthorizationInput): Promise<void> {
    const { connectionId, round, reminder } = input;
    const occasion = `round ${round}, reminder ${reminder}`;
    const detail = { round, reminder };
    await dependencies.store.journal.add({
      connectionId,
      actor: ITSELF,
      action: 'reauthorization.reminded',
      detail,
      occasion,
    });
    await tell({ connectionId, type: 'connection.reauthorization_reminder', occasion, data: detail });
  };
}

export function createProbeConnection(dependencies: ActivityDependencies) {
  const { store, options } = dependencies;
  const probe = createProbe(dependencies);
  const tell = createTell(dependencies);

  /** Asks Maesn whether it takes the newest key. Retried by the guide until there is an answer about the login. */
  return async function probeConnection({
    connectionId,
    before,
  }: ProbeConnectionInput): Promise<ProbeConnectionResult> {
    const attempt = startAttempt(options, before);
    try {
      const connection = await openConnection(store, connectionId);
      const { accountKey, keyVersion, refusedVersion } = connection;
      if (accountKey === undefined || keyVersion <= refusedVersion) return { outcome: 'unchanged', keyVersion };
      try {
        await probe({ ...connection, accountKey });
      } catch (error) {
        if (!isMaesnError(error)) throw error;
        const { type } = error.failure;
        if (type === 'Unauthorized' || type === 'Forbidden') {
          await store.reauthorizations.refuse(connectionId, keyVersion);
          // A key that is refused is news: whoever sent it believes that all is well.
          const occasion = `round ${connection.round}, key version ${keyVersion} refused`;
          const detail = { round: connection.round, keyVersion, reason: error.message };
          await store.journal.add({ connectionId, actor: ITSELF, action: 'key.refused', detail, occasion });
          await tell({ connectionId, type: 'connection.reauthorization_required', occasion, data: detail });
          return { outcome: 'refused', keyVersion, reason: error.message };
        }
        // Any other refusal is about the probe's own path, which not every system has; the login was let through.
        if (type === 'BadRequest' || type === 'NotFound' || type === 'MethodNotAllowed' || type === 'ClientError') {
          return { outcome: 'accepted', keyVersion, reason: error.message };
        }
        throw error;
      }
      return { outcome: 'accepted', keyVersion };
    } catch (error) {
      throw await attempt.toFailure(error);
    } finally {
      attempt.end();
    }
  };
}

const SETTLED_EVENTS: Readonly<Record<ReauthorizationOutcome, EventType>> = {
  reauthorized: 'connection.reauthorized',
  expired: 'connection.reauthorization_expired',
};

export function createSettleReauthorization(dependencies: ActivityDependencies) {
  const { store, temporal } = dependencies;
  const tell = createTell(dependencies);

  /** Ends the round and releases everybody who waits. Safe to repeat: who was released is not entered any more. */
  return async function settleReauthorization(input: SettleReauthorizationInput): Promise<SettleReauthorizationResult> {
    const { connectionId, round, outcome } = input;
    const waiting = await store.reauthorizations.settle({ connectionId, round, outcome });
    const occasion = `round ${round}`;
    await store.journal.add({
      connectionId,
      actor: ITSELF,
      action: 'reauthorization.settled',
      detail: { round, outcome, released: waiting.length },
      occasion,
    });
    await tell({ connectionId, type: SETTLED_EVENTS[outcome], occasion, data: { round } });
    const failures: unknown[] = [];
    for (const workflowId of waiting) {
      heartbeat();
      try {
        await signalUnlessGone(temporal, workflowId, reauthorizationSettledSignal, { outcome });
      } catch (error) {
        failures.push(error);
        continue;
      }
      await store.reauthorizations.leave(connectionId, workflowId, round);
    }
    // Only now: nobody waits for one that cannot be signalled.
    if (failures.length > 0) throw failures[0];
    return { released: waiting.length };
  };
}
