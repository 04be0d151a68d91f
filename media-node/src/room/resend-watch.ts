import type { Clock, Timers } from '@plenary/cluster';
import { PeerRounds } from './peer-rounds.ts';
import type { FaultSink } from './room-context.ts';

/**
 * What may be sent to a peer once more, as many times as the media itself, and in any case, in bits a second. A worker sends again
 * whatever its client says that it missed, as often as it says so and at the cost of a packet each: without a limit somebody
 * with an upload of 1 Mbit/s can fill a worker. Where half of all packets are lost, each that is lost is sent again once on average.
 * What comes from the client is not counted: anybody can send in their name, and whoever publishes decides how much they report.
 */
const TIMES_MEDIA = 2;
export const RESENDS_IN_ANY_CASE = 1_000_000;
/** How much above that is too much, in milliseconds: each counts as many times as the limit is exceeded, up to this. */
const PATIENCE_MS = 5_000;
const MOST_TIMES = 4;
/**
 * Two looks further apart count as no further: nobody looked between them. One look alone, after a standstill of the network, must
 * not close anything, however much was asked for then.
 */
const MOST_BETWEEN_LOOKS_MS = 1_000;
/** Peers that are looked at in one turn, and while a worker is so busy that others suffer. */
export const RESEND_LOOKS = { calm: 10, busy: 100 } as const;
/** CPU of a worker, over one core. */
const BUSY_SHARE = 0.8;

/** Bytes that went over the transport by which a client receives, so far. */
export interface ReceiverBytes {
  /** Sent to it. */
  readonly media: number;
  /** Sent to it again, since it asked for that. */
  readonly again: number;
}

/** How many times the limit was sent again between two looks. */
export function timesLimit(before: ReceiverBytes, now: ReceiverBytes, elapsedMs: number): number {
  const bytesAt = (bitrate: number): number => (bitrate * elapsedMs) / 8_000;
  const allowed = Math.max(TIMES_MEDIA * (now.media - before.media), bytesAt(RESENDS_IN_ANY_CASE));
  return (now.again - before.again) / allowed;
}

/** For how long a peer has been above its limit, in milliseconds; time below it counts back. */
export function addExcess(aboveMs: number, times: number, elapsedMs: number): number {
  const counted = Math.min(elapsedMs, MOST_BETWEEN_LOOKS_MS);
  return times > 1 ? aboveMs + counted * Math.min(times, MOST_TIMES) : Math.max(0, aboveMs - counted);
}

/** A peer as the watch needs it. */
export interface ReceivingPeer {
  readonly closed: boolean;
  /** `undefined` where it has no transport to receive by yet. */
  receiverBytes(): Promise<ReceiverBytes> | undefined;
}

export interface ResendWatchPorts<Peer extends ReceivingPeer> {
  readonly peers: () => Iterable<Peer>;
  /** CPU over one core of the busiest worker. */
  readonly workerCpu: () => number;
  readonly clock: Clock;
  readonly timers: Timers;
  /** The peer asks for more than anybody needs. */
  readonly onExcess: (peer: Peer) => void;
  readonly onFault: FaultSink;
}

/** Looks at what is sent again to peers in turns, and finds those that ask without need (SPEC MS36). */
export function watchResends<Peer extends ReceivingPeer>(
  ports: ResendWatchPorts<Peer>,
): PeerRounds<Peer, ReceiverBytes> {
  const excesses = new WeakMap<Peer, number>();
  const aboveMsOf = (peer: Peer): number => excesses.get(peer) ?? 0;
  return new PeerRounds({
    ...ports,
    where: 'resends',
    atOnce: () => (ports.workerCpu() > BUSY_SHARE ? RESEND_LOOKS.busy : RESEND_LOOKS.calm),
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
