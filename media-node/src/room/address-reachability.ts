import type { Clock, PeerId, Timers } from '@plenary/cluster';

/** How long a client that sent its DTLS parameters may be without a path before that counts, in milliseconds. */
export const PATH_WITHIN_MS = 4_000;
/**
 * The node counts as unreached when this many people find no path; a single client that never tries must not suffice.
 */
const MIN_PEOPLE = 2;
/**
 * An address that was reached before counts as surely unreached from this many networks: one household with a phone
 * has three.
 */
const MIN_SURE_NETWORKS = 4;
/**
 * How long after a client found a path the failures of others count as faults of their own networks, in milliseconds.
 */
const PROVEN_FOR_MS = 30_000;
/** How long newcomers are sent to other nodes, if there are any, before this node is tried again, in milliseconds. */
const FIRST_REST_MS = 30_000;
const LONGEST_REST_MS = 300_000;
/** Maximum number of networks without a path that are remembered; of each, at most {@link MIN_PEOPLE} people. */
const MAX_NETWORKS = 64;

export interface ReachPorts {
  readonly clock: Pick<Clock, 'monotonicMs'>;
  readonly timers: Timers;
  /** Called when one of the two verdicts changes, with the number of people who found no path. */
  readonly changed: (
    people: number,
    verdict: Pick<AddressReachability, 'isUnreached' | 'isSurelyUnreached'>,
  ) => void;
}

/** One placement of a peer on this node, and the network of its client if the edge sent it. */
export interface ClientPath {
  readonly peerId: PeerId;
  readonly network: string | undefined;
}

/**
 * Decides whether clients reach this node's announced address (SPEC HL7). The network of one client may block
 * everything, and a client may never try: so a single client decides nothing, and no number of them does while
 * another client is connected. An address that was reached since the start is doubted only when people of two
 * networks find no path, and surely unreached only from four networks: two are one household with IPv4 and IPv6.
 */
export class AddressReachability {
  readonly #ports: ReachPorts;
  readonly #connected = new Set<object>();
  /** People who found no path since the last rest ended, or since a client connected. */
  readonly #misses = new Map<PeerId, string | undefined>();
  /** Networks that found no path before the last rest, since a client connected. */
  readonly #earlierNetworks = new Set<string>();
  #wasReached = false;
  #provenUntilMs = Number.NEGATIVE_INFINITY;
  #isUnreached = false;
  #isSure = false;
  #restMs = FIRST_REST_MS;
  #endRest: (() => void) | undefined;

  constructor(ports: ReachPorts) {
    this.#ports = ports;
  }

  /** Whether newcomers should go to another node nearby. */
  get isUnreached(): boolean {
    return this.#isUnreached;
  }

  /**
   * Whether newcomers should go even to a distant node, and an operator must act: no client ever connected, or many
   * networks fail.
   */
  get isSurelyUnreached(): boolean {
    return this.#isUnreached && this.#isSure;
  }

  /** A client found a path. @param placement - identifies the placement until {@link left} */
  found(placement: object): void {
    this.#connected.add(placement);
    this.#prove();
    this.#wasReached = true;
    this.#misses.clear();
    this.#earlierNetworks.clear();
    this.#restMs = FIRST_REST_MS;
    this.#endRest?.();
    this.#set(false);
  }

  /** A client lost its path, or left. */
  left(placement: object): void {
    if (this.#connected.delete(placement)) this.#prove();
  }

  /** A client found no path in time. */
  missed(visitor: ClientPath): void {
    const isProven = this.#connected.size > 0 || this.#ports.clock.monotonicMs() < this.#provenUntilMs;
    if (isProven || !this.#note(visitor)) return;
    const networks = this.#networks();
    if (!this.#isUnreached) {
      if ((this.#wasReached ? networks.size : this.#misses.size) < MIN_PEOPLE) return;
      this.#rest(networks);
    }
    this.#set(
      true,
      !this.#wasReached || new Set([...networks, ...this.#earlierNetworks]).size >= MIN_SURE_NETWORKS,
    );
  }

  close(): void {
    this.#endRest?.();
  }

  /** @returns whether the failure counts: only so many people of one network do, so that it crowds out no other. */
  #note({ peerId, network }: ClientPath): boolean {
    if (!this.#misses.has(peerId)) {
      const fromSameNetwork = [...this.#misses.values()].filter((other) => other === network).length;
      if (fromSameNetwork >= MIN_PEOPLE || this.#misses.size >= MAX_NETWORKS * MIN_PEOPLE) return false;
    }
    this.#misses.set(peerId, network);
    return true;
  }

  /** Networks that an edge did not name are not counted. */
  #networks(): Set<string> {
    return new Set([...this.#misses.values()].filter((network) => network !== undefined));
  }

  /** The rest grows only if other networks fail too: clients that return from the same networks do not extend it. */
  #rest(networks: ReadonlySet<string>): void {
    const others = [...networks].filter((network) => !this.#earlierNetworks.has(network));
    const hasOthers = this.#earlierNetworks.size > 0 && others.length >= MIN_PEOPLE;
    this.#restMs = hasOthers ? Math.min(2 * this.#restMs, LONGEST_REST_MS) : FIRST_REST_MS;
    this.#endRest = this.#ports.timers.after(this.#restMs, () => this.#tryAgain());
  }

  #prove(): void {
    this.#provenUntilMs = this.#ports.clock.monotonicMs() + PROVEN_FOR_MS;
  }

  /** The address may work by now; only a new client can show that. */
  #tryAgain(): void {
    for (const network of this.#networks())
      if (this.#earlierNetworks.size < MAX_NETWORKS) this.#earlierNetworks.add(network);
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
