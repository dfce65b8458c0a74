import { isAscii } from 'node:buffer';

/** Reads a body up to a limit; `undefined` when it is longer, with the rest left unread. */
export async function readBody(response: Response, maxBytes: number): Promise<string | undefined> {
  if (response.body === null) return '';
  const chunks: Uint8Array[] = [];
  let bytes = 0;
  for await (const chunk of response.body) {
    bytes += chunk.byteLength;
    // Leaving the loop cancels the stream, and with it the connection.
    if (bytes > maxBytes) return undefined;
    chunks.push(chunk);
  }
  const body = Buffer.concat(chunks);
  // Most are, and need no decoding.
  return isAscii(body) ? body.toString('latin1') : new TextDecoder().decode(body);
}
