/** What the client throws. `code` tells what it is; `message` what to do. */
import { ServiceError, WorkflowNotFoundError, WorkflowUpdateFailedError, isGrpcServiceError } from '@temporalio/client';
import type { Client } from '@temporalio/client';
import type { z } from 'zod';
import { PayloadDecryptionError } from '../payloads/codec.js';

export const ERROR_CODES = {
  /** An argument is wrong; `issues` names which, and why. Nothing was done. */
  InvalidInput: 'InvalidInput',
  ConnectionNotFound: 'ConnectionNotFound',
  ConnectionExists: 'ConnectionExists',
  RecordNotFound: 'RecordNotFound',
  EventNotFound: 'EventNotFound',
  WriteNotFound: 'WriteNotFound',
  /** The idempotency key stands for another write. Nothing was done. */
  KeyReused: 'KeyReused',
  /** There is no sync of this connection that could be asked or cancelled. */
  SyncNotRunning: 'SyncNotRunning',
  /** Not now: pausing what is paused, for example. */
  Refused: 'Refused',
  /** The callback's state was never given out. */
  LoginUnknown: 'LoginUnknown',
  /** The callback has come before; nothing was changed by this one. */
  LoginUsed: 'LoginUsed',
  /** The end user took longer than MAESN_SYNC_LOGIN_EXPIRES. */
  LoginExpired: 'LoginExpired',
  /** The callback brought no account key, one that is none, or a signature that does not fit. */
  LoginIncomplete: 'LoginIncomplete',
  /** The webhook's callback URL was never given out, or its subscription is over. */
  WebhookUnknown: 'WebhookUnknown',
  /** The webhook's signature is missing or does not fit its body, or its subscription has expired. Nothing was done. */
  WebhookRefused: 'WebhookRefused',
  /** Maesn gave no login page, or no account key for the credentials; the message has its answer. */
  MaesnRefused: 'MaesnRefused',
  /** This process lacks what the call needs; the message names the variable. */
  NotConfigured: 'NotConfigured',
  /** Temporal, the store, or a Worker that had to answer, was not reached. Nothing is lost; ask again. */
  Unavailable: 'Unavailable',
} as const;

export type ErrorCode = keyof typeof ERROR_CODES;

export interface InputIssue {
  /** `resources.0` */
  readonly field: string;
  readonly message: string;
}

export class MaesnSyncError extends Error {
  override readonly name = 'MaesnSyncError';
  readonly code: ErrorCode;
  readonly issues: readonly InputIssue[];

  constructor(
    code: ErrorCode,
    message: string,
    options: ErrorOptions & { readonly issues?: readonly InputIssue[] } = {},
  ) {
    super(message, options);
    this.code = code;
    this.issues = options.issues ?? [];
  }
}

/** The value, or an error that names every field that is wrong. */
export function parseInput<Schema extends z.ZodType>(schema: Schema, value: unknown): z.output<Schema> {
  const parsed = schema.safeParse(value);
  if (parsed.success) return parsed.data;
  const issues = parsed.error.issues.map(({ path, message }) => ({ field: path.join('.') || 'input', message }));
  throw new MaesnSyncError('InvalidInput', issues.map(({ field, message }) => `${field}: ${message}`).join('; '), {
    issues,
  });
}

export interface CalledTemporal {
  readonly temporal: Pick<Client, 'withDeadline'>;
  readonly temporalAnswersWithinMs: number;
}

/** Makes calls to Temporal that are answered at once, or not at all. */
export async function callTemporal<Result>(
  { temporal, temporalAnswersWithinMs }: CalledTemporal,
  connectionId: string,
  call: () => Promise<Result>,
): Promise<Result> {
  return awaitTemporal(connectionId, () => temporal.withDeadline(Date.now() + temporalAnswersWithinMs, call));
}

/** Makes a call to Temporal that may wait for long, and puts its failures into our words. */
export async function awaitTemporal<Result>(connectionId: string, call: () => Promise<Result>): Promise<Result> {
  try {
    return await call();
  } catch (error) {
    if (error instanceof WorkflowNotFoundError) {
      throw notRunning(connectionId, error);
    }
    if (error instanceof WorkflowUpdateFailedError) {
      throw new MaesnSyncError('Refused', `Refused: ${error.cause?.message ?? error.message}.`, { cause: error });
    }
    if (isUnknownSearchAttribute(error)) {
      throw new MaesnSyncError('NotConfigured', `${MISSING_SEARCH_ATTRIBUTES} Nothing was started.`, { cause: error });
    }
    if (error instanceof PayloadDecryptionError) {
      throw new MaesnSyncError('NotConfigured', `${error.message}.`, { cause: error });
    }
    if (error instanceof ServiceError) {
      throw new MaesnSyncError('Unavailable', `Temporal did not answer: ${error.message}.`, { cause: error });
    }
    throw error;
  }
}

const MISSING_SEARCH_ATTRIBUTES =
  'Temporal does not know the search attributes MaesnConnection, MaesnTargetSystem and MaesnState: run maesn-sync migrate; maesn-sync doctor says what to run where that may not.';

/** Of gRPC. */
const INVALID_ARGUMENT = 3;

/** The server has no code of its own for it: what it says is all there is. */
function isUnknownSearchAttribute(error: unknown): boolean {
  const cause: unknown = error instanceof Error && !isGrpcServiceError(error) ? error.cause : error;
  if (!isGrpcServiceError(cause)) return false;
  const code: number = cause.code;
  return code === INVALID_ARGUMENT && /search attribute/i.test(cause.details);
}

export function notRunning(connectionId: string, cause?: unknown): MaesnSyncError {
  return new MaesnSyncError('SyncNotRunning', `No sync of connection ${connectionId} is running.`, { cause });
}

/** For what is told to a sync if there is one. Answers whether there is. */
export async function ignoreNotRunning(call: Promise<unknown>): Promise<boolean> {
  try {
    await call;
    return true;
  } catch (error) {
    if (error instanceof MaesnSyncError && error.code === 'SyncNotRunning') return false;
    throw error;
  }
}
