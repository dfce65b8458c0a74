/** What is told of a request that fails again and again, for the Temporal UI: what, why, since when, until when, and who must act. */
import { RATE_LIMIT_SPENT, isStuck } from './retry.js';
import { errorRule, isFailureType } from './error-guide.js';
import type { FailureType } from './error-guide.js';

export interface FailingRequest {
  readonly type: string;
  readonly request?: string | undefined;
  readonly status?: number | undefined;
  readonly page?: number | undefined;
  readonly failures: number;
  readonly since: string;
  readonly nextAttemptAt?: string | undefined;
  readonly incidentId?: number | undefined;
}

/** Who can end it, of every failure that is tried again. */
const WHO_ACTS: Partial<Record<FailureType, string>> = {
  TooManyRequests: 'Nobody',
  InternalServerError: 'Maesn’s support, if it persists',
  ServerError: 'Nobody; Maesn’s support, if it persists',
  ErrorBudgetSpent: 'Nobody',
  NoResponse: 'Nobody; you, if it persists',
  InvalidResponse: 'You',
};

const OURS: Readonly<Record<string, readonly [who: string, advice: string]>> = {
  EventNotTaken: ['You', 'Your application did not take the event: look at what its receiver answers, and at its log.'],
  [RATE_LIMIT_SPENT]: ['Nobody', 'As many requests were sent as the target system takes; it goes on by itself.'],
  Unexpected: ['You', 'It is neither Maesn nor the target system: look at Postgres, and at the log of the Worker.'],
};

/** `Retrying`: three failures in a row, or more. `Waiting`: fewer, and the next attempt is long in coming. */
export function stateOfRetry({ failures }: Pick<FailingRequest, 'failures'>): 'Retrying' | 'Waiting' {
  return isStuck(failures) ? 'Retrying' : 'Waiting';
}

/** Markdown. `doing`: what the Workflow cannot go on with, such as "Pulling `invoices`". */
export function describeRetrying(doing: string, failing: FailingRequest): string {
  const { type, failures, since, nextAttemptAt, incidentId } = failing;
  const [who, advice] = isFailureType(type)
    ? [WHO_ACTS[type] ?? 'You', errorRule(type).advice]
    : (OURS[type] ?? ['You', 'Look at the log of the Worker.']);
  return [
    `**${stateOfRetry(failing)}** since ${moment(since)}. ${doing}.`,
    [
      `- **What failed:** ${whatFailed(failing)}, ${failures === 1 ? 'once' : `${failures} times in a row`}.`,
      `- **Next attempt:** ${nextAttemptAt === undefined ? 'soon' : moment(nextAttemptAt)}. Should it fail too, the next ones are further and further apart: _Pending Activities_ has the count, and the time of the one that is waited for now.`,
      `- **Who must act:** ${who}. ${advice}`,
      ...(incidentId === undefined ? [] : [`- **Part of incident ${incidentId}**, which concerns others too.`]),
      '- **To not wait:** send the Signal `retryNow`. Nothing is lost by it: neither the page, nor the count.',
    ].join('\n'),
  ].join('\n\n');
}

/** `2026-11-23 07:31:04 UTC` */
function moment(time: string): string {
  return `${time.slice(0, 19).replace('T', ' ')} UTC`;
}

function whatFailed({ type, request, status, page }: FailingRequest): string {
  const where = [request === undefined ? undefined : `\`${request}\``, page === undefined ? undefined : `page ${page}`];
  const answered = status === undefined ? `met ${type}` : `was answered ${status} (${type})`;
  return `${where.filter((part) => part !== undefined).join(', ') || 'a step'} ${answered}`;
}
