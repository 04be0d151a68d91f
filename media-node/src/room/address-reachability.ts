import type { Clock, PeerId, Timers } from '@plenary/cluster';

/** How long a client that has said its part of DTLS may be without a path before that counts, in milliseconds. */
export const PATH_WITHIN_MS = 4_000;
/** So many people who find no path make a node one that nobody reaches. One who never tries must not. */
const PEOPLE = 2;
/** So many networks make it sure of an address that was good once: one household with a phone has three. */
const SURE_NETWORKS = 4;
/** For so long after somebody found a path, those who find none have themselves to blame, in milliseconds. */
const PROVEN_FOR_MS = 30_000;
/** For how long nobody is sent here, if others can take them, before the next may try, in milliseconds. */
const FIRST_REST_MS = 30_000;
const LONGEST_REST_MS = 300_000;
/** Networks without a path that are remembered at most; of each, as many people as are ever counted. */
const MAX_NETWORKS = 64;

export interface ReachPorts {
  readonly clock: Pick<Clock, 'monotonicMs'>;
  readonly timers: Timers;
  /** Told when one of the two verdicts changes, with how many people found no path. */
  readonly changed: (
    people: number,
    verdict: Pick<AddressReachability, 'isUnreached' | 'isSurelyUnreached'>,
  ) => void;
}

/** One placement of a peer here, and the network that its client came from, as far as the edge says. */
export interface ClientPath {
  readonly peerId: PeerId;
  readonly network: string | undefined;
}

/**
 * Whether anybody reaches this node's announced address (SPEC HL7). The network of one client may let nothing through, and a
 * client may never try: so one of them decides nothing, and nobody does while somebody is connected. Where the address has
 * proved good since the start, those who find no path must come from two networks, and from four before it is sure: two are
 * one household with IPv4 and IPv6.
 */
export class AddressReachability {
  readonly #ports: ReachPorts;
  readonly #connected = new Set<object>();
  /** Who found no path since the last rest ended, or since somebody got through. */
  readonly #misses = new Map<PeerId, string | undefined>();
  /** Networks without a path before the last rest, since somebody got through. */
  readonly #before = new Set<string>();
  #wasReached = false;
  #provenUntilMs = Number.NEGATIVE_INFINITY;
  #isUnreached = false;
  #isSure = false;
  #restMs = FIRST_REST_MS;
  #endRest: (() => void) | undefined;

  constructor(ports: ReachPorts) {
    this.#ports = ports;
  }

  /** Whether newcomers are better off on another node nearby. */
  get isUnreached(): boolean {
    return this.#isUnreached;
  }

  /** Whether they are better off even far away, and somebody must look: nobody ever got through, or many networks do not. */
  get isSurelyUnreached(): boolean {
    return this.#isUnreached && this.#isSure;
  }

  /** A client found a path. @param whose - the placement, until {@link left} */
  found(whose: object): void {
    this.#connected.add(whose);
    this.#prove();
    this.#wasReached = true;
    this.#misses.clear();
    this.#before.clear();
    this.#restMs = FIRST_REST_MS;
    this.#endRest?.();
    this.#set(false);
  }

  /** A client that had a path has none any more, or is gone. */
  left(whose: object): void {
    if (this.#connected.delete(whose)) this.#prove();
  }

  /** A client found no path in its time. */
  missed(visitor: ClientPath): void {
    const isProven = this.#connected.size > 0 || this.#ports.clock.monotonicMs() < this.#provenUntilMs;
    if (isProven || !this.#note(visitor)) return;
    const networks = this.#networks();
    if (!this.#isUnreached) {
      if ((this.#wasReached ? networks.size : this.#misses.size) < PEOPLE) return;
      this.#rest(networks);
    }
    this.#set(true, !this.#wasReached || new Set([...networks, ...this.#before]).size >= SURE_NETWORKS);
  }

  close(): void {
    this.#endRest?.();
  }

  /** @returns whether it says anything: a network has as many people as are ever counted, so that it crowds out no other. */
  #note({ peerId, network }: ClientPath): boolean {
    if (!this.#misses.has(peerId)) {
      const ofNetwork = [...this.#misses.values()].filter((other) => other === network).length;
      if (ofNetwork >= PEOPLE || this.#misses.size >= MAX_NETWORKS * PEOPLE) return false;
    }
    this.#misses.set(peerId, network);
    return true;
  }

  /** Those that an edge did not name are none. */
  #networks(): Set<string> {
    return new Set([...this.#misses.values()].filter((network) => network !== undefined));
  }

  /** Longer each time only if others find no path either: who comes again from the same networks gets no more by it. */
  #rest(networks: ReadonlySet<string>): void {
    const others = [...networks].filter((network) => !this.#before.has(network));
    const hasOthers = this.#before.size > 0 && others.length >= PEOPLE;
    this.#restMs = hasOthers ? Math.min(2 * this.#restMs, LONGEST_REST_MS) : FIRST_REST_MS;
    this.#endRest = this.#ports.timers.after(this.#restMs, () => this.#tryAgain());
  }

  #prove(): void {
    this.#provenUntilMs = this.#ports.clock.monotonicMs() + PROVEN_FOR_MS;
  }

  /** The address may be good by now, which only somebody who comes can show. */
  #tryAgain(): void {
    for (const network of this.#networks()) if (this.#before.size < MAX_NETWORKS) this.#before.add(network);
    this.#misses.clear();
    this.#set(false);
  }

  #set(isUnreached: boolean, isSure = false): void {
    if (this.#isUnreached === isUnreached && this.#isSure === isSure) return;
    this.#isUnreached = isUnreached;
    this.#isSure = isSure;
    this.#ports.changed(this.#misses.size, this);
  }
}
