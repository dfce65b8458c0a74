/** The outbox: what the application must be told. */
import { gt } from 'drizzle-orm';
import type { Database } from './database.js';
import { notices } from './schema.js';
import type { NoticeType } from './schema.js';

export interface Notice {
  /** Grows; where the reader got to. */
  readonly id: number;
  readonly type: NoticeType;
  readonly connectionId: string;
  readonly createdAt: Date;
}

export interface NewNotice extends Pick<Notice, 'type' | 'connectionId'> {
  /** What makes this notice another one than the last of its type. */
  readonly occasion: string;
}

export interface Notices {
  /** Tells the application. The same occasion again is not told again. */
  add(notice: NewNotice): Promise<void>;
  /** What came after notice `afterId`, oldest first. */
  list(options: { readonly afterId: number; readonly limit: number }): Promise<Notice[]>;
}

export function createNotices(db: Database): Notices {
  return {
    async add(notice) {
      await db.insert(notices).values(notice).onConflictDoNothing();
    },
    list: ({ afterId, limit }) =>
      db
        .select({
          id: notices.id,
          type: notices.type,
          connectionId: notices.connectionId,
          createdAt: notices.createdAt,
        })
        .from(notices)
        .where(gt(notices.id, afterId))
        .orderBy(notices.id)
        .limit(limit),
  };
}
