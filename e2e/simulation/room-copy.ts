import type { EventId, PeerId, TrackId } from '@plenary/cluster';
import { entryField } from '@plenary/cluster/protocol';
import type { EntryChange, HeardEvent, RoomEntry, RoomSnapshot, RoomTrack } from '@plenary/cluster/protocol';

/** A client's copy of its room. It applies events in the log's order, and reports a gap. */
export class RoomCopy {
  readonly peers = new Set<PeerId>();
  readonly tracks = new Map<TrackId, RoomTrack>();
  /** The live entries by field. */
  readonly entries = new Map<string, RoomEntry>();
  lastEventId: EventId;

  constructor(snapshot: RoomSnapshot) {
    this.lastEventId = snapshot.lastEventId;
    this.replace(snapshot);
  }

  replace(snapshot: RoomSnapshot): void {
    this.peers.clear();
    this.tracks.clear();
    this.entries.clear();
    this.lastEventId = snapshot.lastEventId;
    for (const { peerId } of snapshot.peers) this.peers.add(peerId);
    for (const track of snapshot.tracks) this.tracks.set(track.trackId, track);
    for (const entry of snapshot.entries) this.entries.set(entryField(entry), entry);
  }

  /** @returns whether the copy includes the event; `false` if events before it are missing */
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
        for (const [field, entry] of this.entries)
          if (entry.peerId === event.peerId) this.entries.delete(field);
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
      case 'entries.changed':
        for (const change of event.changes) this.#change(change);
        break;
      case 'chat.posted':
      case 'unknown':
        break;
    }
    return true;
  }

  #change({ value, ...entry }: EntryChange): void {
    const field = entryField(entry);
    if (value === undefined) this.entries.delete(field);
    else this.entries.set(field, { ...entry, value });
  }
}
