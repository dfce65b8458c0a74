/**
 * Account keys, webhook secrets and the contents of writes at rest: AES-256-GCM, bound to the row they belong to, so that a sealed key
 * copied to another row does not open there. Form: `v1.<id of the sealing key>.<iv>.<tag>.<ciphertext>`, base64url.
 */
import { createCipheriv, createDecipheriv, createHash, randomBytes } from 'node:crypto';

/** What a sealed text belongs to: it opens only for the same. */
export type SealedFor = readonly (string | number)[];

/** 32 bytes each. The first seals, all of them open: while a key is being replaced, both are at work. */
export type SealingKeys = Buffer | readonly Buffer[];

export interface Sealing {
  /** Name the keys without telling them; the first is the one that seals. */
  readonly keyIds: readonly string[];
  seal(plain: string, context: SealedFor): string;
  open(sealed: string, context: SealedFor): string;
}

/** The sealed key cannot be opened: another sealing key, or a row that was tampered with. */
export class SealingError extends Error {
  override readonly name = 'SealingError';
}

const ALGORITHM = 'aes-256-gcm';
const FORM = /^v1\.(?<keyId>[\w-]+)\.(?<iv>[\w-]+)\.(?<tag>[\w-]+)\.(?<ciphertext>[\w-]+)$/;

const hasKeyLength = ({ length }: Buffer) => length === 32;

export function createSealing(given: SealingKeys): Sealing {
  const keys = Buffer.isBuffer(given) ? [given] : [...given];
  const [key] = keys;
  if (key === undefined || !keys.every(hasKeyLength)) throw new RangeError('a sealing key has 32 bytes');
  const keyId = sealingKeyId(key);
  const byId = new Map(keys.map((each) => [sealingKeyId(each), each]));

  return {
    keyIds: [...byId.keys()],

    seal(plain, context) {
      const iv = randomBytes(12);
      const cipher = createCipheriv(ALGORITHM, key, iv).setAAD(aad(context));
      const ciphertext = Buffer.concat([cipher.update(plain, 'utf8'), cipher.final()]);
      return ['v1', keyId, ...[iv, cipher.getAuthTag(), ciphertext].map((part) => part.toString('base64url'))].join(
        '.',
      );
    },

    open(sealed, context) {
      const parts = FORM.exec(sealed)?.groups;
      if (parts === undefined) throw new SealingError('what is stored has no known form');
      const { iv = '', tag = '', ciphertext = '' } = parts;
      const sealedWith = byId.get(parts['keyId'] ?? '');
      if (sealedWith === undefined) {
        throw new SealingError(
          `what is stored was sealed with another MAESN_SYNC_SEALING_KEY (${parts['keyId']}; given: ${[...byId.keys()].join(', ')})`,
        );
      }
      try {
        const decipher = createDecipheriv(ALGORITHM, sealedWith, Buffer.from(iv, 'base64url'), { authTagLength: 16 })
          .setAAD(aad(context))
          .setAuthTag(Buffer.from(tag, 'base64url'));
        return Buffer.concat([decipher.update(Buffer.from(ciphertext, 'base64url')), decipher.final()]).toString(
          'utf8',
        );
      } catch {
        throw new SealingError('what is stored was changed outside of maesn-sync');
      }
    },
  };
}

/** Names a key without telling it. */
export function sealingKeyId(key: Buffer): string {
  return createHash('sha256').update('maesn-sync sealing key').update(key).digest('base64url').slice(0, 8);
}

function aad(context: SealedFor): Buffer {
  return Buffer.from(JSON.stringify(context));
}
