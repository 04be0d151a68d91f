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

/** Chat messages that the client keeps; older ones scroll out. */
export const MAX_CHAT_KEPT = 500;
/** Peers remembered as gone, so that a roster page that was under way does not bring them back. */
const MAX_DEPARTED_KEPT = 500;

/** A room as the client knows it, up to and including `lastEventId`. */
export interface RoomState {
  readonly lastEventId: EventId;
  /** Everybody in the room, also those that no loaded roster page lists. */
  readonly peerCount: number;
  readonly peers: ReadonlyMap<PeerId, RosterPeer>;
  /** Where the next roster page starts; absent when everybody is in `peers`. */
  readonly nextCursor: string | undefined;
  readonly tracks: ReadonlyMap<TrackId, RoomTrack>;
  readonly chat: readonly ChatMessage[];
  /** What features keep of the room, of kinds known and unknown. */
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
 * The room as a snapshot shows it. Of what was known before, two things remain that a snapshot does not speak of: chat
 * messages, which it holds the last ones of, or fewer after a loss, and publishers and owners of entries whom its first page
 * of the roster does not list.
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

/** The room after one event. The caller has made sure of its place in the order (`ordered-room.ts`). */
export function applyEvent(room: RoomState, logged: HeardEvent): RoomState {
  return { ...applyChange(room, logged.event), lastEventId: logged.id };
}

/** Adds a roster page. Who joined or left since it was written is not overwritten by it. */
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

/** Whether somebody may be in the room: a roster that is not loaded to its end does not list everybody. */
export function mayBeHere({ peers, nextCursor, departed }: RoomState, peerId: PeerId): boolean {
  return peers.has(peerId) || (nextCursor !== undefined && !departed.has(peerId));
}

/** Whether `id` is newer than all that the room holds. */
export function isNews(room: RoomState, id: EventId): boolean {
  return compareEventIds(id, room.lastEventId) > 0;
}

function applyChange(room: RoomState, event: HeardEvent['event']): RoomState {
  switch (event.type) {
    case 'peer.joined': {
      const { peer } = event;
      const peers = new Map(room.peers).set(peer.peerId, peer);
      // Who comes back under the same id is here again: the next leaving counts again.
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
