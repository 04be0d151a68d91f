import type { Clock, Timers, TrackSource } from '@plenary/cluster';
import { allowedBitrate, judgeExcess, NO_EXCESS } from './incoming-limits.ts';
import type { Excess, IncomingLimits, LimitStep } from './incoming-limits.ts';
import { PeerRounds } from './peer-rounds.ts';
import type { FaultSink } from './room-context.ts';

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
export function watchIncoming<Peer extends WatchedPeer>(
  ports: IncomingWatchPorts<Peer>,
): PeerRounds<Peer, number> {
  const excesses = new WeakMap<Peer, Excess>();
  return new PeerRounds({
    ...ports,
    where: 'incoming',
    atOnce: () => LOOKS_AT_ONCE,
    count: (peer) => peer.receivedBytes(),
    urgencyOf: (peer) => excesses.get(peer)?.aboveMs ?? 0,
    judge: async (peer, before, now) => {
      const elapsedMs = now.atMs - before.atMs;
      const bitrate = Math.round(((now.count - before.count) * 8_000) / elapsedMs);
      const limit = allowedBitrate(peer.sources(), ports.limits);
      const { excess, step } = judgeExcess(excesses.get(peer) ?? NO_EXCESS, bitrate / limit, elapsedMs);
      excesses.set(peer, excess);
      if (step === undefined) return;
      ports.onStep(peer, step);
      await peer.limit(step, { bitrate, limit });
    },
  });
}
