/**
 * Where events may go: to public addresses only, unless the configuration allows private ones. Whoever can set the URL
 * of a webhook must not reach with it what stands behind the firewall, such as a cloud's metadata service.
 */
import dns from 'node:dns';
import type { LookupFunction } from 'node:net';
import ipaddr from 'ipaddr.js';

export class PrivateAddressError extends Error {
  override readonly name = 'PrivateAddressError';
}

/** All of IPv6 that is handed out. What lies outside of it can carry an IPv4 address (`::127.0.0.1`, `64:ff9b::`). */
const GLOBAL_UNICAST = ipaddr.IPv6.parseCIDR('2000::/3');

/** `address`: IPv4, or IPv6 without brackets. An IPv4 address that is mapped into IPv6 counts as what it is. */
export function isPublicAddress(address: string): boolean {
  if (!ipaddr.isValid(address)) return false;
  const parsed = ipaddr.process(address);
  // Everything special has a range of its own: private, loopback, link-local, multicast, 6to4, ...
  if (parsed.range() !== 'unicast') return false;
  return !(parsed instanceof ipaddr.IPv6) || parsed.match(GLOBAL_UNICAST);
}

/**
 * For `net.connect`: the address that was checked is the one that is connected to, so a name that resolves to something
 * else a moment later gains nothing. One private address among several is enough to refuse the name.
 */
export function createPublicLookup(lookup: LookupFunction = dns.lookup): LookupFunction {
  return (hostname, options, callback) => {
    lookup(hostname, { ...options, all: true }, (error, found) => {
      if (error !== null) return callback(error, []);
      const addresses = typeof found === 'string' ? [] : found;
      const refused = addresses.find(({ address }) => !isPublicAddress(address));
      const [first] = addresses;
      if (refused !== undefined || first === undefined) {
        const reason = refused === undefined ? 'has no address' : `is at ${refused.address}`;
        return callback(new PrivateAddressError(reason), []);
      }
      return options.all === true ? callback(null, addresses) : callback(null, first.address, first.family);
    });
  };
}
