import {
  SPEAKERS_REPEAT_MS,
  type EdgeNotice,
  type MediaNodeId,
  type PeerId,
} from '@plenary/cluster/protocol';

/** How long a voice that is no longer named keeps its mark, in milliseconds: words have gaps. */
export const SPEAKER_HOLD_MS = 900;
/** How long a mark stands when its node says nothing more, in milliseconds: two notices may be lost. */
export const SPEAKER_EXPIRY_MS = 2.5 * SPEAKERS_REPEAT_MS;

interface Heard {
  readonly volumeDbov: number;
  readonly untilMs: number;
}

/** What each media node last said about its own peers. */
export type HeardByNode = ReadonlyMap<MediaNodeId, ReadonlyMap<PeerId, Heard>>;

/** Takes one node's notice, which replaces its earlier ones; whom it no longer names fades. */
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

/** Who speaks now, the loudest first, over all nodes. A peer that moved between nodes counts once. */
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
