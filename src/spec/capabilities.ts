/** What a target system offers, as far as its answers have told, and how long that is believed. */

const HOUR_MS = 60 * 60_000;

/** What was never offered is asked for again after this time: target systems learn, and customers book more of them. */
export const RECHECK_AFTER_MS = 7 * 24 * HOUR_MS;

/** What was offered before is more likely to be back: a path can be gone for the time of a deployment. */
export const RECHECK_OF_OFFERED_AFTER_MS = HOUR_MS;

/** That a resource is offered is known with each of its pages, and written down again when it was this long ago. */
export const NOTE_OFFERED_EVERY_MS = HOUR_MS;

/** On the first page it is about the collection; later the collection is there, and something else is wrong. */
export function meansNotOffered({
  type,
  page,
}: {
  readonly type: string;
  readonly page?: number | undefined;
}): boolean {
  return (type === 'NotFound' || type === 'MethodNotAllowed') && page === 1;
}
