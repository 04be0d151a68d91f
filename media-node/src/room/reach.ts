import type { Clock, PeerId } from '@plenary/cluster';
import type { Timers } from './timers.ts';

/** How long a client that has said its part of DTLS may be without a path before that counts, in milliseconds. */
export const PATH_WITHIN_MS = 4_000;
/** So many people who find no path make a node one that nobody reaches. One who never tries must not. */
const PEOPLE = 2;
/** For so long after somebody found a path, those who find none have themselves to blame, in milliseconds. */
const PROVEN_FOR_MS = 30_000;
/** For how long nobody is sent here, if others can take them, before the next may try, in milliseconds. */
const FIRST_REST_MS = 30_000;
const LONGEST_REST_MS = 300_000;
/** People without a path that are remembered at most. */
const MAX_MISSES = 64;

export interface ReachPorts {
  readonly clock: Pick<Clock, 'monotonicMs'>;
  readonly timers: Timers;
  /** Told when the answer of {@link Reach.isUnreached} is another one. */
  readonly changed: (isUnreached: boolean, people: number) => void;
}

/** One placement of a peer here, and the network that its client came from, as far as the edge says. */
export interface Visitor {
  readonly peerId: PeerId;
  readonly network: string | undefined;
}

/**
 * Whether anybody reaches this node's announced address (SPEC HL7). The network of one client may let nothing through, and a
 * client may never try: so one of them decides nothing, nobody does while somebody is connected, and where the address has
 * proved good since the start, those who find no path must come from two networks.
 */
export class Reach {
  readonly #ports: ReachPorts;
  readonly #connected = new Set<object>();
  readonly #misses = new Map<PeerId, string | undefined>();
  #wasReached = false;
  #provenUntilMs = Number.NEGATIVE_INFINITY;
  #isUnreached = false;
  #restMs = FIRST_REST_MS;
  /** It rested, and the next who tries shows whether it is to go on resting. */
  #isOnTrial = false;
  #endRest: (() => void) | undefined;

  constructor(ports: ReachPorts) {
    this.#ports = ports;
  }

  /** Whether newcomers are better off elsewhere. */
  get isUnreached(): boolean {
    return this.#isUnreached;
  }

  /** A client found a path. @param whose - the placement, until {@link left} */
  found(whose: object): void {
    this.#connected.add(whose);
    this.#prove();
    this.#wasReached = true;
    this.#misses.clear();
    this.#isOnTrial = false;
    this.#restMs = FIRST_REST_MS;
    this.#endRest?.();
    this.#set(false);
  }

  /** A client that had a path has none any more, or is gone. */
  left(whose: object): void {
    if (this.#connected.delete(whose)) this.#prove();
  }

  /** A client found no path in its time. */
  missed({ peerId, network }: Visitor): void {
    const isProven = this.#connected.size > 0 || this.#ports.clock.monotonicMs() < this.#provenUntilMs;
    if (isProven || (this.#misses.size >= MAX_MISSES && !this.#misses.has(peerId))) return;
    this.#misses.set(peerId, network);
    if (this.#isUnreached || !this.#isEnough()) return;
    this.#isOnTrial = false;
    this.#endRest = this.#ports.timers.after(this.#restMs, () => this.#tryAgain());
    this.#restMs = Math.min(2 * this.#restMs, LONGEST_REST_MS);
    this.#set(true);
  }

  close(): void {
    this.#endRest?.();
  }

  #isEnough(): boolean {
    const networks = new Set(this.#misses.values());
    if (this.#wasReached) return networks.size >= PEOPLE;
    return this.#misses.size >= (this.#isOnTrial ? 1 : PEOPLE);
  }

  #prove(): void {
    this.#provenUntilMs = this.#ports.clock.monotonicMs() + PROVEN_FOR_MS;
  }

  /** The address may be good by now, which only somebody who comes can show. */
  #tryAgain(): void {
    this.#misses.clear();
    this.#isOnTrial = true;
    this.#set(false);
  }

  #set(isUnreached: boolean): void {
    if (this.#isUnreached === isUnreached) return;
    this.#isUnreached = isUnreached;
    this.#ports.changed(isUnreached, this.#misses.size);
  }
}
