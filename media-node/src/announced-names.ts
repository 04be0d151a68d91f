import { lookup, resolve4 } from 'node:dns/promises';
import { isIP } from 'node:net';
import { atMost, every, inBackground, systemTimers } from '@plenary/cluster';
import type { Logger } from '@plenary/cluster';
import { isPrivateAddress, toldOf } from './media-address.ts';
import type { MediaAddresses } from './media-address.ts';

/** How often host names are resolved again, in milliseconds. */
export const RESOLVE_EVERY_MS = 30_000;
/** How long the start waits for the first answer, in milliseconds. */
const FIRST_WAIT_MS = 3_000;
/** Of one name: a client needs no more, and an offer has room for few. */
const MAX_OF_A_NAME = 2;

export interface AnnouncedNamesOptions {
  readonly addresses: MediaAddresses;
  readonly logger: Pick<Logger, 'info' | 'warn'>;
  /** Every IPv4 address of a host name, as this machine knows it. @throws when it has none */
  readonly resolve?: (name: string) => Promise<readonly string[]>;
}

/**
 * What clients are told of the node's addresses: host names resolved, since not every browser resolves those of ICE candidates
 * (Firefox leaves them out), and anew every half minute, since such names are used where addresses change (SPEC AD6, AD24).
 */
export class AnnouncedNames {
  readonly #options: AnnouncedNamesOptions;
  readonly #resolve: (name: string) => Promise<readonly string[]>;
  readonly #known = new Map<string, readonly string[]>();
  /** Names of which it was said that they do not resolve; said again once they had. */
  readonly #unknown = new Set<string>();
  #timer: NodeJS.Timeout | undefined;

  constructor(options: AnnouncedNamesOptions) {
    this.#options = options;
    this.#resolve = options.resolve ?? resolveHere;
  }

  /** Resolves the names, for a while at most, and again from then on. */
  async start(): Promise<void> {
    if (this.#names().length === 0) return;
    this.#timer = every(RESOLVE_EVERY_MS, () => inBackground(() => this.refresh()));
    this.#timer.unref();
    await atMost(systemTimers, FIRST_WAIT_MS, this.refresh());
  }

  stop(): void {
    clearInterval(this.#timer);
  }

  /** The preferred one first. A name that could not be resolved is told as it is. */
  readonly current = (): readonly string[] =>
    this.#options.addresses.flatMap(toldOf).flatMap((told) => this.#known.get(told) ?? [told]);

  /** Never rejects: what is known stays until there is another answer. */
  async refresh(): Promise<void> {
    await Promise.all(this.#names().map((name) => this.#refreshOne(name)));
  }

  #names(): readonly string[] {
    return this.#options.addresses.flatMap(toldOf).filter((told) => isIP(told) === 0);
  }

  async #refreshOne(name: string): Promise<void> {
    const found = await this.#resolve(name).catch(() => []);
    // Sorted, since name servers give many addresses in another order each time.
    const usable = found.filter((address) => isMeant(name, address)).sort();
    const addresses = usable.slice(0, MAX_OF_A_NAME);
    if (addresses.length === 0) this.#onUnknown(name, found);
    else this.#onResolved(name, addresses);
  }

  #onUnknown(name: string, found: readonly string[]): void {
    const { logger } = this.#options;
    if (this.#unknown.has(name)) return;
    this.#unknown.add(name);
    const told = this.#known.get(name);
    if (told === undefined)
      logger.warn(
        { name, found },
        'the announced host name has no address here that clients could use, so they are told the name, which Firefox cannot use: announce the address instead (PLENARY_ANNOUNCED_ADDRESS)',
      );
    else
      logger.warn(
        { name, found, told },
        'the announced host name has no more address here that clients could use; they are told the last ones until it resolves again',
      );
  }

  #onResolved(name: string, addresses: readonly string[]): void {
    const { logger } = this.#options;
    const told =
      addresses.every(isPrivateAddress) && !isOfThisMachine(name) ? [name, ...addresses] : addresses;
    const before = this.#known.get(name);
    const wasUnknown = this.#unknown.delete(name);
    const isAsBefore = before?.join() === told.join();
    if (isAsBefore && !wasUnknown) return;
    this.#known.set(name, told);
    logger.info({ name, addresses, before }, 'the announced host name was resolved for clients');
    if (isAsBefore || told.length === addresses.length) return;
    logger.warn(
      { name, addresses },
      'the announced host name has only private addresses here, so clients are told the name as well, which Firefox cannot use: announce the public address instead, or both (PLENARY_ANNOUNCED_ADDRESS)',
    );
  }
}

const isOfThisMachine = (name: string): boolean => name === 'localhost' || name.endsWith('.localhost');

/** A machine's own name is often 127.0.1.1 in its `/etc/hosts`, which is the client itself wherever that is. */
const isMeant = (name: string, address: string): boolean =>
  isOfThisMachine(name) || !(address.startsWith('127.') || address === '0.0.0.0');

async function resolveHere(name: string): Promise<readonly string[]> {
  const found = (await lookup(name, { all: true, family: 4 })).map(({ address }) => address);
  if (found.some((address) => isMeant(name, address))) return found;
  // What this machine's own files say is not what clients hear.
  return resolve4(name);
}
