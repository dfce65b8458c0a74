/**
 * Events are sent to where the configuration says, from inside the network that we run in: a name that leads to an address in
 * there must not become a way into it. Checked when the connection is made, so that a name that changes does not get past.
 */
import { lookup as dnsLookup } from 'node:dns';
import type { LookupAddress, LookupOptions } from 'node:dns';
import { isIP } from 'node:net';
import ipaddr from 'ipaddr.js';

/** The target of an event is not one that events may be sent to. */
export class PrivateAddressError extends Error {
  override readonly name = 'PrivateAddressError';
}

/** Whether an address is nothing that the public internet has: private, loopback, link-local, multicast, reserved. */
export function isPrivate(address: string): boolean {
  if (!ipaddr.isValid(address)) return true;
  // `process` turns an IPv4 address that is written as an IPv6 one into itself.
  return ipaddr.process(address).range() !== 'unicast';
}

/** For a host that is written as an address: nobody looks those up. */
export function refusePrivateHost(host: string): void {
  const address = host.replace(/^\[(.*)\]$/, '$1');
  if (isIP(address) !== 0 && isPrivate(address)) throw refused(address);
}

type Found = (error: NodeJS.ErrnoException | null, address: string | LookupAddress[], family?: number) => void;

/** Looks a name up, for a socket, and finds nothing where any of its addresses is private. */
export function lookupPublic(hostname: string, options: LookupOptions, found: Found): void {
  dnsLookup(hostname, { ...options, all: true }, (error, addresses) => {
    if (error !== null) return found(error, []);
    const inside = addresses.find(({ address }) => isPrivate(address));
    if (inside !== undefined) return found(refused(`${hostname} (${inside.address})`), []);
    if (options.all === true) return found(null, addresses);
    const [first] = addresses;
    return first === undefined ? found(refused(hostname), []) : found(null, first.address, first.family);
  });
}

function refused(target: string): PrivateAddressError {
  return new PrivateAddressError(`${target} is not a public address; MAESN_SYNC_EVENTS_ALLOW_PRIVATE allows it`);
}
