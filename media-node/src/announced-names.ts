import { lookup, resolve4 } from 'node:dns/promises';
import { isIP } from 'node:net';
import { atMost, every, inBackground, systemTimers } from '@plenary/cluster';
import type { Logger } from '@plenary/cluster';
import { isPrivateAddress, clientAddressesOf } from './media-address.ts';
import type { MediaAddresses } from './media-address.ts';

/** Interval between resolutions of the host names, in milliseconds. */
export const RESOLVE_INTERVAL_MS = 30_000;
/** How long the start waits for the first resolution, in milliseconds. */
const FIRST_WAIT_MS = 3_000;
/** Maximum number of addresses of one name: a client needs no more, and an offer has little room. */
const MAX_ADDRESSES_PER_NAME = 2;

export interface AnnouncedNamesOptions {
  readonly addresses: MediaAddresses;
  readonly logger: Pick<Logger, 'info' | 'warn'>;
  /** Resolves a host name to all of its IPv4 addresses, as this machine knows them. @throws when it has none */
  readonly resolve?: (name: string) => Promise<readonly string[]>;
}

/**
 * The node's addresses as they are announced to clients. Host names are resolved, since not every browser resolves
 * names in ICE candidates (Firefox drops them), and resolved again every half minute, since such names are used where
 * addresses change (SPEC AD6, AD24).
 */
export class AnnouncedNames {
  readonly #options: AnnouncedNamesOptions;
  readonly #resolve: (name: string) => Promise<readonly string[]>;
  readonly #known = new Map<string, readonly string[]>();
  /** Names whose failure to resolve was logged; cleared when they resolve. */
  readonly #unresolved = new Set<string>();
  #timer: NodeJS.Timeout | undefined;

  constructor(options: AnnouncedNamesOptions) {
    this.#options = options;
    this.#resolve = options.resolve ?? resolveHere;
  }

  /** Resolves the names, waits for that for a limited time, and repeats it at intervals. */
  async start(): Promise<void> {
    if (this.#names().length === 0) return;
    this.#timer = every(RESOLVE_INTERVAL_MS, () => inBackground(() => this.refresh()));
    this.#timer.unref();
    await atMost(systemTimers, FIRST_WAIT_MS, this.refresh());
  }

  stop(): void {
    clearInterval(this.#timer);
  }

  /** Returns the announced addresses, the preferred one first. An unresolved name is announced as it is. */
  readonly current = (): readonly string[] =>
    this.#options.addresses
      .flatMap(clientAddressesOf)
      .flatMap((address) => this.#known.get(address) ?? [address]);

  /** Resolves all names again; known addresses stay until others are found. Never rejects. */
  async refresh(): Promise<void> {
    await Promise.all(this.#names().map((name) => this.#refreshOne(name)));
  }

  #names(): readonly string[] {
    return this.#options.addresses.flatMap(clientAddressesOf).filter((address) => isIP(address) === 0);
  }

  async #refreshOne(name: string): Promise<void> {
    const found = await this.#resolve(name).catch(() => []);
    // Sorted, because name servers rotate the order of addresses.
    const usable = found.filter((address) => isUsable(name, address)).sort();
    const addresses = usable.slice(0, MAX_ADDRESSES_PER_NAME);
    if (addresses.length === 0) this.#onUnresolved(name, found);
    else this.#onResolved(name, addresses);
  }

  #onUnresolved(name: string, found: readonly string[]): void {
    const { logger } = this.#options;
    if (this.#unresolved.has(name)) return;
    this.#unresolved.add(name);
    const lastAddresses = this.#known.get(name);
    if (lastAddresses === undefined)
      logger.warn(
        { name, found },
        'the announced host name has no address here that clients can use, so clients get the name, which Firefox cannot use: announce the address instead (PLENARY_ANNOUNCED_ADDRESS)',
      );
    else
      logger.warn(
        { name, found, announced: lastAddresses },
        'the announced host name no longer has an address here that clients can use; clients get the last known addresses until it resolves again',
      );
  }

  #onResolved(name: string, addresses: readonly string[]): void {
    const { logger } = this.#options;
    const announced =
      addresses.every(isPrivateAddress) && !isOfThisMachine(name) ? [name, ...addresses] : addresses;
    const before = this.#known.get(name);
    const wasUnknown = this.#unresolved.delete(name);
    const isAsBefore = before?.join() === announced.join();
    if (isAsBefore && !wasUnknown) return;
    this.#known.set(name, announced);
    logger.info({ name, addresses, before }, 'the announced host name was resolved for clients');
    if (isAsBefore || announced.length === addresses.length) return;
    logger.warn(
      { name, addresses },
      'the announced host name has only private addresses here, so clients get the name too, which Firefox cannot use: announce the public address instead, or both (PLENARY_ANNOUNCED_ADDRESS)',
    );
  }
}

const isOfThisMachine = (name: string): boolean => name === 'localhost' || name.endsWith('.localhost');

/** A machine's own name is often 127.0.1.1 in its `/etc/hosts`; on a client, that address means the client itself. */
const isUsable = (name: string, address: string): boolean =>
  isOfThisMachine(name) || !(address.startsWith('127.') || address === '0.0.0.0');

async function resolveHere(name: string): Promise<readonly string[]> {
  const found = (await lookup(name, { all: true, family: 4 })).map(({ address }) => address);
  if (found.some((address) => isUsable(name, address))) return found;
  // The machine's own files do not apply to clients.
  return resolve4(name);
}
