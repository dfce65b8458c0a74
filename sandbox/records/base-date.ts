/** No generated record was changed at this time or later. Fixed, so that the same seed gives the same books every day. */
export const BASE_DATE_MS = Date.UTC(2026, 0, 1);
