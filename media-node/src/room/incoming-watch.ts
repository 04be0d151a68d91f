import { inBackground } from '@plenary/cluster';
import type { Clock, TrackSource } from '@plenary/cluster';
import { allowedBitrate, judgeExcess, NO_EXCESS } from './incoming-limits.ts';
import type { Excess, IncomingLimits, LimitStep } from './incoming-limits.ts';
import type { FaultSink } from './room-context.ts';
import type { Timers } from './timers.ts';

/** How often some peers are looked at, in milliseconds. */
export const LOOK_EVERY_MS = 1_000;
/**
 * Peers that are looked at in one turn. A look is one call into mediasoup, 0.14 to 0.30 ms of the node's only thread, so that this
 * is half a per cent of it however many people publish; who was above the limit is looked at first.
 */
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

interface Look {
  readonly atMs: number;
  readonly bytes: number;
  readonly excess: Excess;
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
  readonly #looks = new WeakMap<Peer, Look>();
  #cancel: () => void = () => undefined;
  #isStopped = false;

  constructor(ports: IncomingWatchPorts<Peer>) {
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
    const order = [...this.#ports.peers()]
      .map((peer) => ({ peer, look: this.#looks.get(peer) }))
      .sort(
        (left, right) => urgencyOf(right.look) - urgencyOf(left.look) || ageOf(left.look) - ageOf(right.look),
      );
    let looked = 0;
    const looking: Promise<void>[] = [];
    for (const { peer } of order) {
      if (looked >= LOOKS_AT_ONCE) break;
      const bytes = peer.closed ? undefined : peer.receivedBytes();
      if (bytes === undefined) continue;
      looked += 1;
      looking.push(this.#look(peer, bytes));
    }
    await Promise.all(looking);
  }

  async #look(peer: Peer, counting: Promise<number>): Promise<void> {
    const { clock, limits, onStep, onFault } = this.#ports;
    try {
      const bytes = await counting;
      const atMs = clock.monotonicMs();
      const before = this.#looks.get(peer);
      if (before === undefined || atMs <= before.atMs) {
        this.#looks.set(peer, { atMs, bytes, excess: before?.excess ?? NO_EXCESS });
        return;
      }
      const elapsedMs = atMs - before.atMs;
      const bitrate = Math.round(((bytes - before.bytes) * 8_000) / elapsedMs);
      const limit = allowedBitrate(peer.sources(), limits);
      const { excess, step } = judgeExcess(before.excess, bitrate / limit, elapsedMs);
      this.#looks.set(peer, { atMs, bytes, excess });
      if (step === undefined) return;
      onStep(peer, step);
      await peer.limit(step, { bitrate, limit });
    } catch (error) {
      // A peer that closed meanwhile sends nothing any more.
      if (!peer.closed) onFault('incoming', error);
    }
  }
}

const urgencyOf = (look: Look | undefined): number => look?.excess.aboveMs ?? 0;
const ageOf = (look: Look | undefined): number => look?.atMs ?? 0;
