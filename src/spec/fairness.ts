/** Whose turn it is when more is to be done than Workers can do: Temporal takes turns between connections. */

/** Temporal's limit for a fairness key, in bytes; ids of connections are ASCII. */
const MAX_BYTES = 64;

/** Plain data of Temporal's `priority` option. */
export interface SharedTurns {
  readonly fairnessKey: string;
}

/** What a Workflow of this connection is started with; its Activities inherit it. */
export function sharedTurns(connectionId: string): SharedTurns {
  return { fairnessKey: fairnessKey(connectionId) };
}

/** Short things that somebody waits for go before walks over many pages. 1 to 5, 3 unless told. */
export const BEFORE_WALKS = 2;

function fairnessKey(connectionId: string): string {
  if (connectionId.length <= MAX_BYTES) return connectionId;
  const hash = fnv1a(connectionId).toString(16).padStart(8, '0');
  return `${connectionId.slice(0, MAX_BYTES - hash.length - 1)}#${hash}`;
}

/** FNV-1a, 32 bits. Two that come out alike share their turns, which harms nobody. */
function fnv1a(text: string): number {
  let hash = 0x811c9dc5;
  for (const character of text) hash = Math.imul(hash ^ (character.codePointAt(0) ?? 0), 0x01000193) >>> 0;
  return hash;
}
