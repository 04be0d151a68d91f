import {
  EVENT_ID,
  compareEventIds,
  type ChatMessage,
  type EventId,
  type HeardEvent,
  type PeerId,
  type RoomSnapshot,
  type RoomTrack,
  type RosterPeer,
  type TrackId,
} from '@plenary/cluster/protocol';
import { changeEntries, entriesOf, withoutEntriesOf, type KnownEntries } from './known-entries.ts';

/** Most chat messages that the client keeps; older ones are dropped. */
export const MAX_CHAT_KEPT = 500;
/** Most departed peers that are remembered, so that a roster page that is in flight does not bring them back. */
const MAX_DEPARTED_KEPT = 500;

/** The client's copy of a room, up to and including `lastEventId`. */
export interface RoomState {
  readonly lastEventId: EventId;
  /** Number of peers in the room, including those that no loaded roster page lists. */
  readonly peerCount: number;
  readonly peers: ReadonlyMap<PeerId, RosterPeer>;
  /** The cursor of the next roster page; absent when `peers` is complete. */
  readonly nextCursor: string | undefined;
  readonly tracks: ReadonlyMap<TrackId, RoomTrack>;
  readonly chat: readonly ChatMessage[];
  /** Entries of features, of known and unknown kinds. */
  readonly entries: KnownEntries;
  readonly departed: ReadonlySet<PeerId>;
}

export const EMPTY_ROOM: RoomState = {
  lastEventId: EVENT_ID.parse('0-0'),
  peerCount: 0,
  peers: new Map(),
  nextCursor: undefined,
  tracks: new Map(),
  chat: [],
  entries: new Map(),
  departed: new Set(),
};

/**
 * Builds the room from a snapshot. Two things of the previous state are kept, because a snapshot does not contain all of them: chat
 * messages, of which it holds only the last ones, or fewer after a loss; and publishers and entry owners that its first roster page does
 * not list.
 */
export function roomFromSnapshot(snapshot: RoomSnapshot, before: RoomState = EMPTY_ROOM): RoomState {
  const peers = new Map(snapshot.peers.map((peer) => [peer.peerId, peer]));
  for (const { peerId } of snapshot.nextCursor === undefined
    ? []
    : [...snapshot.tracks, ...snapshot.entries]) {
    const known = peerId === undefined ? undefined : before.peers.get(peerId);
    if (known !== undefined && !peers.has(known.peerId)) peers.set(known.peerId, known);
  }
  return {
    lastEventId: snapshot.lastEventId,
    peerCount: snapshot.peerCount,
    peers,
    nextCursor: snapshot.nextCursor,
    tracks: new Map(snapshot.tracks.map((track) => [track.trackId, track])),
    chat: mergeChat(before.chat, snapshot.chat),
    entries: entriesOf(snapshot.entries),
    departed: new Set(),
  };
}

function mergeChat(before: readonly ChatMessage[], now: readonly ChatMessage[]): readonly ChatMessage[] {
  const known = new Set(before.map(({ messageId }) => messageId));
  const merged = [...before, ...now.filter(({ messageId }) => !known.has(messageId))];
  return merged.sort((left, right) => left.sentAtMs - right.sentAtMs).slice(-MAX_CHAT_KEPT);
}

/** The room after one event. The caller ensures that the event is the next one (`room-replica.ts`). */
export function applyEvent(room: RoomState, logged: HeardEvent): RoomState {
  return { ...applyChange(room, logged.event), lastEventId: logged.id };
}

/** Adds a roster page. It does not overwrite peers that joined or left after it was written. */
export function applyRosterPage(
  room: RoomState,
  page: { readonly peers: readonly RosterPeer[]; readonly nextCursor?: string | undefined },
): RoomState {
  const peers = new Map(room.peers);
  for (const peer of page.peers) {
    if (!peers.has(peer.peerId) && !room.departed.has(peer.peerId)) peers.set(peer.peerId, peer);
  }
  return { ...room, peers, nextCursor: page.nextCursor, peerCount: Math.max(room.peerCount, peers.size) };
}

/** Whether a peer may be in the room: an incomplete roster does not list everybody. */
export function mayBePresent({ peers, nextCursor, departed }: RoomState, peerId: PeerId): boolean {
  return peers.has(peerId) || (nextCursor !== undefined && !departed.has(peerId));
}

/** Whether `id` is newer than the last event of the room. */
export function isNewer(room: RoomState, id: EventId): boolean {
  return compareEventIds(id, room.lastEventId) > 0;
}

function applyChange(room: RoomState, event: HeardEvent['event']): RoomState {
  switch (event.type) {
    case 'peer.joined': {
      const { peer } = event;
      const peers = new Map(room.peers).set(peer.peerId, peer);
      // A peer that returns under the same id is present again, so that its next leave counts.
      const departed = new Set(room.departed);
      departed.delete(peer.peerId);
      const peerCount = room.peers.has(peer.peerId) ? room.peerCount : room.peerCount + 1;
      return { ...room, peers, departed, peerCount };
    }
    case 'peer.left': {
      if (room.departed.has(event.peerId)) return room;
      const peers = new Map(room.peers);
      peers.delete(event.peerId);
      const tracks = new Map([...room.tracks].filter(([, track]) => track.peerId !== event.peerId));
      const departed = new Set([...room.departed].slice(-MAX_DEPARTED_KEPT + 1)).add(event.peerId);
      const entries = withoutEntriesOf(room.entries, event.peerId);
      return {
        ...room,
        peers,
        tracks,
        entries,
        departed,
        peerCount: Math.max(room.peerCount - 1, peers.size),
      };
    }
    case 'track.published':
      return { ...room, tracks: new Map(room.tracks).set(event.track.trackId, event.track) };
    case 'track.changed': {
      const track = room.tracks.get(event.trackId);
      if (track === undefined) return room;
      return { ...room, tracks: new Map(room.tracks).set(event.trackId, { ...track, paused: event.paused }) };
    }
    case 'track.ended': {
      if (!room.tracks.has(event.trackId)) return room;
      const tracks = new Map(room.tracks);
      tracks.delete(event.trackId);
      return { ...room, tracks };
    }
    case 'chat.posted': {
      if (room.chat.some((message) => message.messageId === event.message.messageId)) return room;
      return { ...room, chat: [...room.chat, event.message].slice(-MAX_CHAT_KEPT) };
    }
    case 'entries.changed':
      return { ...room, entries: changeEntries(room.entries, event.changes) };
    case 'unknown':
      return room;
  }
}
