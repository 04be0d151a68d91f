import type { Clock, Timers, TrackSource } from '@plenary/cluster';
import { allowedBitrate, judgeExcess, NO_EXCESS } from './incoming-limits.ts';
import type { Excess, IncomingLimits, LimitStep } from './incoming-limits.ts';
import { PeerRounds } from './peer-rounds.ts';
import type { FaultSink } from './room-context.ts';

/** Peers measured in one round: half a per cent of the node's thread, however many people publish. */
export const PEERS_PER_ROUND = 20;

/** The part of a peer that the watch uses. */
export interface LimitedPeer {
  readonly closed: boolean;
  /** The sources of the peer's open tracks. */
  sources(): readonly TrackSource[];
  /** Bytes received on the peer's send transport so far; `undefined` when it has none. */
  receivedBytes(): Promise<number> | undefined;
  limit(step: LimitStep, bitrates: { readonly bitrate: number; readonly limit: number }): Promise<void>;
}

export interface IncomingGuardPorts<Peer extends LimitedPeer> {
  readonly peers: () => Iterable<Peer>;
  readonly limits: IncomingLimits;
  readonly clock: Clock;
  readonly timers: Timers;
  readonly onStep: (peer: Peer, step: LimitStep) => void;
  readonly onFault: FaultSink;
}

/** Measures in rounds how much peers send, and limits those that keep exceeding their limit. */
export function limitIncoming<Peer extends LimitedPeer>(
  ports: IncomingGuardPorts<Peer>,
): PeerRounds<Peer, number> {
  const excesses = new WeakMap<Peer, Excess>();
  return new PeerRounds({
    ...ports,
    where: 'incoming',
    peersPerRound: () => PEERS_PER_ROUND,
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
