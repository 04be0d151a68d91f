import { isIP } from 'node:net';
import { networkInterfaces } from 'node:os';
import { isUnspecified } from '@plenary/cluster';
import { clientAddressesOf } from '../media-address.ts';
import type { MediaAddress } from '../media-address.ts';

/** A socket that a WebRTC port is bound with. */
export interface ListenSocket {
  readonly ip: string;
  /** Whether another socket has the same port on an address that covers this one, or is covered by it. */
  readonly isShared: boolean;
}

/**
 * Maximum number of sockets beside the one for every interface; a machine with more addresses needs
 * PLENARY_LISTEN_IP.
 */
const MAX_OWN_SOCKETS = 16;

/**
 * Chooses the UDP sockets of a family, so that packets to one of the machine's addresses are answered from that
 * address: a socket for every interface would answer from the address that the system prefers for that route, and ICE
 * drops such an answer (SPEC AD5). If clients use addresses of the machine itself, those are bound; behind a NAT,
 * every address beside the socket for all.
 * @param own - addresses of the machine's interfaces
 */
export function udpSockets(
  address: MediaAddress,
  own: readonly string[],
  platform = process.platform,
): readonly ListenSocket[] {
  const bound = boundIps(address, own);
  const [only = address.listenIp] = bound;
  if (!isUnspecified(only)) return bound.map((ip) => ({ ip, isShared: false }));
  const candidates = own.filter((ip) => isOfFamily(ip, address) && !isLocalOnly(ip));
  // When two sockets cover one address, only Linux delivers each packet to the more specific one.
  if (candidates.length < 2 || platform !== 'linux') return [{ ip: only, isShared: false }];
  return [only, ...candidates.slice(0, MAX_OWN_SOCKETS)].map((ip) => ({ ip, isShared: true }));
}

/**
 * Returns the addresses that ports of a family are bound on: the configured one, or the announced ones if all belong
 * to this machine.
 */
export function boundIps(address: MediaAddress, own: readonly string[]): readonly string[] {
  if (!isUnspecified(address.listenIp)) return [address.listenIp];
  const announced = clientAddressesOf(address);
  return announced.every((each) => isIP(each) !== 0 && (own.includes(each) || isLoopback(each)))
    ? announced
    : [address.listenIp];
}

/** Reads the addresses of this machine's interfaces. */
export function ownAddresses(): readonly string[] {
  return Object.values(networkInterfaces()).flatMap((each) => each?.map(({ address }) => address) ?? []);
}

const isLoopback = (ip: string): boolean => /^127\.\d+\.\d+\.\d+$/.test(ip) || ip === '::1';
/** No other machine sends to these; link-local IPv6 cannot be bound without its interface. */
const isLocalOnly = (ip: string): boolean => isLoopback(ip) || /^fe[89ab]/i.test(ip);
const isOfFamily = (ip: string, { family }: MediaAddress): boolean =>
  isIP(ip) === (family === 'ipv6' ? 6 : 4);
