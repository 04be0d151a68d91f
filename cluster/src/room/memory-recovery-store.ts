import type { EdgeId, EventId, MediaNodeId, PeerId, RoomId, TrackId } from '../protocol/ids.ts';
import type { LoggedEvent } from '../protocol/room.ts';
import { MemoryRoom, START } from './memory-room.ts';
import type { MemoryRooms } from './memory-rooms.ts';
import type {
  HeldPeer,
  PeerVerdict,
  RecoveryStore,
  RepublishedPeers,
  RepublishedTracks,
  RoomStanding,
  TrackVerdict,
} from './recovery-store.ts';
import { entriesDigestOf } from './room-entries.ts';
import type { StoredTrack } from './room-log.ts';

/** Nobody takes the place of somebody else's track; one's own may only be published later than this. */
function withoutForeignReplaces(room: MemoryRoom, track: StoredTrack): StoredTrack {
  const { replaces, ...alone } = track;
  const replaced = replaces === undefined ? undefined : room.tracks.get(replaces);
  const isForeign =
    replaced !== undefined && (replaced.peerId !== track.peerId || replaced.source !== track.source);
  return isForeign ? alone : track;
}

/** Writes what a room lacks of a peer. @returns whether anything was lacking */
function restore(room: MemoryRoom, edgeId: EdgeId, peer: HeldPeer): boolean {
  const { peerId, epoch, holdEpoch, mediaNodeId, requestId, tokenGeneration } = peer;
  const { sequence, joinedAtMs, role, displayName, previous } = peer;
  const stored = room.placements.get(peerId);
  const lacksPlacement = stored === undefined || stored.holdEpoch < holdEpoch;
  const lacksEntry = !room.roster.has(peerId);
  if (lacksPlacement) {
    room.placements.set(peerId, { peerId, epoch, holdEpoch, mediaNodeId, edgeId, requestId });
    room.lastEpoch = Math.max(room.lastEpoch, holdEpoch);
    // A track of an older placement is none any more: its end was lost as well. That of the one that goes on is.
    for (const track of room.tracks.values()) {
      const isOlder = track.epoch < epoch && track.epoch !== previous?.epoch;
      if (track.peerId === peerId && isOlder) room.tracks.delete(track.trackId);
    }
  }
  // Whose client has moved says so by naming none.
  if (previous === undefined) room.previousPlacements.delete(peerId);
  else room.previousPlacements.set(peerId, previous);
  if (lacksEntry) {
    room.roster.set(peerId, { sequence, peer: { peerId, joinedAtMs, role, displayName } });
    room.joinSequence = Math.max(room.joinSequence, sequence);
  }
  const inUse = room.tokenGenerations.get(peerId) ?? 0;
  if (tokenGeneration > inUse) room.tokenGenerations.set(peerId, tokenGeneration);
  return lacksPlacement || lacksEntry;
}

/** The recovery of rooms in this process' memory. */
export class MemoryRecoveryStore implements RecoveryStore {
  readonly #rooms: MemoryRooms;

  constructor(rooms: MemoryRooms) {
    this.#rooms = rooms;
  }

  async republishPeers(
    roomId: RoomId,
    edgeId: EdgeId,
    peers: readonly HeldPeer[],
    knownEventId: EventId,
  ): Promise<RepublishedPeers> {
    const known = this.#rooms.find(roomId);
    const room = known ?? this.#rooms.anew(roomId);
    const verdicts: { peerId: PeerId; verdict: PeerVerdict }[] = [];
    let lostPeers = 0;
    for (const peer of peers) {
      const placement = room.placements.get(peer.peerId);
      const isNewer = placement !== undefined && placement.holdEpoch > peer.holdEpoch;
      const leftAtMs = placement === undefined ? room.gone.get(peer.peerId) : undefined;
      const hasLeft = leftAtMs !== undefined && leftAtMs * 1_000 >= peer.holdEpoch;
      if (hasLeft) verdicts.push({ peerId: peer.peerId, verdict: 'gone' });
      else if (isNewer) {
        if (placement.edgeId !== edgeId) verdicts.push({ peerId: peer.peerId, verdict: 'moved' });
      } else if (restore(room, edgeId, peer)) lostPeers += 1;
    }
    const hasLostEvents = known !== undefined && room.hasLost(knownEventId);
    const nowMs = this.#rooms.wallMs();
    if (room.placements.size > 0) {
      if (lostPeers > 0 || hasLostEvents) room.beginRebuild(knownEventId, nowMs, this.#rooms.monotonicMs());
      this.#rooms.keep(roomId, room);
    }
    const named = new Set(peers.map(({ peerId }) => peerId));
    return Promise.resolve({
      lastEventId: room.lastEventId,
      isRebuilding: this.#rooms.isRebuilding(room),
      lostPeers,
      hasLostEvents,
      peerCount: room.roster.size,
      entries: entriesDigestOf(room.entries.values()),
      verdicts,
      unlisted: [...room.placements.values()].filter(
        (placement) => placement.edgeId === edgeId && !named.has(placement.peerId),
      ),
    });
  }

  async republishTracks(
    roomId: RoomId,
    homeNodeId: MediaNodeId,
    tracks: readonly StoredTrack[],
  ): Promise<RepublishedTracks> {
    const room = this.#rooms.find(roomId) ?? new MemoryRoom();
    const verdicts: { trackId: TrackId; verdict: TrackVerdict }[] = [];
    const events: LoggedEvent[] = [];
    const nowMs = this.#rooms.wallMs();
    let lostTracks = 0;
    for (const track of tracks) {
      const { trackId, paused } = track;
      const placement = room.placements.get(track.peerId);
      const stored = room.tracks.get(trackId);
      const isPrevious = room.previousPlacements.get(track.peerId)?.epoch === track.epoch;
      if (placement === undefined) verdicts.push({ trackId, verdict: 'unplaced' });
      else if (placement.epoch > track.epoch && !isPrevious) verdicts.push({ trackId, verdict: 'stale' });
      else if (stored === undefined && room.gone.has(trackId)) verdicts.push({ trackId, verdict: 'ended' });
      else if (stored === undefined) {
        room.tracks.set(trackId, withoutForeignReplaces(room, track));
        lostTracks += 1;
      } else if (stored.paused !== paused) {
        room.tracks.set(trackId, withoutForeignReplaces(room, track));
        events.push(room.append({ type: 'track.changed', trackId, paused }, nowMs));
      }
    }
    if (lostTracks > 0) room.beginRebuild(START, nowMs, this.#rooms.monotonicMs());
    const named = new Set(tracks.map(({ trackId }) => trackId));
    const unlisted = [...room.tracks.values()]
      .filter((track) => track.homeNodeId === homeNodeId && !named.has(track.trackId))
      .map(({ trackId }) => trackId);
    return Promise.resolve({ lostTracks, events, verdicts, unlisted });
  }

  async standing(roomId: RoomId): Promise<RoomStanding> {
    const room = this.#rooms.find(roomId);
    if (room === undefined) return 'absent';
    return Promise.resolve(this.#rooms.isRebuilding(room) ? 'rebuilding' : 'whole');
  }
}
