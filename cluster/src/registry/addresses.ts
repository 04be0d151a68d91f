/** The addresses under which clients and other nodes reach a media node's RTP ports. SPEC PS. */
import { patternText } from '../protocol/text.ts';

export type AddressFamily = 'ipv4' | 'ipv6';

/** An address or a host name; the form lets it stand in a flat record (SPEC ID1 does the same for ids). */
export const ANNOUNCED_ADDRESS = patternText(
  /^[A-Za-z0-9.:-]+$/,
  255,
  'must be an IP address or a host name',
);

/** At most one address per family. `announcedAddress` may be of either family; a host name counts as IPv4. */
export interface AnnouncedAddresses {
  readonly announcedAddress: string;
  /** The IPv6 address of a node that announces an IPv4 address or a host name too. */
  readonly announcedIpv6?: string | undefined;
}

/** The family of an announced address. A host name is resolved to IPv4 only. */
export function familyOf(address: string): AddressFamily {
  return address.includes(':') ? 'ipv6' : 'ipv4';
}

/** The address that a node announces in a family, if any. */
export function announcedOf(node: AnnouncedAddresses, family: AddressFamily): string | undefined {
  if (familyOf(node.announcedAddress) === family) return node.announcedAddress;
  return family === 'ipv6' ? node.announcedIpv6 : undefined;
}

/**
 * The family over which two nodes reach each other: IPv4 if both have it, since its headers are shorter; `undefined` if
 * they share none.
 */
export function sharedFamily(left: AnnouncedAddresses, right: AnnouncedAddresses): AddressFamily | undefined {
  const families = ['ipv4', 'ipv6'] as const;
  return families.find(
    (family) => announcedOf(left, family) !== undefined && announcedOf(right, family) !== undefined,
  );
}

/** Whether two nodes announce a common address, so that a packet for one's port could be meant for the other's. */
export function shareAddress(left: AnnouncedAddresses, right: AnnouncedAddresses): boolean {
  const ofRight = [right.announcedAddress, right.announcedIpv6];
  return [left.announcedAddress, left.announcedIpv6].some(
    (address) => address !== undefined && ofRight.includes(address),
  );
}
