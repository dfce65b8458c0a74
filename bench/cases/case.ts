import type { Claim } from '../report.js';
import type { Servers } from '../servers/index.js';
import type { Variant } from '../variants/index.js';

/** How much of everything. */
export interface Sizes {
  readonly records: number;
  readonly fleet: number;
  readonly idle: number;
  readonly awaiting: number;
  readonly idleForSeconds: number;
  readonly wakes: number;
  readonly growth: readonly number[];
}

export interface BenchOptions {
  readonly servers: Servers;
  readonly runs: number;
  readonly sizes: Sizes;
  readonly variants: readonly Variant[];
  readonly onProgress: (line: string) => void;
}

export interface CaseResult {
  readonly text: string;
  readonly claims: readonly Claim[];
}

export interface BenchCase {
  readonly name: string;
  /** Cases of the same group share a section. */
  readonly group: 'pull' | 'resume' | 'no-change' | 'fleet' | 'growth' | 'idle';
  readonly title: string;
  readonly run: (options: BenchOptions) => Promise<CaseResult>;
}
