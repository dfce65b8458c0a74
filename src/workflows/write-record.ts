import {
  CancellationScope,
  CancelledFailure,
  allHandlersFinished,
  condition,
  setHandler,
  workflowInfo,
} from '@temporalio/workflow';
import { describeRetrying, stateOfRetry } from '../spec/retry-text.js';
import {
  endWrite,
  giveUpWrite,
  lookUpWrite,
  pollWriteTask,
  readWrite,
  resolveWrite,
  sendWrite,
  tellApplication,
} from './activities.js';
import { receiveReauthorization } from './await-reauthorization.js';
import { continueUnlessCancelled } from './continue-as-new.js';
import { causeOf, endedByCancellation } from './failures.js';
import { refuseIf, isCount, isOneOf, isText } from './inputs.js';
import { resolveWriteUpdate, writeChangedSignal, writeStatusQuery } from './messages.js';
import type { AttemptCounts, WriteRecordInput, WriteRecordResult, WriteRecordStatus, WriteStep } from './messages.js';
import { receiveRetrying } from './retrying.js';
import type { MaesnState } from './search-attributes.js';
import { createShownState } from './show-state.js';

/** A Signal that got lost costs no more than that. */
const LOOK_AGAIN = '5 minutes';

/**
 * Writes one thing, once, to its final answer. What is written, and how far it is, is in the store: each step reads there
 * what is next. Whatever may have been applied is looked up before anything is sent again, and where that does not tell, a
 * person does.
 */
export async function writeRecord(input: WriteRecordInput): Promise<WriteRecordResult> {
  const { connectionId, idempotencyKey } = input;
  const awaitReauthorization = receiveReauthorization(connectionId);
  let changed = false;
  let status: WriteRecordStatus = { doing: 'send', since: new Date().toISOString() };

  let about = '';
  const shown = createShownState();
  const retrying = receiveRetrying(showAgain);

  setHandler(writeStatusQuery, () => status);
  setHandler(writeChangedSignal, () => void (changed = true));
  setHandler(
    resolveWriteUpdate,
    async ({ decision, sends, by }) => {
      await resolveWrite({ ...input, decision, sends, by });
      changed = true;
    },
    {
      validator: (given) => {
        const isGood =
          isOneOf(given?.decision, ['applied', 'not_applied', 'abandon']) &&
          (given.sends === undefined || isCount(given.sends)) &&
          (given.by === undefined || isText(given.by));
        refuseIf(
          !isGood,
          'InvalidInput',
          'resolve takes { decision, sends?, by? }: "applied", "not_applied" or "abandon", a number and a text',
        );
        refuseIf(status.doing !== 'decide', 'NothingToDecide', 'nobody has to say what became of this write');
      },
    },
  );

  return shown.toEnd(write);

  async function write(): Promise<WriteRecordResult> {
    try {
      let step: WriteStep = { next: 'send' };
      while (step.next !== 'nothing') step = await carryOut(step);
      return await ended(step.result);
    } catch (error) {
      if (!endedByCancellation(error)) throw error;
      await CancellationScope.nonCancellable(giveUp);
      throw new CancelledFailure('the write was cancelled');
    } finally {
      await CancellationScope.nonCancellable(() => condition(allHandlersFinished));
    }
  }

  async function giveUp(): Promise<void> {
    const step = await giveUpWrite({ ...input, because: 'it was cancelled' });
    if (step.next === 'nothing') await ended(step.result);
    if (step.next === 'decide') await tellUndecided(step);
  }

  // oxlint-disable-next-line typescript/consistent-return -- every case returns
  async function carryOut(step: Exclude<WriteStep, { next: 'nothing' }>): Promise<WriteStep> {
    show(step.next, step.next === 'decide' ? step.because : undefined);
    switch (step.next) {
      case 'send':
        return ask((before) => sendWrite.executeWithOptions({ summary: summaryOf('send') }, [{ ...input, before }]));
      case 'lookUp':
        return ask((before) =>
          lookUpWrite.executeWithOptions({ summary: summaryOf('look up') }, [{ ...input, before }]),
        );
      case 'poll':
        return ask((before) =>
          pollWriteTask.executeWithOptions({ summary: summaryOf('ask for the task of') }, [{ ...input, before }]),
        );
      case 'waitForTurn':
        await condition(() => changed, LOOK_AGAIN, { summary: 'the write before it' });
        await beginAnewIfSuggested();
        return { next: 'send' };
      case 'decide':
        await tellUndecided(step);
        await condition(() => changed);
        await beginAnewIfSuggested();
        changed = false;
        return readWrite(input);
    }
  }

  /** A person may take weeks to decide this one, or the one before it. What is known of it is in the store. */
  async function beginAnewIfSuggested(): Promise<void> {
    if (workflowInfo().continueAsNewSuggested) await continueUnlessCancelled<typeof writeRecord>(input);
  }

  async function tellUndecided({ because, sends }: Extract<WriteStep, { next: 'decide' }>): Promise<void> {
    const occasion = `${idempotencyKey}, sent ${sends} times`;
    await tellApplication({ connectionId, type: 'write.undecided', occasion, data: { idempotencyKey, because } });
  }

  /** A login that is refused is waited for; then the very same step is taken once more. */
  async function ask(activity: (before: AttemptCounts | undefined) => Promise<WriteStep>): Promise<WriteStep> {
    for (;;) {
      try {
        // What is signalled from now on, the Activity may not have seen.
        changed = false;
        return await retrying.run(activity);
      } catch (error) {
        const cause = causeOf(error);
        if (cause.type !== 'Unauthorized' || endedByCancellation(error)) throw error;
        const { doing } = status;
        show('awaitReauthorization');
        if ((await awaitReauthorization(cause.details?.keyVersion ?? 0)) === 'expired') {
          return giveUpWrite({ ...input, because: 'nobody signed in again in time' });
        }
        show(doing);
      }
    }
  }

  async function ended(result: WriteRecordResult): Promise<WriteRecordResult> {
    show('nothing', result.outcome);
    await endWrite(input);
    return result;
  }

  function summaryOf(verb: string): string {
    return `${verb} ${idempotencyKey} of ${connectionId}`;
  }

  function show(doing: WriteRecordStatus['doing'], more = ''): void {
    status = { doing, since: new Date().toISOString() };
    about = more;
    showAgain();
  }

  function showAgain(): void {
    const which = `Write \`${idempotencyKey}\` of connection \`${connectionId}\``;
    const { doing, since } = status;
    const { report } = retrying;
    if (report !== undefined)
      return shown.show(stateOfRetry(report), describeRetrying(`${which}: ${WORDS[doing]}`, report));
    const lines = [`**${WORDS[doing]}** since ${since}.`, `${which}.`, about];
    shown.show(STATES[doing], lines.filter((line) => line !== '').join('\n\n'));
  }
}

const STATES: Readonly<Record<WriteRecordStatus['doing'], MaesnState>> = {
  send: 'Writing',
  lookUp: 'Writing',
  poll: 'Writing',
  nothing: 'Writing',
  waitForTurn: 'Queued',
  decide: 'Undecided',
  awaitReauthorization: 'AwaitingReauthorization',
};

const WORDS: Readonly<Record<WriteRecordStatus['doing'], string>> = {
  send: 'Being sent',
  waitForTurn: 'Waits for an earlier write of the same record',
  lookUp: 'Nobody has said whether it was applied: being looked up',
  poll: 'Maesn carries it out as a task',
  decide: 'A person must say whether it was applied (Update `resolve`)',
  awaitReauthorization: 'Waits for the end user to sign in again',
  nothing: 'Has ended',
};
