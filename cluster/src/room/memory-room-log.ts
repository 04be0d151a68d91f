import { FAREWELL_KEPT_MS, MAX_CATCH_UP_BYTES } from '../limits/store-limits.ts';
import { PlenaryError } from '../errors.ts';
import type { Epoch } from '../protocol/edge-media.ts';
import { compareEventIds } from '../protocol/ids.ts';
import type { EventId, PeerId, RoomId, TrackId } from '../protocol/ids.ts';
import type { LeaveReason, LoggedEvent, Role, RoomSnapshot, TrackEndReason } from '../protocol/room.ts';
import { MemoryRoom, START, jsonBytes, toRoomTrack } from './memory-room.ts';
import type { MemoryRooms } from './memory-rooms.ts';
import { chatMessageId, sequenceOfCursor } from './room-log.ts';
import type { ChatPost, RoomLog, StoredTrack } from './room-log.ts';

/** The room log in this process' memory. */
export class MemoryRoomLog implements RoomLog {
  readonly #rooms: MemoryRooms;

  constructor(rooms: MemoryRooms) {
    this.#rooms = rooms;
  }

  async joinPeer(
    roomId: RoomId,
    peer: { readonly peerId: PeerId; readonly displayName: string; readonly role: Role },
    epoch: Epoch,
  ): ReturnType<RoomLog['joinPeer']> {
    const { room } = this.#rooms.placed(roomId, peer.peerId, (live) => live === epoch);
    if (this.#rooms.isRebuilding(room)) throw new PlenaryError('store_unavailable');
    const nowMs = this.#rooms.wallMs();
    const events: LoggedEvent[] = [];
    let entry = room.roster.get(peer.peerId);
    if (entry === undefined) {
      room.joinSequence += 1;
      entry = { sequence: room.joinSequence, peer: { ...peer, joinedAtMs: nowMs } };
      room.roster.set(peer.peerId, entry);
      events.push(room.append({ type: 'peer.joined', peer: entry.peer }, nowMs));
    }
    const tokenGeneration = room.tokenGenerations.get(peer.peerId) ?? 0;
    const { peer: self, sequence } = entry;
    return Promise.resolve({ self, sequence, events, snapshot: room.snapshot(), tokenGeneration });
  }

  async removePeer(
    roomId: RoomId,
    peerId: PeerId,
    epoch: Epoch,
    reason: LeaveReason,
    heldUnder?: Epoch,
  ): Promise<LoggedEvent[]> {
    const room = this.#rooms.find(roomId);
    if (room === undefined) return [];
    const placement = room.placements.get(peerId);
    if (placement !== undefined && placement.epoch > epoch) return [];
    if (placement !== undefined && heldUnder !== undefined && placement.holdEpoch > heldUnder) return [];
    const nowMs = this.#rooms.wallMs();
    const own = [...room.tracks.values()].filter((track) => track.peerId === peerId);
    const events = own.map(({ trackId }) => {
      room.tracks.delete(trackId);
      room.noteGone(trackId, nowMs);
      return room.append({ type: 'track.ended', trackId, peerId, reason: 'peer_left' }, nowMs);
    });
    room.placements.delete(peerId);
    room.previousPlacements.delete(peerId);
    room.tokenGenerations.delete(peerId);
    room.subjects.delete(peerId);
    room.removeEntriesOf(peerId);
    if (room.roster.delete(peerId)) {
      room.noteGone(peerId, nowMs);
      events.push(room.append({ type: 'peer.left', peerId, reason }, nowMs));
    }
    if (room.placements.size === 0) {
      const isOwnEnd = reason === 'left' || reason === 'connection_lost';
      this.#rooms.remove(roomId, isOwnEnd ? 0 : FAREWELL_KEPT_MS);
    }
    return Promise.resolve(events);
  }

  async publishTrack(roomId: RoomId, track: StoredTrack): Promise<LoggedEvent[]> {
    const previous = this.#rooms.find(roomId)?.previousPlacements.get(track.peerId);
    const isPublisher = (live: Epoch): boolean => live <= track.epoch || previous?.epoch === track.epoch;
    const { room } = this.#rooms.placed(roomId, track.peerId, isPublisher);
    const before = room.tracks.get(track.trackId);
    const { replaces, ...alone } = track;
    const replaced = replaces === undefined ? undefined : room.tracks.get(replaces);
    const takesPlace = replaced?.peerId === track.peerId && replaced.source === track.source;
    const kept = takesPlace ? track : alone;
    room.tracks.set(track.trackId, kept);
    const nowMs = this.#rooms.wallMs();
    if (before === undefined) {
      return Promise.resolve([room.append({ type: 'track.published', track: toRoomTrack(kept) }, nowMs)]);
    }
    if (before.paused === track.paused) return [];
    return [room.append({ type: 'track.changed', trackId: track.trackId, paused: track.paused }, nowMs)];
  }

  async setTrackPaused(roomId: RoomId, trackId: TrackId, paused: boolean): Promise<LoggedEvent[]> {
    const room = this.#rooms.find(roomId);
    const track = room?.tracks.get(trackId);
    if (room === undefined || track === undefined || track.paused === paused) return [];
    room.tracks.set(trackId, { ...track, paused });
    return Promise.resolve([room.append({ type: 'track.changed', trackId, paused }, this.#rooms.wallMs())]);
  }

  async endTracks(
    roomId: RoomId,
    trackIds: readonly TrackId[],
    reason: TrackEndReason,
  ): Promise<LoggedEvent[]> {
    const room = this.#rooms.find(roomId);
    if (room === undefined) return [];
    const events: LoggedEvent[] = [];
    for (const trackId of trackIds) {
      const track = room.tracks.get(trackId);
      if (track === undefined) continue;
      room.tracks.delete(trackId);
      const { peerId } = track;
      const nowMs = this.#rooms.wallMs();
      room.noteGone(trackId, nowMs);
      events.push(room.append({ type: 'track.ended', trackId, peerId, reason }, nowMs));
    }
    return Promise.resolve(events);
  }

  async tracks(roomId: RoomId, trackIds: readonly TrackId[]): Promise<readonly StoredTrack[]> {
    const room = this.#rooms.find(roomId);
    return Promise.resolve(
      trackIds.flatMap((trackId) => {
        const track = room?.tracks.get(trackId);
        return track === undefined ? [] : [track];
      }),
    );
  }

  async postChat(post: ChatPost): ReturnType<RoomLog['postChat']> {
    const room = this.#rooms.find(post.roomId);
    const messageId = chatMessageId(post);
    const posted = room?.chat.find((message) => message.messageId === messageId);
    if (posted !== undefined) return { message: posted, events: [] };
    const peer = room?.roster.get(post.peerId)?.peer;
    if (room === undefined || peer === undefined) throw new PlenaryError('peer_not_found');
    const nowMs = this.#rooms.wallMs();
    const { peerId, text } = post;
    const message = { messageId, peerId, displayName: peer.displayName, text, sentAtMs: nowMs };
    room.keep(message);
    return Promise.resolve({ message, events: [room.append({ type: 'chat.posted', message }, nowMs)] });
  }

  async rosterPage(roomId: RoomId, cursor: string): ReturnType<RoomLog['rosterPage']> {
    const after = sequenceOfCursor(cursor);
    return Promise.resolve(this.#rooms.find(roomId)?.page(after) ?? { peers: [] });
  }

  async eventsAfter(roomId: RoomId, afterEventId: EventId): Promise<LoggedEvent[] | undefined> {
    const room = this.#rooms.find(roomId) ?? new MemoryRoom();
    if (room.lastEventId === afterEventId) return [];
    const events = room.log.filter((logged) => compareEventIds(logged.id, afterEventId) > 0);
    const bytes = events.reduce((sum, { event }) => sum + jsonBytes(event), 0);
    const isWhole = events.every(
      (event, index) => event.previousId === (events[index - 1]?.id ?? afterEventId),
    );
    return Promise.resolve(events.length > 0 && isWhole && bytes <= MAX_CATCH_UP_BYTES ? events : undefined);
  }

  async snapshot(roomId: RoomId): Promise<RoomSnapshot | undefined> {
    const room = this.#rooms.find(roomId) ?? new MemoryRoom();
    return Promise.resolve(this.#rooms.isRebuilding(room) ? undefined : room.snapshot());
  }

  async lastEventId(roomId: RoomId): Promise<EventId> {
    return Promise.resolve(this.#rooms.find(roomId)?.lastEventId ?? START);
  }
}
