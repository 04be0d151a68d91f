/**
 * How much a peer may send, and the steps against one that keeps exceeding it (SPEC MS5). mediasoup's own limit is
 * advice to the sender (REMB, transport-cc), which a malicious sender ignores. Pure: `incoming-guard.ts` measures and
 * acts.
 */
import type { TrackSource } from '@plenary/cluster';

/** Bitrates in bits per second. */
export interface IncomingLimits {
  /** Limit over all tracks of a peer. */
  readonly peerBitrate: number;
  /** Limit of one track; a peer's tracks add up. */
  readonly sourceBitrates: Readonly<Record<TrackSource, number>>;
}

/** Allowance for RTCP, probing, and packets in flight when a track ends, in bits per second. */
export const SLACK_BITRATE = 500_000;

export const DEFAULT_INCOMING_LIMITS: IncomingLimits = {
  peerBitrate: 12_000_000,
  sourceBitrates: {
    microphone: 600_000,
    'screen-audio': 600_000,
    camera: 5_000_000,
    screen: 8_000_000,
  },
};

export function allowedBitrate(sources: readonly TrackSource[], limits: IncomingLimits): number {
  const sumOfTracks = sources.reduce((sum, source) => sum + limits.sourceBitrates[source], 0);
  return Math.min(limits.peerBitrate, sumOfTracks + SLACK_BITRATE);
}

export type LimitStep = 'warned' | 'paused' | 'ended' | 'dropped';

/**
 * The time above the limit after which each step is taken, in milliseconds. Time counts as many times as the limit is
 * exceeded, so that a sender of far more is stopped soon. Time below the limit counts back.
 */
export const LIMIT_STEPS: readonly { readonly step: LimitStep; readonly afterMs: number }[] = [
  { step: 'warned', afterMs: 3_000 },
  { step: 'paused', afterMs: 8_000 },
  { step: 'ended', afterMs: 14_000 },
  { step: 'dropped', afterMs: 24_000 },
];
/** Upper bound of that factor: a single measurement, after a standstill of the network, must not end anything. */
const MAX_FACTOR = 4;
const MAX_EXCESS_MS = 25_000;
/** Longest interval that counts between two measurements: nothing is known about the time beyond it. */
const MAX_INTERVAL_MS = 2_000;

export interface Excess {
  readonly aboveMs: number;
  /** Number of steps taken since the peer was last below its limit for as long as it had been above it. */
  readonly taken: number;
}

export const NO_EXCESS: Excess = { aboveMs: 0, taken: 0 };

/**
 * @param timesLimit - the peer's bitrate, as a multiple of its limit
 * @param elapsedMs - time since the last measurement of the peer
 */
export function judgeExcess(
  { aboveMs, taken }: Excess,
  timesLimit: number,
  elapsedMs: number,
): { readonly excess: Excess; readonly step: LimitStep | undefined } {
  const isAbove = timesLimit > 1;
  const counted = Math.min(elapsedMs, MAX_INTERVAL_MS) * (isAbove ? Math.min(timesLimit, MAX_FACTOR) : 1);
  const nextMs = Math.round(Math.min(MAX_EXCESS_MS, Math.max(0, aboveMs + (isAbove ? counted : -counted))));
  if (nextMs === 0) return { excess: NO_EXCESS, step: undefined };
  const due = LIMIT_STEPS[taken];
  if (!isAbove || due === undefined || nextMs < due.afterMs) {
    return { excess: { aboveMs: nextMs, taken }, step: undefined };
  }
  return { excess: { aboveMs: nextMs, taken: taken + 1 }, step: due.step };
}
