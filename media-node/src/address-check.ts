import { isIP, BlockList } from 'node:net';
import { createSocket } from 'node:dgram';
import { randomUUID } from 'node:crypto';
import { lookup } from 'node:dns/promises';
import { after, guardCallback, every, inBackground } from '@plenary/cluster';
import type { EdgeRecord, Logger } from '@plenary/cluster';
import { isPrivateAddress, clientAddressesOf } from './media-address.ts';
import type { MediaAddress, MediaAddresses } from './media-address.ts';

/** How long a datagram to this node's own announced address may take to return, in milliseconds. */
const HAIRPIN_DEADLINE_MS = 400;
/** Interval between checks for edges until one exists, in milliseconds. */
const EDGE_CHECK_INTERVAL_MS = 5_000;

const RESERVED = new BlockList();
for (const [network, prefix] of [
  ['192.0.2.0', 24],
  ['198.51.100.0', 24],
  ['203.0.113.0', 24],
  ['0.0.0.0', 8],
  ['224.0.0.0', 3],
] as const) {
  RESERVED.addSubnet(network, prefix, 'ipv4');
}
for (const [network, prefix] of [
  ['2001:db8::', 32],
  ['3fff::', 20],
  ['ff00::', 8],
] as const) {
  RESERVED.addSubnet(network, prefix, 'ipv6');
}

const versionOf = (address: string): 'ipv4' | 'ipv6' => (isIP(address) === 6 ? 'ipv6' : 'ipv4');
const isLoopback = (address: string): boolean => address.startsWith('127.') || address === '::1';
const isLinkLocal = (address: string): boolean =>
  address.startsWith('169.254.') || /^fe[89ab]/i.test(address);

/**
 * Returns what is certainly wrong with an announced address, and the remedy; nothing is certain about an unresolved
 * name.
 */
export function certainFault(address: string, listenIp: string): string | undefined {
  if (isIP(address) === 0) return undefined;
  if (isLoopback(address) && !isLoopback(listenIp))
    return 'means the client itself on every client: announce the address that clients reach';
  if (isLinkLocal(address))
    return 'is valid on one network link only: announce the address that clients reach';
  if (RESERVED.check(address, versionOf(address)))
    return 'is reserved for documentation, for multicast or for no host: announce the address that clients reach';
  return undefined;
}

/** The node's knowledge of an announced address before a client has tried it. */
export type AnnouncedAddressVerdict = 'own interface' | 'comes back in' | 'not known from here';

export interface AddressCheckOptions {
  readonly addresses: MediaAddresses;
  /** The addresses that are announced to clients now. */
  readonly clientAddresses: () => readonly string[];
  readonly liveEdges: () => Promise<readonly Pick<EdgeRecord, 'publicUrl'>[]>;
  readonly hasAddress: (address: string) => boolean;
  readonly logger: Pick<Logger, 'info' | 'warn'>;
  /** Resolves a host name to all of its addresses. @throws when it has none */
  readonly resolve?: (name: string) => Promise<readonly string[]>;
}

/**
 * Checks at the start whether clients can reach the announced addresses, as far as this machine can find out (SPEC
 * AD8).
 */
export class AddressCheck {
  readonly #options: AddressCheckOptions;
  #timer: NodeJS.Timeout | undefined;

  constructor(options: AddressCheckOptions) {
    this.#options = options;
  }

  /** Logs what is known of each address, before workers bind the port. @param port - the port of the first worker */
  async check(port: number): Promise<void> {
    const { addresses, logger } = this.#options;
    const looked = await Promise.all(
      addresses.flatMap((address) =>
        clientAddressesOf(address).map((clientAddress) => this.#verdictOf(address, clientAddress, port)),
      ),
    );
    logger.info({ addresses: Object.fromEntries(looked) }, 'clients send media to these addresses');
  }

  /** Compares the addresses with those of the edges, once there are edges. */
  start(): void {
    this.#timer = every(EDGE_CHECK_INTERVAL_MS, () => inBackground(() => this.compareWithEdges()));
    this.#timer.unref();
  }

  stop(): void {
    clearInterval(this.#timer);
  }

  /** Compares once. Never rejects. */
  async compareWithEdges(): Promise<void> {
    const { liveEdges, clientAddresses, logger, resolve = resolveAny } = this.#options;
    // An unreadable registry is read again; another watch reports it.
    const edges = await liveEdges().catch(() => []);
    if (edges.length === 0) return;
    this.stop();
    const addresses = clientAddresses();
    if (!addresses.every(isPrivateAddress)) return;
    for (const publicUrl of new Set(edges.map((edge) => edge.publicUrl))) {
      const host = new URL(publicUrl).hostname.replace(/^\[|\]$/g, '');
      const edgeAddresses = isIP(host) === 0 ? await resolve(host).catch(() => []) : [host];
      if (!edgeAddresses.some((address) => !isPrivateAddress(address))) continue;
      logger.warn(
        { addresses, publicUrl },
        'edges are on the internet and all announced addresses of this node are private, so people outside get no media: put the public address first in PLENARY_ANNOUNCED_ADDRESS',
      );
      return;
    }
  }

  async #verdictOf(
    address: MediaAddress,
    clientAddress: string,
    port: number,
  ): Promise<[string, AnnouncedAddressVerdict | 'wrong']> {
    const { logger, hasAddress } = this.#options;
    const fault = certainFault(clientAddress, address.listenIp);
    if (fault !== undefined) {
      logger.warn({ address: clientAddress }, `PLENARY_ANNOUNCED_ADDRESS: ${clientAddress} ${fault}`);
      return [clientAddress, 'wrong'];
    }
    if (hasAddress(clientAddress)) return [clientAddress, 'own interface'];
    return [
      clientAddress,
      (await returnsToMachine(address.listenIp, clientAddress, port))
        ? 'comes back in'
        : 'not known from here',
    ];
  }
}

/**
 * Whether a datagram to an address and port returns to this machine, as through a NAT that forwards the port also for
 * hosts behind it. A datagram that does not return proves nothing: many NATs do not forward such packets.
 */
export function returnsToMachine(listenIp: string, address: string, port: number): Promise<boolean> {
  const type = versionOf(listenIp) === 'ipv6' ? 'udp6' : 'udp4';
  const nonce = Buffer.from(randomUUID());
  const [receiver, sender] = [createSocket(type), createSocket(type)];
  return new Promise((resolve) => {
    let hasEnded = false;
    const end = (isBack: boolean): void => {
      if (hasEnded) return;
      hasEnded = true;
      clearTimeout(enough);
      receiver.close();
      sender.close();
      resolve(isBack);
    };
    const enough = after(HAIRPIN_DEADLINE_MS, () => end(false));
    const fail = guardCallback('mediasoup', () => end(false));
    receiver.once('error', fail);
    sender.once('error', fail);
    receiver.on(
      'message',
      guardCallback('mediasoup', (datagram: Buffer) => {
        if (datagram.equals(nonce)) end(true);
      }),
    );
    receiver.bind(
      { port, address: listenIp, exclusive: true },
      guardCallback('mediasoup', () => {
        // A missing route is reported to this callback; the timeout covers it.
        sender.send(nonce, port, address, () => undefined);
      }),
    );
  });
}

async function resolveAny(name: string): Promise<readonly string[]> {
  return (await lookup(name, { all: true })).map(({ address }) => address);
}
