import { isIP, BlockList } from 'node:net';
import { createSocket } from 'node:dgram';
import { randomUUID } from 'node:crypto';
import { lookup } from 'node:dns/promises';
import { after, entry, every, inBackground } from '@plenary/cluster';
import type { EdgeRecord, Logger } from '@plenary/cluster';
import { isPrivateAddress, toldOf } from './media-address.ts';
import type { MediaAddress, MediaAddresses } from './media-address.ts';

/** How long a datagram to the own announced address may be on its way, in milliseconds. */
const HAIRPIN_MS = 400;
/** How often edges are looked for until there is one, in milliseconds. */
const EDGES_EVERY_MS = 5_000;

const NOBODYS = new BlockList();
for (const [network, prefix] of [
  ['192.0.2.0', 24],
  ['198.51.100.0', 24],
  ['203.0.113.0', 24],
  ['0.0.0.0', 8],
  ['224.0.0.0', 3],
] as const) {
  NOBODYS.addSubnet(network, prefix, 'ipv4');
}
for (const [network, prefix] of [
  ['2001:db8::', 32],
  ['3fff::', 20],
  ['ff00::', 8],
] as const) {
  NOBODYS.addSubnet(network, prefix, 'ipv6');
}

const versionOf = (address: string): 'ipv4' | 'ipv6' => (isIP(address) === 6 ? 'ipv6' : 'ipv4');
const isLoopback = (address: string): boolean => address.startsWith('127.') || address === '::1';
const isLinkLocal = (address: string): boolean =>
  address.startsWith('169.254.') || /^fe[89ab]/i.test(address);

/** What is certainly wrong with a told address, with what to do; a name that was not resolved is nothing of that kind. */
export function certainFault(address: string, listenIp: string): string | undefined {
  if (isIP(address) === 0) return undefined;
  if (isLoopback(address) && !isLoopback(listenIp))
    return 'is this machine itself wherever a client is: announce the address that clients reach';
  if (isLinkLocal(address)) return 'is of one link only: announce the address that clients reach';
  if (NOBODYS.check(address, versionOf(address)))
    return 'is set aside for documentation, for many receivers or for nobody: announce the address that clients reach';
  return undefined;
}

/** What can be said of a told address before a client has tried it. */
export type AnnouncedAddressVerdict = 'own interface' | 'comes back in' | 'cannot be told from here';

export interface AddressCheckOptions {
  readonly addresses: MediaAddresses;
  /** What clients are told now. */
  readonly told: () => readonly string[];
  readonly liveEdges: () => Promise<readonly Pick<EdgeRecord, 'publicUrl'>[]>;
  readonly hasAddress: (address: string) => boolean;
  readonly logger: Pick<Logger, 'info' | 'warn'>;
  /** Every address of a host name. @throws when it has none */
  readonly resolve?: (name: string) => Promise<readonly string[]>;
}

/** Looks at the start whether clients can reach what the node announces, as far as that can be told here (SPEC AD8). */
export class AddressCheck {
  readonly #options: AddressCheckOptions;
  #timer: NodeJS.Timeout | undefined;

  constructor(options: AddressCheckOptions) {
    this.#options = options;
  }

  /** Says what can be told of each address, before workers bind the port. @param port - that the first of them will have */
  async check(port: number): Promise<void> {
    const { addresses, logger } = this.#options;
    const looked = await Promise.all(
      addresses.flatMap((address) => toldOf(address).map((told) => this.#lookAt(address, told, port))),
    );
    logger.info({ addresses: Object.fromEntries(looked) }, 'clients send media to these addresses');
  }

  /** Compares them with where edges are, once there are some. */
  start(): void {
    this.#timer = every(EDGES_EVERY_MS, () => inBackground(() => this.compareWithEdges()));
    this.#timer.unref();
  }

  stop(): void {
    clearInterval(this.#timer);
  }

  /** Never rejects. */
  async compareWithEdges(): Promise<void> {
    const { liveEdges, told, logger, resolve = resolveAny } = this.#options;
    // An unreadable registry is read again; others report it.
    const edges = await liveEdges().catch(() => []);
    if (edges.length === 0) return;
    this.stop();
    const addresses = told();
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

  async #lookAt(
    address: MediaAddress,
    told: string,
    port: number,
  ): Promise<[string, AnnouncedAddressVerdict | 'wrong']> {
    const { logger, hasAddress } = this.#options;
    const fault = certainFault(told, address.listenIp);
    if (fault !== undefined) {
      logger.warn({ address: told }, `PLENARY_ANNOUNCED_ADDRESS: ${told} ${fault}`);
      return [told, 'wrong'];
    }
    if (hasAddress(told)) return [told, 'own interface'];
    return [
      told,
      (await comesBack(address.listenIp, told, port)) ? 'comes back in' : 'cannot be told from here',
    ];
  }
}

/**
 * Whether a datagram to an address and port comes back to this machine, as through a NAT that forwards the port and lets
 * those inside use it too. That it does not says nothing: many do not.
 */
export function comesBack(listenIp: string, address: string, port: number): Promise<boolean> {
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
    const enough = after(HAIRPIN_MS, () => end(false));
    const fail = entry('mediasoup', () => end(false));
    receiver.once('error', fail);
    sender.once('error', fail);
    receiver.on(
      'message',
      entry('mediasoup', (datagram: Buffer) => {
        if (datagram.equals(nonce)) end(true);
      }),
    );
    receiver.bind(
      { port, address: listenIp, exclusive: true },
      entry('mediasoup', () => {
        // Who has no way there hears of it here, and by the end of the time.
        sender.send(nonce, port, address, () => undefined);
      }),
    );
  });
}

async function resolveAny(name: string): Promise<readonly string[]> {
  return (await lookup(name, { all: true })).map(({ address }) => address);
}
