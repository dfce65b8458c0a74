/** Where something sealed is kept, and what it is bound to: by this, `rotate-sealing-key` finds and seals anew all there is. */
import type { SealedFor } from './sealing.js';

export interface SealedColumn {
  readonly table: string;
  readonly column: string;
  /** Primary key, one column. */
  readonly key: string;
  /** The columns that `context` reads. */
  readonly about: readonly string[];
  /** As the module seals that writes it. */
  readonly context: (row: Readonly<Record<string, string | number>>) => SealedFor;
}

const write = (column: 'body' | 'answer'): SealedColumn => ({
  table: 'writes',
  column,
  key: 'id',
  about: ['connection_id', 'idempotency_key'],
  context: ({ connection_id: connectionId = '', idempotency_key: idempotencyKey = '' }) => [
    connectionId,
    idempotencyKey,
    column,
  ],
});

export const SEALED_COLUMNS: readonly SealedColumn[] = [
  {
    table: 'connections',
    column: 'account_key',
    key: 'id',
    about: ['id', 'key_version'],
    context: ({ id = '', key_version: keyVersion = 0 }) => [id, keyVersion],
  },
  {
    table: 'webhook_subscriptions',
    column: 'secret',
    key: 'token_hash',
    about: ['token_hash'],
    context: ({ token_hash: tokenHash = '' }) => ['webhook', tokenHash],
  },
  write('body'),
  write('answer'),
];
