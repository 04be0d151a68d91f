import { isIP } from 'node:net';

/** An owner of limits that an address counts for, and the factor by which its limits exceed those of a single address. */
export interface AddressKey {
  readonly key: string;
  readonly share: number;
}

/** A site with a /48 has 65,536 networks; it may have as many people as sixteen offices. */
const SITE_SHARE = 16;

/**
 * The owners of limits that an address counts for (SPEC EN8, EN32). One IPv4 address is one household or office. One IPv6 address
 * identifies nobody, since its owner has 2^64 of them, and often 65,536 times as many: the network (/64) counts like an IPv4 address,
 * and so does the site (/48), with a larger share.
 */
export function addressKeysOf(address: string): readonly AddressKey[] {
  if (isIP(address) !== 6) return [{ key: address, share: 1 }];
  const groups = groupsOf(address);
  return [
    { key: `${groups.slice(0, 4).join(':')}::/64`, share: 1 },
    { key: `${groups.slice(0, 3).join(':')}::/48`, share: SITE_SHARE },
  ];
}

/**
 * The site of an address. Budgets and turns are shared among sites, because one site would otherwise have 65,536 parts, one for
 * each /64 (SPEC BU23, BU55).
 */
export const siteOf = (address: string): string => addressKeysOf(address).at(-1)?.key ?? address;

/** The first four groups of an IPv6 address, of which the middle may be left out as `::`. */
function groupsOf(address: string): readonly string[] {
  const [start = '', end] = address.split('::');
  const before = start === '' ? [] : start.split(':');
  if (end === undefined) return before.slice(0, 4);
  const after = end === '' ? [] : end.split(':');
  const zeros = Array.from({ length: Math.max(0, 8 - before.length - after.length) }, () => '0');
  return [...before, ...zeros, ...after].slice(0, 4);
}
