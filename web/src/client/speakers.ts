import {
  SPEAKERS_REPEAT_MS,
  type EdgeNotice,
  type MediaNodeId,
  type PeerId,
} from '@plenary/cluster/protocol';

/** How long a peer keeps its speaker mark after a notice no longer names it, in milliseconds: speech has gaps. */
export const SPEAKER_HOLD_MS = 900;
/** How long a mark stays when its node sends no further notice, in milliseconds: two notices may be lost. */
export const SPEAKER_EXPIRY_MS = 2.5 * SPEAKERS_REPEAT_MS;

interface Heard {
  readonly volumeDbov: number;
  readonly untilMs: number;
}

/** The last speakers that each media node reported among its own peers. */
export type HeardByNode = ReadonlyMap<MediaNodeId, ReadonlyMap<PeerId, Heard>>;

/** Applies a node's notice, which replaces its earlier one. The mark of a peer that it no longer names fades. */
export function hear(heard: HeardByNode, notice: EdgeNotice<'speakers'>, nowMs: number): HeardByNode {
  const ofNode = new Map<PeerId, Heard>();
  for (const [peerId, { volumeDbov, untilMs }] of heard.get(notice.mediaNodeId) ?? []) {
    const fadedMs = Math.min(untilMs, nowMs + SPEAKER_HOLD_MS);
    if (fadedMs > nowMs) ofNode.set(peerId, { volumeDbov, untilMs: fadedMs });
  }
  for (const { peerId, volumeDbov } of notice.speakers) {
    ofNode.set(peerId, { volumeDbov, untilMs: nowMs + SPEAKER_EXPIRY_MS });
  }
  return new Map(heard).set(notice.mediaNodeId, ofNode);
}

/** The current speakers of all nodes, the loudest first. A peer that moved between nodes counts once. */
export function speakersNow(heard: HeardByNode, nowMs: number): readonly PeerId[] {
  const loudest = new Map<PeerId, number>();
  for (const ofNode of heard.values()) {
    for (const [peerId, { volumeDbov, untilMs }] of ofNode) {
      if (untilMs <= nowMs) continue;
      loudest.set(peerId, Math.max(volumeDbov, loudest.get(peerId) ?? -127));
    }
  }
  return [...loudest].sort((left, right) => right[1] - left[1]).map(([peerId]) => peerId);
}
