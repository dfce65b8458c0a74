import { once } from 'node:events';
import { createServer } from 'node:net';

/** The preferred port when it is free, else (and for 0) one that the system gives. */
export async function freePort(host: string, preferred = 0): Promise<number> {
  const probe = createServer().listen(preferred, host);
  try {
    await once(probe, 'listening');
    const address = probe.address();
    if (address === null || typeof address === 'string') throw new Error('A TCP server has no port');
    return address.port;
  } catch (error) {
    if (preferred === 0) throw error;
    return await freePort(host);
  } finally {
    probe.close();
  }
}
