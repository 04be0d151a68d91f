import type { Clock, TrackSource } from '@plenary/cluster';
import { allowedBitrate, judgeExcess, NO_EXCESS } from './incoming-limits.ts';
import type { Excess, IncomingLimits, LimitStep } from './incoming-limits.ts';
import { PeerRounds } from './peer-rounds.ts';
import type { Look } from './peer-rounds.ts';
import type { FaultSink } from './room-context.ts';
import type { Timers } from './timers.ts';

/** Peers that are looked at in one turn: half a per cent of the node's thread, however many people publish. */
export const LOOKS_AT_ONCE = 20;

/** A peer as the watch needs it. */
export interface WatchedPeer {
  readonly closed: boolean;
  /** Of its tracks that live. */
  sources(): readonly TrackSource[];
  /** Bytes that came by its sending transport so far; `undefined` where it has none. */
  receivedBytes(): Promise<number> | undefined;
  limit(step: LimitStep, bitrates: { readonly bitrate: number; readonly limit: number }): Promise<void>;
}

export interface IncomingWatchPorts<Peer extends WatchedPeer> {
  readonly peers: () => Iterable<Peer>;
  readonly limits: IncomingLimits;
  readonly clock: Clock;
  readonly timers: Timers;
  readonly onStep: (peer: Peer, step: LimitStep) => void;
  readonly onFault: FaultSink;
}

/** Looks at what peers send, in turns, and limits those that go on sending more than they may. */
export class IncomingWatch<Peer extends WatchedPeer> {
  readonly #ports: IncomingWatchPorts<Peer>;
  readonly #excesses = new WeakMap<Peer, Excess>();
  readonly #rounds: PeerRounds<Peer, number>;

  constructor(ports: IncomingWatchPorts<Peer>) {
    this.#ports = ports;
    this.#rounds = new PeerRounds({
      ...ports,
      where: 'incoming',
      atOnce: () => LOOKS_AT_ONCE,
      count: (peer) => peer.receivedBytes(),
      urgencyOf: (peer) => this.#excesses.get(peer)?.aboveMs ?? 0,
      judge: (peer, before, now) => this.#judge(peer, before, now),
    });
  }

  start(): void {
    this.#rounds.start();
  }

  stop(): void {
    this.#rounds.stop();
  }

  /** One turn. */
  async lookAround(): Promise<void> {
    await this.#rounds.lookAround();
  }

  async #judge(peer: Peer, before: Look<number>, now: Look<number>): Promise<void> {
    const { limits, onStep } = this.#ports;
    const elapsedMs = now.atMs - before.atMs;
    const bitrate = Math.round(((now.count - before.count) * 8_000) / elapsedMs);
    const limit = allowedBitrate(peer.sources(), limits);
    const { excess, step } = judgeExcess(this.#excesses.get(peer) ?? NO_EXCESS, bitrate / limit, elapsedMs);
    this.#excesses.set(peer, excess);
    if (step === undefined) return;
    onStep(peer, step);
    await peer.limit(step, { bitrate, limit });
  }
}
