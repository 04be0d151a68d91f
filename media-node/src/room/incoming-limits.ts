/**
 * What a peer may send, and what becomes of one that goes on sending more (SPEC MS5). mediasoup's own limit is advice to the
 * sender (REMB, transport-cc), which one that means harm does not take. Pure: `incoming-watch.ts` measures and acts.
 */
import type { TrackSource } from '@plenary/cluster';

/** In bits a second. */
export interface IncomingLimits {
  /** Of all that a peer sends. */
  readonly peerBitrate: number;
  /** Of one track; those of a peer add up. */
  readonly sourceBitrates: Readonly<Record<TrackSource, number>>;
}

/** Room for RTCP, probing, and what is on its way when a track ends, in bits a second. */
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
  const ofTracks = sources.reduce((sum, source) => sum + limits.sourceBitrates[source], 0);
  return Math.min(limits.peerBitrate, ofTracks + SLACK_BITRATE);
}

export type LimitStep = 'warned' | 'paused' | 'ended' | 'dropped';

/**
 * After how long above its limit each step is taken, in milliseconds. Time counts as many times as the limit is exceeded, so that
 * who sends far more is stopped soon. Time below the limit counts back.
 */
export const LIMIT_STEPS: readonly { readonly step: LimitStep; readonly afterMs: number }[] = [
  { step: 'warned', afterMs: 3_000 },
  { step: 'paused', afterMs: 8_000 },
  { step: 'ended', afterMs: 14_000 },
  { step: 'dropped', afterMs: 24_000 },
];
/** However much it is: one look alone, after a standstill of the network, must not end anything. */
const MOST_TIMES = 4;
const MOST_MS = 25_000;
/** Two looks further apart count as no further: nobody looked between them. */
const MOST_BETWEEN_LOOKS_MS = 2_000;

export interface Excess {
  readonly aboveMs: number;
  /** Steps that were taken since the peer was last within its limit for as long as it was above it. */
  readonly taken: number;
}

export const NO_EXCESS: Excess = { aboveMs: 0, taken: 0 };

/**
 * @param timesLimit - what the peer sends, in limits
 * @param elapsedMs - since the peer was last looked at
 */
export function judgeExcess(
  { aboveMs, taken }: Excess,
  timesLimit: number,
  elapsedMs: number,
): { readonly excess: Excess; readonly step: LimitStep | undefined } {
  const isAbove = timesLimit > 1;
  const counted =
    Math.min(elapsedMs, MOST_BETWEEN_LOOKS_MS) * (isAbove ? Math.min(timesLimit, MOST_TIMES) : 1);
  const nextMs = Math.round(Math.min(MOST_MS, Math.max(0, aboveMs + (isAbove ? counted : -counted))));
  if (nextMs === 0) return { excess: NO_EXCESS, step: undefined };
  const due = LIMIT_STEPS[taken];
  if (!isAbove || due === undefined || nextMs < due.afterMs) {
    return { excess: { aboveMs: nextMs, taken }, step: undefined };
  }
  return { excess: { aboveMs: nextMs, taken: taken + 1 }, step: due.step };
}
