import { isIP } from 'node:net';

/** One that an address counts for, and how many times the limits of a single address it may have. */
export interface AddressKey {
  readonly key: string;
  readonly share: number;
}

/** A site with a /48 has 65,536 networks; as many people as sixteen offices may come from it. */
const SITE_SHARE = 16;

/**
 * Whose limits an address counts for (SPEC EN8, EN32). One IPv4 address is one household or office; one of IPv6 is nobody, since
 * whoever has one has 2^64, and often 65,536 times as many: their network (/64) counts as an address does, and so does
 * their site (/48), with a larger share.
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
 * Which site an address belongs to: what is shared equally, or in turn, is shared by sites, as one site would otherwise have
 * 65,536 parts of it, one for each /64 (SPEC BU23, BU55).
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
