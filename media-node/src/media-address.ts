import { BlockList, isIP } from 'node:net';
import { familyOf, isHostName, isUnspecified } from '@plenary/cluster';
import type { AddressFamily, AnnouncedAddresses } from '@plenary/cluster';

/**
 * The bound and announced addresses of a node's RTP ports in one family. A node has one such entry per family that it
 * announces, the preferred one first.
 */
export interface MediaAddress {
  readonly family: AddressFamily;
  /** The address that the ports are bound on. */
  readonly listenIp: string;
  /** The address for clients and other nodes: in its canonical form, or a host name, which stands for IPv4. */
  readonly announced: string;
  /** All addresses that are announced to clients, if more than one, in the order of the configuration. */
  readonly clientAddresses?: readonly string[];
}

/** The addresses of a node's RTP ports in all families. */
export type MediaAddresses = readonly [MediaAddress, ...MediaAddress[]];

/** Returns the addresses that other nodes and the registry know. */
export function announcedAddresses([first, second]: MediaAddresses): AnnouncedAddresses {
  return {
    announcedAddress: first.announced,
    ...(second === undefined ? {} : { announcedIpv6: second.announced }),
  };
}

/** Returns all addresses of a family that are announced to clients. */
export function clientAddressesOf({ announced, clientAddresses }: MediaAddress): readonly string[] {
  return clientAddresses ?? [announced];
}

/** Addresses that only a private network can reach: RFC 1918, RFC 6598, link-local, unique local, loopback. */
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

/** Whether the internet cannot reach an address; a host name counts as public. */
export function isPrivateAddress(address: string): boolean {
  return isIP(address) !== 0 && PRIVATE.check(address, isIP(address) === 6 ? 'ipv6' : 'ipv4');
}

/**
 * The form in which equal addresses are equal texts, because the registry compares texts: host names in lower case,
 * IPv6 compressed. `undefined` for text that is neither an address nor a host name.
 */
export function canonicalAddress(text: string): string | undefined {
  if (isIP(text) === 4) return text;
  // Zones name an interface of this machine and mean nothing to other machines.
  if (isIP(text) === 6) {
    return text.includes('%') ? undefined : shortest(text);
  }
  return isHostName(text) ? text.toLowerCase() : undefined;
}

/**
 * Compresses an IPv6 address; an IPv4 address mapped into IPv6 (`::ffff:10.0.0.1`) becomes IPv4, which clients use
 * for it.
 */
function shortest(text: string): string {
  const short = new URL(`http://[${text}]`).hostname.slice(1, -1);
  const [, high, low] = /^::ffff:([0-9a-f]{1,4}):([0-9a-f]{1,4})$/.exec(short) ?? [];
  if (high === undefined || low === undefined) return short;
  return [high, low]
    .flatMap((part) => [Number.parseInt(part, 16) >> 8, Number.parseInt(part, 16) & 255])
    .join('.');
}

/** The addresses that stand for every interface. */
export const UNSPECIFIED = { ipv4: '0.0.0.0', ipv6: '::' } as const;

/**
 * Pairs announced addresses with those to bind, by family; IPv4 and host names come first. If a family has several,
 * other nodes and the registry know the first public one: behind one NAT, that address decides about ports.
 * @param announced - canonical; empty to announce the bound addresses
 * @param listenIps - canonical; a family without one is bound on every interface
 */
export function pairAddresses(
  announced: readonly string[],
  listenIps: readonly string[],
): { readonly addresses: MediaAddresses } | { readonly faults: readonly string[] } {
  const faults = [
    ...tooManyPerFamily('PLENARY_ANNOUNCED_ADDRESS', announced, MAX_ANNOUNCED),
    ...tooManyPerFamily('PLENARY_LISTEN_IP', listenIps, 1),
  ];
  if (announced.length === 0 && (listenIps.length === 0 || listenIps.some(isUnspecified))) {
    faults.push('PLENARY_ANNOUNCED_ADDRESS: is required while PLENARY_LISTEN_IP is every interface');
  }
  if (announced.some(isUnspecified)) {
    faults.push('PLENARY_ANNOUNCED_ADDRESS: clients cannot reach an unspecified address');
  }
  const announcedOrBound = announced.length === 0 ? listenIps : announced;
  const idle = listenIps.find(
    (ip) => !announcedOrBound.some((address) => familyOf(address) === familyOf(ip)),
  );
  if (idle !== undefined) {
    faults.push(
      `PLENARY_LISTEN_IP: ${idle} is of a family of which no address is announced (a host name stands for IPv4)`,
    );
  }
  const [first, ...rest] = (['ipv4', 'ipv6'] as const).flatMap((family) => {
    const [one, ...more] = [...new Set(announcedOrBound.filter((address) => familyOf(address) === family))];
    if (one === undefined) return [];
    const listenIp = listenIps.find((ip) => familyOf(ip) === family) ?? UNSPECIFIED[family];
    const all = [one, ...more];
    const announced = all.find((address) => !isPrivateAddress(address)) ?? one;
    return [{ family, listenIp, announced, ...(more.length === 0 ? {} : { clientAddresses: all }) }];
  });
  return faults.length > 0 || first === undefined ? { faults } : { addresses: [first, ...rest] };
}

/** Maximum per family. Each address becomes two ICE candidates, and an offer holds at most 16. */
const MAX_ANNOUNCED = 4;

function tooManyPerFamily(setting: string, addresses: readonly string[], most: number): string[] {
  const tooMany = (['ipv4', 'ipv6'] as const).some(
    (family) => addresses.filter((address) => familyOf(address) === family).length > most,
  );
  if (!tooMany) return [];
  const number = most === 1 ? 'one' : `${most}`;
  return [`${setting}: takes ${number} IPv4 (host names count as such) and ${number} IPv6 at most`];
}
