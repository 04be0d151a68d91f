import type { EdgeNotice, MediaNodeId, PeerId } from '@plenary/cluster/protocol';

/** Below this a sound does not count as speech, in dBov. */
export const SPEECH_DBOV = -50;
/** How long a voice that is no longer reported keeps its mark, in milliseconds: words have gaps. */
export const SPEAKER_DECAY_MS = 900;

interface Heard {
  readonly volumeDbov: number;
  readonly atMs: number;
}

/** What each media node last said about its own peers. */
export type HeardByNode = ReadonlyMap<MediaNodeId, ReadonlyMap<PeerId, Heard>>;

/** Takes one node's notice; its older reports stay until they decay, since a notice lists only who is heard now. */
export function hear(heard: HeardByNode, notice: EdgeNotice<'speakers'>, nowMs: number): HeardByNode {
  const ofNode = new Map(
    [...(heard.get(notice.mediaNodeId) ?? [])].filter(([, { atMs }]) => nowMs - atMs < SPEAKER_DECAY_MS),
  );
  for (const { peerId, volumeDbov } of notice.speakers) {
    if (volumeDbov >= SPEECH_DBOV) ofNode.set(peerId, { volumeDbov, atMs: nowMs });
  }
  return new Map(heard).set(notice.mediaNodeId, ofNode);
}

/** Who speaks now, the loudest first, over all nodes. A peer that moved between nodes counts once. */
export function speakersNow(heard: HeardByNode, nowMs: number): readonly PeerId[] {
  const loudest = new Map<PeerId, number>();
  for (const ofNode of heard.values()) {
    for (const [peerId, { volumeDbov, atMs }] of ofNode) {
      if (nowMs - atMs >= SPEAKER_DECAY_MS) continue;
      loudest.set(peerId, Math.max(volumeDbov, loudest.get(peerId) ?? -127));
    }
  }
  return [...loudest].sort((left, right) => right[1] - left[1]).map(([peerId]) => peerId);
}
