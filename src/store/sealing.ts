/**
 * Account keys and webhook secrets at rest: AES-256-GCM, bound to the row they belong to, so that a sealed key
 * copied to another row does not open there. Form: `v1.<id of the sealing key>.<iv>.<tag>.<ciphertext>`, base64url.
 */
import { createCipheriv, createDecipheriv, createHash, randomBytes } from 'node:crypto';

/** What a sealed text belongs to: it opens only for the same. */
export type SealedFor = readonly (string | number)[];

export interface Sealing {
  seal(plain: string, context: SealedFor): string;
  open(sealed: string, context: SealedFor): string;
}

/** The sealed key cannot be opened: another sealing key, or a row that was tampered with. */
export class SealingError extends Error {
  override readonly name = 'SealingError';
}

const ALGORITHM = 'aes-256-gcm';
const FORM = /^v1\.(?<keyId>[\w-]+)\.(?<iv>[\w-]+)\.(?<tag>[\w-]+)\.(?<ciphertext>[\w-]+)$/;

/** `key`: 32 bytes. */
export function createSealing(key: Buffer): Sealing {
  if (key.length !== 32) throw new RangeError(`a sealing key has 32 bytes, not ${key.length}`);
  // Names the key without telling it.
  const keyId = createHash('sha256').update('maesn-sync sealing key').update(key).digest('base64url').slice(0, 8);

  return {
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
      if (parts['keyId'] !== keyId) {
        throw new SealingError('what is stored was sealed with another MAESN_SYNC_SEALING_KEY');
      }
      try {
        const decipher = createDecipheriv(ALGORITHM, key, Buffer.from(iv, 'base64url'), { authTagLength: 16 })
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

function aad(context: SealedFor): Buffer {
  return Buffer.from(JSON.stringify(context));
}
