/**
 * Whether a pass over the pages of a list can have missed anything. A list that changes while it is read moves its records
 * from page to page: a record that slides over the edge between two pages is on neither. Pure.
 */

/** As often is a list read that does not stand still; then what was read is kept, and not called complete. */
export const MAX_PASSES = 3;

export interface PassEvidence {
  readonly pages: number;
  /** Records on them. */
  readonly read: number;
  /** As Maesn counted them; `null` where it does not count. */
  readonly total: number | null;
  /** Two pages have counted differently. */
  readonly totalChanged: boolean;
  readonly fingerprint: string | null;
  /** Of the pass before, over the same list. */
  readonly previousFingerprint: string | null;
  /** Whether Maesn can be asked what has changed since. */
  readonly incremental: boolean;
}

/**
 * `complete`: it has missed nothing. `ask for changes`: it has not, if nothing was added meanwhile, and nothing listed twice.
 * `read again`: it may have.
 *
 * One page is one answer: nothing can slide, and it holds as many records as it counts. Over several, a record is missed only when another one before it went away; then
 * the count falls, unless one was added at the same moment. Two passes that saw the same records in the same order have
 * missed nothing either: what made the one miss a record, the other would not have listed.
 */
export function judgePass(evidence: PassEvidence): 'complete' | 'ask for changes' | 'read again' {
  const { pages, read, total, totalChanged, fingerprint, previousFingerprint, incremental } = evidence;
  if (pages <= 1 && (total === null || total === read)) return 'complete';
  if (totalChanged) return 'read again';
  if (fingerprint !== null && fingerprint === previousFingerprint) return 'complete';
  return incremental && total === read ? 'ask for changes' : 'read again';
}

/** So few may always be deleted, as long as others are left. */
const UNSUSPICIOUS = 10;

/** Whether so much would be deleted that a mistake of the target system is likelier than the truth. */
export function isCollapse(gone: number, held: number, maximumShare: number): boolean {
  if (gone === 0) return false;
  return gone === held || (gone > UNSUSPICIOUS && gone > held * maximumShare);
}
