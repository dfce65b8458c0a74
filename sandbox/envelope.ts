/** What Maesn wraps its answers in. The shape of the entries of the three error lists is our guess: Maesn does not document it. */

export interface Answer {
  readonly status: number;
  readonly body: object;
  readonly headers?: Readonly<Record<string, string>>;
}

export interface ErrorDetails {
  readonly errors?: readonly unknown[] | undefined;
  readonly downstreamErrors?: readonly unknown[] | undefined;
  readonly validationErrors?: readonly unknown[] | undefined;
}

const REASONS: Readonly<Record<number, string>> = {
  400: 'The request is not valid.',
  401: 'The account key is missing, unknown or revoked.',
  403: 'The API key is missing or not valid.',
  404: 'There is nothing at this path for this target system.',
  405: 'The target system does not support this.',
  429: 'Too many requests.',
  500: 'The target system failed.',
  503: 'The target system is not available.',
};

export function toSuccess(data: unknown, meta: object = {}): Answer {
  return { status: 200, body: { meta, data, errors: null, rawData: null } };
}

export function toError(status: number, details: ErrorDetails = {}): Answer {
  const downstreamErrors = details.downstreamErrors ?? (status >= 500 ? [{ message: 'Konto 8400 ist gesperrt' }] : []);
  return {
    status,
    body: {
      meta: null,
      data: null,
      errors: details.errors ?? [{ statusCode: status, message: REASONS[status] ?? 'The request failed.' }],
      downstreamErrors,
      ...(details.validationErrors === undefined ? {} : { validationErrors: details.validationErrors }),
      rawData: null,
    },
  };
}

export function toBadRequest(message: string): Answer {
  return toError(400, { errors: [{ statusCode: 400, message }] });
}
