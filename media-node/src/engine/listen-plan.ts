import { isIP } from 'node:net';
import { networkInterfaces } from 'node:os';
import { isUnspecified } from '@plenary/cluster';
import { toldOf } from '../media-address.ts';
import type { MediaAddress } from '../media-address.ts';

/** A socket that a WebRTC port is bound with. */
export interface ListenSocket {
  readonly ip: string;
  /** Bound beside another socket that has the same port on an address that covers this one, or is covered by it. */
  readonly isShared: boolean;
}

/** Sockets beside the one for every interface; a machine with more addresses is to be told which one counts. */
const MAX_OWN = 16;

/**
 * How UDP of a family is bound, so that what is sent to one of the machine's addresses is answered from that one: a socket for
 * every interface would answer from whichever address the system prefers for that way, and ICE drops such an answer (SPEC AD5).
 * Where clients come by addresses of the machine itself, those are bound; behind a NAT, every address beside the socket for all.
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
  // Of two sockets that cover one address, only Linux gives each packet to the one that names it.
  if (candidates.length < 2 || platform !== 'linux') return [{ ip: only, isShared: false }];
  return [only, ...candidates.slice(0, MAX_OWN)].map((ip) => ({ ip, isShared: true }));
}

/** The addresses that ports of a family are bound on: the configured one, or those that clients are told where all are own ones. */
export function boundIps(address: MediaAddress, own: readonly string[]): readonly string[] {
  if (!isUnspecified(address.listenIp)) return [address.listenIp];
  const told = toldOf(address);
  return told.every((each) => isIP(each) !== 0 && (own.includes(each) || isLoopback(each)))
    ? told
    : [address.listenIp];
}

/** Addresses of this machine's interfaces, as they are now. */
export function ownAddresses(): readonly string[] {
  return Object.values(networkInterfaces()).flatMap((each) => each?.map(({ address }) => address) ?? []);
}

const isLoopback = (ip: string): boolean => /^127\.\d+\.\d+\.\d+$/.test(ip) || ip === '::1';
/** Nobody elsewhere sends to these; link-local IPv6 cannot be bound without its interface. */
const isLocalOnly = (ip: string): boolean => isLoopback(ip) || /^fe[89ab]/i.test(ip);
const isOfFamily = (ip: string, { family }: MediaAddress): boolean =>
  isIP(ip) === (family === 'ipv6' ? 6 : 4);
