import { CancellationScope, condition, isCancellation, setHandler } from '@temporalio/workflow';
import { describeRetrying, stateOfRetry } from '../spec/retry-text.js';
import {
  checkLogin,
  openReauthorization,
  probeConnection,
  remindReauthorization,
  settleReauthorization,
} from './activities.js';
import { causeOf } from './failures.js';
import { joinedSignal, reauthorizationStatusQuery, reauthorizedSignal, revokedSignal } from './messages.js';
import type { ReauthorizeConnectionInput, ReauthorizeConnectionStatus, ReauthorizationSettled } from './messages.js';
import { receiveRetrying } from './retrying.js';
import { createShownState } from './show-state.js';

/**
 * The signal-awaiting step, one for all Workflows of a connection: tells the application that the end user must sign
 * in again, reminds it, probes every key that comes back, and releases whoever waits. Signals only wake it: what counts is
 * the key in the store and Maesn's answer to it, so early, late, repeated and forged Signals change nothing.
 */
export async function reauthorizeConnection(input: ReauthorizeConnectionInput): Promise<{ readonly released: number }> {
  const { connectionId, remindEveryMs, expireAfterMs } = input;
  let joins = 0;
  let answers = 0;
  let revoked = false;
  let released = 0;
  let status: ReauthorizeConnectionStatus = { state: 'Opening', since: now(), round: 0, reminders: 0 };

  const shown = createShownState();
  const retrying = receiveRetrying(() => show({}));

  setHandler(joinedSignal, () => void (joins += 1));
  setHandler(revokedSignal, () => void (revoked = true));
  setHandler(reauthorizedSignal, () => void (answers += 1));
  setHandler(reauthorizationStatusQuery, () => status);

  return shown.toEnd(settleRounds);

  async function settleRounds(): Promise<{ readonly released: number }> {
    let seenJoins: number;
    do {
      // A round can begin while the last one is being released: then once more from the start.
      seenJoins = joins;
      if (revoked) await checkRevoked(() => joins > seenJoins);
      // Whoever waits must not wait for a Workflow that was cancelled: it hears of that where it awaits a key.
      const { round } = await CancellationScope.nonCancellable(() => openReauthorization({ connectionId }));
      // Somebody may have joined since it was read.
      if (round === undefined) continue;
      const expiresAt = Date.now() + expireAfterMs;
      show({ state: 'AwaitingReauthorization', round, reminders: 0, expiresAt: new Date(expiresAt).toISOString() });
      const outcome = await awaitNewKey(round, expiresAt).catch(async (error: unknown) => {
        if (isCancellation(error)) await settle(round, 'expired');
        throw error;
      });
      await settle(round, outcome);
    } while (joins > seenJoins || revoked);
    return { released };
  }

  /**
   * Maesn has said so; whether it is so (still), its answer to a probe tells. `isKnown`: somebody has met a 401 meanwhile, and
   * must not wait for a target system that does not answer. Where there is no answer at all, the next 401 tells.
   */
  async function checkRevoked(isKnown: () => boolean): Promise<void> {
    revoked = false;
    const check = new CancellationScope();
    try {
      await check.run(async () => {
        void condition(isKnown).then(
          () => check.cancel(),
          () => undefined,
        );
        await retrying.run((before) =>
          checkLogin.executeWithOptions({ summary: `whether the login of ${connectionId} was revoked` }, [
            { connectionId, before },
          ]),
        );
      });
    } catch {
      // What comes next tells, also whether this Workflow was cancelled.
    }
  }

  async function awaitNewKey(round: number, expiresAt: number): Promise<ReauthorizationSettled['outcome']> {
    for (let nextReminderAt = Date.now() + remindEveryMs; ;) {
      const seenAnswers = answers;
      if (await isAccepted()) return 'reauthorized';
      if (Date.now() >= expiresAt) return 'expired';
      const wakeAt = Math.min(nextReminderAt, expiresAt);
      const answered = await condition(() => answers > seenAnswers, Math.max(1, wakeAt - Date.now()), {
        summary: wakeAt === expiresAt ? 'until it expires' : 'until the next reminder',
      });
      if (answered || Date.now() < nextReminderAt || Date.now() >= expiresAt) continue;
      nextReminderAt += remindEveryMs;
      const reminders = status.reminders + 1;
      await remindReauthorization({ connectionId, round, reminder: reminders });
      show({ reminders });
    }
  }

  async function isAccepted(): Promise<boolean> {
    show({ state: 'Probing' });
    let lastProbe: string | undefined;
    try {
      const { outcome, keyVersion, reason } = await retrying.run((before) =>
        probeConnection.executeWithOptions({ summary: `whether Maesn takes the key of ${connectionId}` }, [
          { connectionId, before },
        ]),
      );
      if (outcome === 'accepted') return true;
      if (outcome === 'refused') lastProbe = `Key version ${keyVersion} was refused. ${reason ?? ''}`;
    } catch (error) {
      if (isCancellation(error)) throw error;
      lastProbe = causeOf(error).message;
    }
    show({ state: 'AwaitingReauthorization', ...(lastProbe === undefined ? {} : { lastProbe }) });
    return false;
  }

  async function settle(round: number, outcome: ReauthorizationSettled['outcome']): Promise<void> {
    show({ state: 'Releasing' });
    const settling = () => settleReauthorization({ connectionId, round, outcome });
    ({ released } = await CancellationScope.nonCancellable(settling));
  }

  function show(changes: Partial<ReauthorizeConnectionStatus>): void {
    const moved = changes.state !== undefined && changes.state !== status.state;
    status = { ...status, ...changes, ...(moved ? { since: now() } : {}) };
    const { report } = retrying;
    if (report !== undefined)
      return shown.show(stateOfRetry(report), describeRetrying('Asking Maesn whether it takes the login', report));
    shown.show(
      'AwaitingReauthorization',
      [
        `**${status.state}** since ${status.since}.`,
        `The end user of connection \`${connectionId}\` must sign in again; the application was told, and reminded ${status.reminders} times.`,
        status.expiresAt === undefined ? '' : `Given up at ${status.expiresAt}.`,
        status.lastProbe ?? '',
      ].join('\n\n'),
    );
  }
}

function now(): string {
  return new Date().toISOString();
}
