/**
 * Encrypts what Temporal is given to keep: AES-256-GCM, each payload with a key of its own.
 *
 * That key and the IV are derived (HKDF-SHA256) from a key of the ring and a random salt. With one key for all payloads, random IVs
 * would begin to be a risk after 2^32 of them (NIST SP 800-38D, 8.3), which a large fleet writes within a year.
 */
import { createCipheriv, createDecipheriv, hkdfSync, randomBytes } from 'node:crypto';
import type { Payload, PayloadCodec } from '@temporalio/common';
import protoModule from '@temporalio/proto';

const { Payload: PayloadMessage } = protoModule.temporal.api.common.v1;

export interface PayloadKey {
  /** Stands in every payload, in clear. */
  readonly id: string;
  /** 32 bytes. */
  readonly key: Buffer;
}

/** As Temporal's samples call it: the UI and other tools take it for what it is. */
const ENCODING = 'binary/encrypted';
const KEY_ID = 'encryption-key-id';
const ALGORITHM = 'aes-256-gcm';
const KEY_BYTES = 32;
const IV_BYTES = 12;
const SALT_BYTES = 24;
const TAG_BYTES = 16;

/** A payload cannot be decrypted; the message says what to do. */
export class PayloadDecryptionError extends Error {
  override readonly name = 'PayloadDecryptionError';
}

/** The first key encrypts, all of them decrypt. What is in clear is passed on as it is: it was written before there were keys. */
export function createPayloadCodec(keys: readonly PayloadKey[]): PayloadCodec {
  const [first] = keys;
  if (first === undefined) throw new RangeError('a payload codec needs a key');
  const byId = new Map(keys.map((each) => [each.id, each.key]));
  const keyOf = (id: string): Buffer => {
    const found = byId.get(id);
    if (found !== undefined) return found;
    throw new PayloadDecryptionError(
      `This payload was encrypted with the key ${JSON.stringify(id)}, which is not in MAESN_SYNC_PAYLOAD_KEYS (${[...byId.keys()].join(', ')}): add it there`,
    );
  };

  return {
    // oxlint-disable-next-line require-await -- the interface is asynchronous
    async encode(payloads) {
      return payloads.map((payload) => encrypt(payload, first));
    },
    // oxlint-disable-next-line require-await -- the interface is asynchronous
    async decode(payloads) {
      return payloads.map((payload) => {
        if (metadata(payload, 'encoding') !== ENCODING) return payload;
        const id = metadata(payload, KEY_ID) ?? '';
        return decrypt(payload, id, keyOf(id));
      });
    },
  };
}

function encrypt(payload: Payload, { id, key }: PayloadKey): Payload {
  const salt = randomBytes(SALT_BYTES);
  const { derived, iv } = derive(key, salt);
  const cipher = createCipheriv(ALGORITHM, derived, iv, { authTagLength: TAG_BYTES }).setAAD(aad(id));
  // The payload as a whole: its own metadata tell what is in it.
  const ciphertext = Buffer.concat([cipher.update(PayloadMessage.encode(payload).finish()), cipher.final()]);
  return {
    metadata: { encoding: Buffer.from(ENCODING), [KEY_ID]: Buffer.from(id) },
    data: Buffer.concat([salt, cipher.getAuthTag(), ciphertext]),
  };
}

function decrypt(payload: Payload, id: string, key: Buffer): Payload {
  const data = Buffer.from(payload.data ?? []);
  const salt = data.subarray(0, SALT_BYTES);
  const tag = data.subarray(SALT_BYTES, SALT_BYTES + TAG_BYTES);
  const { derived, iv } = derive(key, salt);
  try {
    const decipher = createDecipheriv(ALGORITHM, derived, iv, { authTagLength: TAG_BYTES })
      .setAAD(aad(id))
      .setAuthTag(tag);
    const plain = Buffer.concat([decipher.update(data.subarray(SALT_BYTES + TAG_BYTES)), decipher.final()]);
    const { metadata: about, data: content } = PayloadMessage.decode(plain);
    return { metadata: about, data: content };
  } catch (error) {
    throw new PayloadDecryptionError(
      `This payload does not open with the key ${JSON.stringify(id)}: it was changed, or another key has had that id; ids are never used twice`,
      { cause: error },
    );
  }
}

function derive(key: Buffer, salt: Buffer): { readonly derived: Buffer; readonly iv: Buffer } {
  const bytes = Buffer.from(hkdfSync('sha256', key, salt, 'maesn-sync payload v1', KEY_BYTES + IV_BYTES));
  return { derived: bytes.subarray(0, KEY_BYTES), iv: bytes.subarray(KEY_BYTES) };
}

/** What is in clear beside the ciphertext, so that it cannot be altered. */
function aad(keyId: string): Buffer {
  return Buffer.from(JSON.stringify([ENCODING, keyId]));
}

function metadata(payload: Payload, name: string): string | undefined {
  const value = payload.metadata?.[name];
  return value == null ? undefined : Buffer.from(value).toString('utf8');
}
