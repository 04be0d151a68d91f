import { BlockList, isIP } from 'node:net';
import { familyOf, isHostName, isUnspecified } from '@plenary/cluster';
import type { AddressFamily, AnnouncedAddresses } from '@plenary/cluster';

/** The way to a node's RTP ports in one family. A node has one for each family that it announces, the first of them preferred. */
export interface MediaAddress {
  readonly family: AddressFamily;
  /** Where it is bound. */
  readonly listenIp: string;
  /** As clients and other nodes reach it: an address in its canonical form, or a host name, which stands for IPv4. */
  readonly announced: string;
  /** What clients are told where that is more than one: all of them, in the order of the configuration. */
  readonly told?: readonly string[];
}

/** All ways to a node's RTP ports. */
export type MediaAddresses = readonly [MediaAddress, ...MediaAddress[]];

/** What others are told of the addresses. */
export function announcedAddresses([first, second]: MediaAddresses): AnnouncedAddresses {
  return {
    announcedAddress: first.announced,
    ...(second === undefined ? {} : { announcedIpv6: second.announced }),
  };
}

/** Everything that clients are told of a family. */
export function toldOf({ announced, told }: MediaAddress): readonly string[] {
  return told ?? [announced];
}

/** Addresses that only a private network knows: RFC 1918, RFC 6598, link-local, unique local, loopback. */
const PRIVATE = new BlockList();
for (const [network, prefix] of [
  ['10.0.0.0', 8],
  ['172.16.0.0', 12],
  ['192.168.0.0', 16],
  ['100.64.0.0', 10],
  ['169.254.0.0', 16],
  ['127.0.0.0', 8],
] as const) {
  PRIVATE.addSubnet(network, prefix, 'ipv4');
}
for (const [network, prefix] of [
  ['fc00::', 7],
  ['fe80::', 10],
  ['::1', 128],
] as const) {
  PRIVATE.addSubnet(network, prefix, 'ipv6');
}

/** Whether the internet does not know an address; of a host name that cannot be told, and it counts as one of the internet. */
export function isPrivateAddress(address: string): boolean {
  return isIP(address) !== 0 && PRIVATE.check(address, isIP(address) === 6 ? 'ipv6' : 'ipv4');
}

/**
 * The form in which equal addresses are equal texts, since the registry compares them so: host names in lower case, IPv6
 * compressed. `undefined` for what is neither an address nor a host name.
 */
export function canonicalAddress(text: string): string | undefined {
  if (isIP(text) === 4) return text;
  // Zones name an interface of this machine: they mean nothing to others.
  if (isIP(text) === 6) {
    return text.includes('%') ? undefined : shortest(text);
  }
  return isHostName(text) ? text.toLowerCase() : undefined;
}

/** IPv6 compressed; an IPv4 address that is mapped into IPv6 (`::ffff:10.0.0.1`) as what it is, which clients reach by IPv4. */
function shortest(text: string): string {
  const short = new URL(`http://[${text}]`).hostname.slice(1, -1);
  const [, high, low] = /^::ffff:([0-9a-f]{1,4}):([0-9a-f]{1,4})$/.exec(short) ?? [];
  if (high === undefined || low === undefined) return short;
  return [high, low]
    .flatMap((part) => [Number.parseInt(part, 16) >> 8, Number.parseInt(part, 16) & 255])
    .join('.');
}

/** What stands for every interface. */
export const UNSPECIFIED = { ipv4: '0.0.0.0', ipv6: '::' } as const;

/**
 * Pairs what is announced with what is listened on, by family; IPv4 and host names come first. Of several addresses of a
 * family other nodes and the registry know the first that is not private: behind one NAT that is the one that decides about ports.
 * @param announced - canonical; empty to announce what is listened on
 * @param listenIps - canonical; a family without one listens on every interface
 */
export function pairAddresses(
  announced: readonly string[],
  listenIps: readonly string[],
): { readonly addresses: MediaAddresses } | { readonly faults: readonly string[] } {
  const faults = [
    ...tooManyOfAFamily('PLENARY_ANNOUNCED_ADDRESS', announced, MAX_TOLD),
    ...tooManyOfAFamily('PLENARY_LISTEN_IP', listenIps, 1),
  ];
  if (announced.length === 0 && (listenIps.length === 0 || listenIps.some(isUnspecified))) {
    faults.push('PLENARY_ANNOUNCED_ADDRESS: is required while PLENARY_LISTEN_IP is every interface');
  }
  if (announced.some(isUnspecified)) {
    faults.push('PLENARY_ANNOUNCED_ADDRESS: clients cannot reach an unspecified address');
  }
  const told = announced.length === 0 ? listenIps : announced;
  const idle = listenIps.find((ip) => !told.some((address) => familyOf(address) === familyOf(ip)));
  if (idle !== undefined) {
    faults.push(
      `PLENARY_LISTEN_IP: ${idle} is of a family of which no address is announced (a host name stands for IPv4)`,
    );
  }
  const [first, ...rest] = (['ipv4', 'ipv6'] as const).flatMap((family) => {
    const [one, ...more] = [...new Set(told.filter((address) => familyOf(address) === family))];
    if (one === undefined) return [];
    const listenIp = listenIps.find((ip) => familyOf(ip) === family) ?? UNSPECIFIED[family];
    const all = [one, ...more];
    const announced = all.find((address) => !isPrivateAddress(address)) ?? one;
    return [{ family, listenIp, announced, ...(more.length === 0 ? {} : { told: all }) }];
  });
  return faults.length > 0 || first === undefined ? { faults } : { addresses: [first, ...rest] };
}

/** Each is two ICE candidates, of which an offer holds 16 at most. */
const MAX_TOLD = 4;

function tooManyOfAFamily(setting: string, addresses: readonly string[], most: number): string[] {
  const tooMany = (['ipv4', 'ipv6'] as const).some(
    (family) => addresses.filter((address) => familyOf(address) === family).length > most,
  );
  if (!tooMany) return [];
  const number = most === 1 ? 'one' : `${most}`;
  return [`${setting}: takes ${number} IPv4 (host names count as such) and ${number} IPv6 at most`];
}
