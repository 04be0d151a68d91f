import { compareEventIds, EVENT_ID } from '@plenary/cluster/ids';
import type { EventId, MediaNodeId, PeerId, RoomId } from '@plenary/cluster/ids';
import type { PlacedPeer } from '@plenary/cluster';
import type { CarriedEvent } from '@plenary/cluster/protocol';
import { EntryProjection } from '../entries/entry-projection.ts';
import type { Session, MediaSession } from '../entry/session.ts';
import { TrackCache } from './track-cache.ts';

/** One media session of a session. */
export interface HostedMedia {
  readonly session: Session;
  readonly media: MediaSession;
}

interface LocalRoom {
  readonly sessions: Set<Session>;
  readonly tracks: TrackCache;
  readonly entries: EntryProjection;
  newestEventId: EventId;
  /** The number of people in the whole room, as last reported by the store. */
  people: number;
}

const START = EVENT_ID.parse('0-0');

/** The sessions that this edge serves, by peer and by room. */
export class LocalRooms {
  readonly #byPeer = new Map<PeerId, Session>();
  readonly #rooms = new Map<RoomId, LocalRoom>();

  add(session: Session): void {
    const room = this.#rooms.get(session.roomId) ?? {
      sessions: new Set<Session>(),
      tracks: new TrackCache(),
      entries: new EntryProjection(),
      newestEventId: START,
      people: 0,
    };
    room.sessions.add(session);
    this.#rooms.set(session.roomId, room);
    this.#byPeer.set(session.peerId, session);
  }

  remove(session: Session): void {
    if (this.#byPeer.get(session.peerId) === session) this.#byPeer.delete(session.peerId);
    const room = this.#rooms.get(session.roomId);
    room?.sessions.delete(session);
    if (room?.sessions.size === 0) this.#rooms.delete(session.roomId);
  }

  find(peerId: PeerId): Session | undefined {
    return this.#byPeer.get(peerId);
  }

  /** Whether a session of exactly this placement is served. */
  serves({ peerId, roomId, epoch }: PlacedPeer): boolean {
    const session = this.#byPeer.get(peerId);
    return session?.roomId === roomId && session.media.epoch === epoch;
  }

  /** Whether this session object is still served: a session may end while one of its requests is under way. */
  holds(session: Session): boolean {
    return this.#byPeer.get(session.peerId) === session;
  }

  get sessionCount(): number {
    return this.#byPeer.size;
  }

  sessions(): Session[] {
    return [...this.#byPeer.values()];
  }

  /** The media sessions on a media node; a session that moves has two, which both count. */
  mediaOn(mediaNodeId: MediaNodeId): HostedMedia[] {
    return this.sessions().flatMap((session) =>
      session.allMedia
        .filter((media) => media.mediaNodeId === mediaNodeId)
        .map((media) => ({ session, media })),
    );
  }

  roomIds(): RoomId[] {
    return [...this.#rooms.keys()];
  }

  sessionsIn(roomId: RoomId): Session[] {
    return [...(this.#rooms.get(roomId)?.sessions ?? [])];
  }

  /** The newest event of a room that this edge knows; `0-0` for a room without sessions. */
  newestEventId(roomId: RoomId): EventId {
    return this.#rooms.get(roomId)?.newestEventId ?? START;
  }

  /** Notes an event that this edge publishes: an ended track is not requested any more. */
  note(roomId: RoomId, { id, event }: CarriedEvent): void {
    this.noteEvent(roomId, id);
    this.hear(roomId, event);
    if (event.type === 'track.ended') this.#rooms.get(roomId)?.tracks.forget([event.trackId]);
  }

  /** Notes an event that another edge published. */
  hear(roomId: RoomId, event: CarriedEvent['event']): void {
    this.#rooms.get(roomId)?.entries.note(event);
  }

  /** Notes the id of an event that is in the store. */
  noteEvent(roomId: RoomId, eventId: EventId): void {
    const room = this.#rooms.get(roomId);
    if (room !== undefined && compareEventIds(eventId, room.newestEventId) > 0) room.newestEventId = eventId;
  }

  /** The number of people in a room, on all edges, as far as this edge knows. */
  peopleIn(roomId: RoomId): number {
    const room = this.#rooms.get(roomId);
    return Math.max(room?.people ?? 0, room?.sessions.size ?? 0);
  }

  /** Notes the number of people in a room, as the store reported it. */
  notePeople(roomId: RoomId, people: number): void {
    const room = this.#rooms.get(roomId);
    if (room !== undefined) room.people = people;
  }

  /** The entries of a room as this edge knows them; those of a room without sessions are forgotten at once. */
  entriesOf(roomId: RoomId): EntryProjection {
    return this.#rooms.get(roomId)?.entries ?? new EntryProjection();
  }

  /** The track cache of a room; that of a room without sessions is forgotten at once. */
  tracksOf(roomId: RoomId): TrackCache {
    return this.#rooms.get(roomId)?.tracks ?? new TrackCache();
  }
}
