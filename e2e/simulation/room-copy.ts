import type { EventId, PeerId, TrackId } from '@plenary/cluster';
import type { HeardEvent, RoomSnapshot, RoomTrack } from '@plenary/cluster/protocol';

/** A client's copy of its room, kept up by the log's rule: what follows is applied, what is missing is asked for. */
export class RoomCopy {
  readonly peers = new Set<PeerId>();
  readonly tracks = new Map<TrackId, RoomTrack>();
  lastEventId: EventId;

  constructor(snapshot: RoomSnapshot) {
    this.lastEventId = snapshot.lastEventId;
    this.replace(snapshot);
  }

  replace(snapshot: RoomSnapshot): void {
    this.peers.clear();
    this.tracks.clear();
    this.lastEventId = snapshot.lastEventId;
    for (const { peerId } of snapshot.peers) this.peers.add(peerId);
    for (const track of snapshot.tracks) this.tracks.set(track.trackId, track);
  }

  /** @returns whether the event is known now; `false` when events before it are missing */
  apply({ id, previousId, event }: HeardEvent, isBehind: (id: EventId) => boolean): boolean {
    if (!isBehind(id)) return true;
    if (previousId !== this.lastEventId) return false;
    this.lastEventId = id;
    switch (event.type) {
      case 'peer.joined':
        this.peers.add(event.peer.peerId);
        break;
      case 'peer.left':
        this.peers.delete(event.peerId);
        break;
      case 'track.published':
        this.tracks.set(event.track.trackId, event.track);
        break;
      case 'track.changed': {
        const track = this.tracks.get(event.trackId);
        if (track !== undefined) this.tracks.set(event.trackId, { ...track, paused: event.paused });
        break;
      }
      case 'track.ended':
        this.tracks.delete(event.trackId);
        break;
      case 'chat.posted':
      case 'unknown':
        break;
    }
    return true;
  }
}
