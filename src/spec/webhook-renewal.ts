/** When webhook subscriptions are renewed: pure functions over times. */

const HOUR_MS = 60 * 60_000;
const WEEK_MS = 7 * 24 * HOUR_MS;

/** The part of its life after which a subscription is renewed. */
const RENEWED_AT = 0.8;

/** Even when nothing is due for long, somebody looks this often; and never more often than hourly. */
export const LOOK_AGAIN = { soonestMs: HOUR_MS, latestMs: WEEK_MS } as const;

export interface Lifetime {
  readonly createdAt: Date;
  /** `null`: Maesn does not say; then it is renewed every week. */
  readonly expiresAt: Date | null;
}

/** When a subscription is due, in milliseconds since 1970. */
export function renewalDueAt({ createdAt, expiresAt }: Lifetime): number {
  const from = createdAt.getTime();
  return expiresAt === null ? from + WEEK_MS : from + RENEWED_AT * Math.max(0, expiresAt.getTime() - from);
}

export function lookAgainInMs(subscriptions: readonly Lifetime[], nowMs: number): number {
  const firstDueAt = Math.min(...subscriptions.map(renewalDueAt));
  return Math.round(Math.min(Math.max(firstDueAt - nowMs, LOOK_AGAIN.soonestMs), LOOK_AGAIN.latestMs));
}
