import { inBackground } from '@plenary/cluster';
import type { Clock, Timers } from '@plenary/cluster';
import type { FaultSink } from './room-context.ts';

/** Interval between two rounds, in milliseconds. */
export const ROUND_INTERVAL_MS = 1_000;
/**
 * The most urgent peers get at most this share of a round, so that peers near a limit do not keep others from being
 * measured.
 */
const SHARE_OF_URGENT = 1 / 2;

/** One measurement of a peer, and when it was taken. */
export interface Measurement<Count> {
  readonly atMs: number;
  readonly count: Count;
}

export interface PeerRoundsPorts<Peer extends { readonly closed: boolean }, Count> {
  readonly peers: () => Iterable<Peer>;
  /**
   * Peers that are measured in one round. One measurement is one mediasoup call: 0.14 to 0.30 ms of the node's only
   * thread.
   */
  readonly peersPerRound: () => number;
  /** Requests the count from the worker; `undefined` when the peer has nothing to count. */
  readonly count: (peer: Peer) => Promise<Count> | undefined;
  /** Peers that were above a limit are measured first: how urgent a peer is, and 0 for all others. */
  readonly urgencyOf: (peer: Peer) => number;
  /** Compares two measurements of one peer, and acts. */
  readonly judge: (peer: Peer, before: Measurement<Count>, now: Measurement<Count>) => Promise<void> | void;
  /** Names the measurement in faults. */
  readonly where: string;
  readonly clock: Clock;
  readonly timers: Timers;
  readonly onFault: FaultSink;
}

/** Measures all peers in rounds whose cost is bounded, however many peers there are. */
export class PeerRounds<Peer extends { readonly closed: boolean }, Count> {
  readonly #ports: PeerRoundsPorts<Peer, Count>;
  readonly #measurements = new WeakMap<Peer, Measurement<Count>>();
  #cancel: () => void = () => undefined;
  #isStopped = false;

  constructor(ports: PeerRoundsPorts<Peer, Count>) {
    this.#ports = ports;
  }

  start(): void {
    this.#cancel = this.#ports.timers.after(ROUND_INTERVAL_MS, () => {
      inBackground(() =>
        this.runRound().finally(() => {
          if (!this.#isStopped) this.start();
        }),
      );
    });
  }

  stop(): void {
    this.#isStopped = true;
    this.#cancel();
  }

  /** Runs one round. */
  async runRound(): Promise<void> {
    const { peers, peersPerRound, count, urgencyOf } = this.#ports;
    const limit = peersPerRound();
    const oldestFirst = [...peers()]
      .map((peer) => ({ peer, urgency: urgencyOf(peer), atMs: this.#measurements.get(peer)?.atMs ?? 0 }))
      .sort((left, right) => left.atMs - right.atMs);
    const urgent = oldestFirst
      .filter(({ urgency }) => urgency > 0)
      .sort((left, right) => right.urgency - left.urgency)
      .slice(0, Math.ceil(limit * SHARE_OF_URGENT));
    const measuring: Promise<void>[] = [];
    for (const { peer } of new Set([...urgent, ...oldestFirst])) {
      if (measuring.length >= limit) break;
      const counting = peer.closed ? undefined : count(peer);
      if (counting !== undefined) measuring.push(this.#check(peer, counting));
    }
    await Promise.all(measuring);
  }

  async #check(peer: Peer, counting: Promise<Count>): Promise<void> {
    const { clock, judge, where, onFault } = this.#ports;
    try {
      const now = { count: await counting, atMs: clock.monotonicMs() };
      const before = this.#measurements.get(peer);
      this.#measurements.set(peer, now);
      if (before !== undefined && now.atMs > before.atMs) await judge(peer, before, now);
    } catch (error) {
      // A peer that closed meanwhile has no traffic to judge.
      if (!peer.closed) onFault(where, error);
    }
  }
}
