import { BlockList, isIP } from 'node:net';
import type { Network } from '../config.ts';

/** Tells the address of a client behind proxies. */
export type AddressReader = (remoteAddress: string, forwardedFor: string | undefined) => string;

/**
 * Only what trusted proxies say counts (SPEC RL4): `X-Forwarded-For` is read from its end, and the first address that
 * is no trusted proxy is the client's. Without trusted proxies the header is ignored.
 */
export function createAddressReader(trusted: readonly Network[]): AddressReader {
  const proxies = new BlockList();
  for (const { address, prefixLength, family } of trusted) proxies.addSubnet(address, prefixLength, family);
  const isTrusted = (address: string): boolean => {
    const version = isIP(address);
    return version !== 0 && proxies.check(address, version === 4 ? 'ipv4' : 'ipv6');
  };
  return (remoteAddress, forwardedFor) => {
    let address = normalise(remoteAddress);
    const hops = (forwardedFor ?? '').split(',').map((hop) => normalise(hop.trim()));
    while (isTrusted(address)) {
      const previous = hops.pop();
      // What is no address was not written by a proxy of ours.
      if (previous === undefined || isIP(previous) === 0) break;
      address = previous;
    }
    return address;
  };
}

/** Servers print one address in several ways: an IPv4 one mapped into IPv6, or all zeros spelt out. */
export function normalise(address: string): string {
  if (isIP(address) !== 6) return address;
  const short = new URL(`http://[${address.split('%')[0] ?? ''}]`).hostname.slice(1, -1);
  const mapped = /^::ffff:([0-9a-f]{1,4}):([0-9a-f]{1,4})$/.exec(short);
  if (mapped === null) return short;
  const [high, low] = [Number.parseInt(mapped[1] ?? '0', 16), Number.parseInt(mapped[2] ?? '0', 16)];
  return [high >> 8, high & 255, low >> 8, low & 255].join('.');
}
