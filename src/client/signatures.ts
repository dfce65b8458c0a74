/** What Maesn signs: HMAC-SHA256, written in hex or base64. Which one, Maesn does not document. */
import { createHmac, timingSafeEqual } from 'node:crypto';

export function isSignedWith(secret: string, text: string | Buffer, signature: string | undefined): boolean {
  return isHmacOf(createHmac('sha256', secret).update(text).digest(), signature);
}

/** Compares in constant time. */
function isHmacOf(digest: Buffer, signature: string | undefined): boolean {
  const candidates = [Buffer.from(signature ?? '', 'hex'), Buffer.from(signature ?? '', 'base64')];
  return candidates.some((candidate) => candidate.length === digest.length && timingSafeEqual(candidate, digest));
}
