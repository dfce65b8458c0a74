import type { FailureType } from '../spec/error-guide.js';

/** Why a request to Maesn brought no usable answer, in the terms of the error guide. Holds no key and no record. */
export interface MaesnFailure {
  readonly type: FailureType;
  /** Method and path, without query: `GET /accounting/invoices`. */
  readonly request: string;
  /** What was seen, as the end of a sentence: `answered 429`, `did not answer within 30 s`. */
  readonly reason: string;
  readonly status?: number | undefined;
  readonly retryAfterMs?: number | undefined;
  /** Of a request without answer: no byte of it can have reached Maesn, because no connection was made. */
  readonly neverSent?: boolean | undefined;
  /** Maesn's own words, kept as unknown JSON: the shape of the entries is not documented. */
  readonly errors?: readonly unknown[] | undefined;
  readonly downstreamErrors?: readonly unknown[] | undefined;
  readonly validationErrors?: readonly unknown[] | undefined;
}

/** Carries a `MaesnFailure` up to the Activity that decides what it leads to. */
export class MaesnError extends Error {
  override readonly name = 'MaesnError';
  readonly failure: MaesnFailure;

  constructor(failure: MaesnFailure) {
    super(`${failure.request} ${failure.reason}`);
    this.failure = failure;
  }
}
