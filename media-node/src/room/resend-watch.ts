import type { Clock, Timers } from '@plenary/cluster';
import { PeerRounds } from './peer-rounds.ts';
import type { FaultSink } from './room-context.ts';

/**
 * Limit on retransmissions to a peer: a multiple of the media bitrate, and a minimum in bits per second. A worker
 * retransmits every packet that a client reports as lost, as often as the client asks, and each request costs only
 * one packet: without a limit, a client with an upload of 1 Mbit/s can saturate a worker. When half of all packets
 * are lost, each lost packet is retransmitted once on average. Packets from the client are not counted: anybody can
 * send in its name, and a publisher decides how many reports it sends.
 */
const MAX_RESEND_RATIO = 2;
export const MIN_RESEND_BITRATE = 1_000_000;
/**
 * How long a peer may be above the limit, in milliseconds. Time counts as many times as the limit is exceeded, up to
 * this factor.
 */
const PATIENCE_MS = 5_000;
const MAX_FACTOR = 4;
/**
 * Longest interval that counts between two measurements: nothing is known about the time beyond it. A single
 * measurement, after a standstill of the network, must not close anything, however many retransmissions it counts.
 */
const MAX_INTERVAL_MS = 1_000;
/** Peers measured in one round, normally and while a worker is so busy that other peers suffer. */
export const PEERS_PER_ROUND = { calm: 10, busy: 100 } as const;
/** CPU share of one core above which a worker counts as busy. */
const BUSY_SHARE = 0.8;

/** Bytes sent so far on the transport that a client receives on. */
export interface ReceiverBytes {
  /** Sent for the first time. */
  readonly sent: number;
  /** Retransmitted at the client's request. */
  readonly retransmitted: number;
}

/** Retransmissions between two measurements, as a multiple of the limit. */
export function timesLimit(before: ReceiverBytes, now: ReceiverBytes, elapsedMs: number): number {
  const bytesAt = (bitrate: number): number => (bitrate * elapsedMs) / 8_000;
  const allowed = Math.max(MAX_RESEND_RATIO * (now.sent - before.sent), bytesAt(MIN_RESEND_BITRATE));
  return (now.retransmitted - before.retransmitted) / allowed;
}

/** How long a peer has been above its limit, in milliseconds; time below the limit counts back. */
export function addExcess(aboveMs: number, times: number, elapsedMs: number): number {
  const counted = Math.min(elapsedMs, MAX_INTERVAL_MS);
  return times > 1 ? aboveMs + counted * Math.min(times, MAX_FACTOR) : Math.max(0, aboveMs - counted);
}

/** The part of a peer that the watch uses. */
export interface ReceivingPeer {
  readonly closed: boolean;
  /** `undefined` before the peer has a receive transport. */
  receiverBytes(): Promise<ReceiverBytes> | undefined;
}

export interface ResendWatchPorts<Peer extends ReceivingPeer> {
  readonly peers: () => Iterable<Peer>;
  /** CPU share of one core that the busiest worker uses. */
  readonly workerCpu: () => number;
  readonly clock: Clock;
  readonly timers: Timers;
  /** The peer requests more retransmissions than any client needs. */
  readonly onExcess: (peer: Peer) => void;
  readonly onFault: FaultSink;
}

/** Measures the retransmissions to peers in rounds, and finds the peers that request too many (SPEC MS36). */
export function watchResends<Peer extends ReceivingPeer>(
  ports: ResendWatchPorts<Peer>,
): PeerRounds<Peer, ReceiverBytes> {
  const excesses = new WeakMap<Peer, number>();
  const aboveMsOf = (peer: Peer): number => excesses.get(peer) ?? 0;
  return new PeerRounds({
    ...ports,
    where: 'resends',
    peersPerRound: () => (ports.workerCpu() > BUSY_SHARE ? PEERS_PER_ROUND.busy : PEERS_PER_ROUND.calm),
    count: (peer) => peer.receiverBytes(),
    urgencyOf: aboveMsOf,
    judge: (peer, before, now) => {
      const elapsedMs = now.atMs - before.atMs;
      const times = timesLimit(before.count, now.count, elapsedMs);
      const aboveMs = addExcess(aboveMsOf(peer), times, elapsedMs);
      excesses.set(peer, aboveMs);
      if (aboveMs >= PATIENCE_MS && !peer.closed) ports.onExcess(peer);
    },
  });
}
