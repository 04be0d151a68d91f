import { inBackground } from '@plenary/cluster';
import type { Clock, Timers } from '@plenary/cluster';
import type { FaultSink } from './room-context.ts';

/** How often some peers are looked at, in milliseconds. */
export const LOOK_EVERY_MS = 1_000;
/** So much of a turn is for the most urgent peers at most: those that hover above a limit hide nobody else. */
const SHARE_OF_URGENT = 1 / 2;

/** What was counted of a peer, and when. */
export interface Look<Count> {
  readonly atMs: number;
  readonly count: Count;
}

export interface PeerRoundsPorts<Peer extends { readonly closed: boolean }, Count> {
  readonly peers: () => Iterable<Peer>;
  /** Peers that are looked at in one turn. A look is one call into mediasoup, 0.14 to 0.30 ms of the node's only thread. */
  readonly atOnce: () => number;
  /** Asks the worker; `undefined` where there is nothing to count. */
  readonly count: (peer: Peer) => Promise<Count> | undefined;
  /** Peers that were above a limit are looked at first: how urgent that is, 0 for all others. */
  readonly urgencyOf: (peer: Peer) => number;
  /** Judges two looks at one peer, and acts. */
  readonly judge: (peer: Peer, before: Look<Count>, now: Look<Count>) => Promise<void> | void;
  /** Names what is looked at. */
  readonly where: string;
  readonly clock: Clock;
  readonly timers: Timers;
  readonly onFault: FaultSink;
}

/** Looks at all peers in turns, at a bounded cost however many there are. */
export class PeerRounds<Peer extends { readonly closed: boolean }, Count> {
  readonly #ports: PeerRoundsPorts<Peer, Count>;
  readonly #looks = new WeakMap<Peer, Look<Count>>();
  #cancel: () => void = () => undefined;
  #isStopped = false;

  constructor(ports: PeerRoundsPorts<Peer, Count>) {
    this.#ports = ports;
  }

  start(): void {
    this.#cancel = this.#ports.timers.after(LOOK_EVERY_MS, () => {
      inBackground(() =>
        this.lookAround().finally(() => {
          if (!this.#isStopped) this.start();
        }),
      );
    });
  }

  stop(): void {
    this.#isStopped = true;
    this.#cancel();
  }

  /** One turn. */
  async lookAround(): Promise<void> {
    const { peers, atOnce, count, urgencyOf } = this.#ports;
    const most = atOnce();
    const inTurn = [...peers()]
      .map((peer) => ({ peer, urgency: urgencyOf(peer), atMs: this.#looks.get(peer)?.atMs ?? 0 }))
      .sort((left, right) => left.atMs - right.atMs);
    const urgent = inTurn
      .filter(({ urgency }) => urgency > 0)
      .sort((left, right) => right.urgency - left.urgency)
      .slice(0, Math.ceil(most * SHARE_OF_URGENT));
    const looking: Promise<void>[] = [];
    for (const { peer } of new Set([...urgent, ...inTurn])) {
      if (looking.length >= most) break;
      const counting = peer.closed ? undefined : count(peer);
      if (counting !== undefined) looking.push(this.#check(peer, counting));
    }
    await Promise.all(looking);
  }

  async #check(peer: Peer, counting: Promise<Count>): Promise<void> {
    const { clock, judge, where, onFault } = this.#ports;
    try {
      const now = { count: await counting, atMs: clock.monotonicMs() };
      const before = this.#looks.get(peer);
      this.#looks.set(peer, now);
      if (before !== undefined && now.atMs > before.atMs) await judge(peer, before, now);
    } catch (error) {
      // A peer that closed meanwhile sends nothing any more, and gets nothing.
      if (!peer.closed) onFault(where, error);
    }
  }
}
