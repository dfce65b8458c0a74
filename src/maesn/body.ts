import { isAscii, isUtf8, transcode } from 'node:buffer';

export interface Body {
  /** UTF-8, also where what came was not. */
  readonly bytes: Buffer;
  readonly text: string;
}

/** Reads a body up to a limit; `undefined` when it is longer, with the rest left unread. */
export async function readBody(response: Response, maxBytes: number): Promise<Body | undefined> {
  if (response.body === null) return { bytes: Buffer.alloc(0), text: '' };
  const chunks: Uint8Array[] = [];
  let bytes = 0;
  for await (const chunk of response.body) {
    bytes += chunk.byteLength;
    // Leaving the loop cancels the stream, and with it the connection.
    if (bytes > maxBytes) return undefined;
    chunks.push(chunk);
  }
  const body = Buffer.concat(chunks);
  // Many are, and need no decoding.
  if (isAscii(body)) return { bytes: body, text: body.toString('latin1') };
  if (isUtf8(body)) return { bytes: body, text: decodeUtf8(body) };
  const text = new TextDecoder().decode(body);
  return { bytes: Buffer.from(text), text };
}

/** In half the time of a `TextDecoder`, which must also look for what is no UTF-8. */
function decodeUtf8(body: Buffer): string {
  const text = transcode(body, 'utf8', 'utf16le').toString('utf16le');
  return text.startsWith('\uFEFF') ? text.slice(1) : text;
}
