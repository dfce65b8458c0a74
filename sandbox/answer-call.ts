/** Answers a call: as the account's books say, or as its next fault says. */
import type { HttpBindings } from '@hono/node-server';
import { RESPONSE_ALREADY_SENT } from '@hono/node-server/utils/response';
import type { Context } from 'hono';
import type { OpenAccount } from './account.js';
import { toError } from './envelope.js';
import type { Answer } from './envelope.js';
import { sendFault } from './fault-answers.js';
import type { FaultTarget } from './faults.js';
import type { OpenEntry } from './request-log.js';

export interface SandboxEnv {
  readonly Bindings: HttpBindings;
  readonly Variables: { readonly entry: OpenEntry; readonly account: OpenAccount };
}

interface Call {
  readonly account: OpenAccount;
  readonly params: URLSearchParams;
  readonly taskFails: boolean;
}

export function toResponse({ status, body, headers }: Answer): Response {
  return new Response(JSON.stringify(body), {
    status,
    headers: { 'content-type': 'application/json; charset=utf-8', ...headers },
  });
}

export async function answerCall(
  context: Context<SandboxEnv>,
  target: FaultTarget,
  toAnswer: (call: Call) => Answer,
): Promise<Response> {
  const account = context.get('account');
  const entry = context.get('entry');
  const params = new URL(context.req.url).searchParams;
  const fault = account.faults.take({ target, page: Number(params.get('page') ?? 1) });
  if (fault !== undefined) entry.fault = fault.kind;
  if (fault?.kind === 'revoke') {
    account.revoke();
    return toResponse(toError(401));
  }
  // Carried out once, whoever asks.
  let answered: Answer | undefined;
  const answer = () => (answered ??= toAnswer({ account, params, taskFails: fault?.kind === 'failedTask' }));
  if (fault === undefined || fault.kind === 'failedTask') return toResponse(answer());
  if (fault.applied) answer();
  entry.status = await sendFault({ fault, outgoing: context.env.outgoing, answer });
  return RESPONSE_ALREADY_SENT;
}
