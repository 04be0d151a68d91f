import { inBackground } from '@plenary/cluster';
import type { Clock } from '@plenary/cluster';
import type { FaultSink } from './room-context.ts';
import type { Timers } from './timers.ts';

/** How often some peers are looked at, in milliseconds. */
export const LOOK_EVERY_MS = 1_000;

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
  /** Who was above a limit is looked at first: how urgent it is, 0 for everybody else. */
  readonly urgencyOf: (peer: Peer) => number;
  /** Judges two looks at one peer, and acts. */
  readonly judge: (peer: Peer, before: Look<Count>, now: Look<Count>) => Promise<void>;
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
    const order = [...peers()]
      .map((peer) => ({ peer, urgency: urgencyOf(peer), atMs: this.#looks.get(peer)?.atMs ?? 0 }))
      .sort((left, right) => right.urgency - left.urgency || left.atMs - right.atMs);
    const most = atOnce();
    const looking: Promise<void>[] = [];
    for (const { peer } of order) {
      if (looking.length >= most) break;
      const counting = peer.closed ? undefined : count(peer);
      if (counting !== undefined) looking.push(this.#look(peer, counting));
    }
    await Promise.all(looking);
  }

  async #look(peer: Peer, counting: Promise<Count>): Promise<void> {
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
