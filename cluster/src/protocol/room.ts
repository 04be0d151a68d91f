/** The state and the events of a room, in the form that the store keeps and clients see. */
import { SNAPSHOT_CHAT_LENGTH } from '../limits/store-limits.ts';
import { z } from 'zod';
import { EVENT_ID, PEER_ID, TRACK_ID } from './ids.ts';
import { LATER_EVENT, laterEventBeside, openTo } from './later.ts';
import { MEDIA_KIND, TRACK_SOURCE } from './media.ts';
import { ENTRY_CHANGE, MAX_EVENT_ENTRIES, ROOM_ENTRY } from './room-entry.ts';
import { CURSOR_TEXT, linesText, nameText, plainId } from './text.ts';

/** Longest display name, in code points. */
export const MAX_DISPLAY_NAME_LENGTH = 64;
/** Longest chat message, in code points. */
export const MAX_CHAT_TEXT_LENGTH = 4_000;
/** The largest number of people on one roster page. */
export const ROSTER_PAGE_SIZE = 100;
/** A time in milliseconds since the epoch, at most the last one that a `Date` can represent, so that readers can show it. */
const WALL_TIME_MS = z.int().min(0).max(8_640_000_000_000_000);

export const DISPLAY_NAME = nameText(MAX_DISPLAY_NAME_LENGTH);

export const CHAT_TEXT = linesText(MAX_CHAT_TEXT_LENGTH);

/** A role decides what a peer may do; the token grants it. */
export const ROLE = z.enum(['host', 'moderator', 'speaker', 'viewer']);
export type Role = z.infer<typeof ROLE>;

/** One person in the room, as others see them. */
export const ROSTER_PEER = z.object({
  peerId: PEER_ID,
  displayName: DISPLAY_NAME,
  role: ROLE,
  /** Redis TIME at the join, in milliseconds since the epoch. */
  joinedAtMs: WALL_TIME_MS,
});
export type RosterPeer = z.infer<typeof ROSTER_PEER>;

/** One published track, as others see it. */
export const ROOM_TRACK = z.object({
  trackId: TRACK_ID,
  peerId: PEER_ID,
  kind: MEDIA_KIND,
  source: TRACK_SOURCE,
  /** Whether the publisher muted the track: then nothing is forwarded. */
  paused: z.boolean(),
  /**
   * An earlier track of the same peer and source: it continues until this one plays, then ends. This one takes its
   * place in the layout.
   */
  replaces: TRACK_ID.optional(),
});
export type RoomTrack = z.infer<typeof ROOM_TRACK>;

export const CHAT_MESSAGE = z.object({
  messageId: plainId(64),
  peerId: PEER_ID,
  displayName: DISPLAY_NAME,
  text: CHAT_TEXT,
  sentAtMs: WALL_TIME_MS,
});
export type ChatMessage = z.infer<typeof CHAT_MESSAGE>;

/** Why a peer is no longer in the room. */
export const LEAVE_REASON = z.enum(['left', 'connection_lost', 'kicked', 'node_lost', 'room_closed']);
export type LeaveReason = z.infer<typeof LEAVE_REASON>;

/** Why a track ended. */
export const TRACK_END_REASON = z.enum([
  'unpublished',
  'peer_left',
  'transport_closed',
  'worker_died',
  'node_lost',
  'over_limit',
]);
export type TrackEndReason = z.infer<typeof TRACK_END_REASON>;

const PEER_LEFT = z.object({ type: z.literal('peer.left'), peerId: PEER_ID, reason: LEAVE_REASON });
const TRACK_ENDED = z.object({
  type: z.literal('track.ended'),
  trackId: TRACK_ID,
  peerId: PEER_ID,
  reason: TRACK_END_REASON,
});

/** One change of a room, as edges and the store see it. */
export const ROOM_EVENT = z.discriminatedUnion('type', [
  z.object({ type: z.literal('peer.joined'), peer: ROSTER_PEER }),
  PEER_LEFT,
  z.object({ type: z.literal('track.published'), track: ROOM_TRACK }),
  z.object({ type: z.literal('track.changed'), trackId: TRACK_ID, paused: z.boolean() }),
  TRACK_ENDED,
  z.object({ type: z.literal('chat.posted'), message: CHAT_MESSAGE }),
  z.object({
    type: z.literal('entries.changed'),
    changes: z.array(ENTRY_CHANGE).min(1).max(MAX_EVENT_ENTRIES),
  }),
]);
export type RoomEvent = z.infer<typeof ROOM_EVENT>;

/** An event with its position in the room's order (SPEC LG1): `previousId` is the id of the event before it. */
export const LOGGED_EVENT = z.object({ id: EVENT_ID, previousId: EVENT_ID, event: ROOM_EVENT });
export type LoggedEvent = z.infer<typeof LOGGED_EVENT>;

const KNOWN_TYPES: ReadonlySet<string> = new Set(ROOM_EVENT.options.map(({ shape }) => shape.type.value));

/** An event as edges forward it, including events of a later release, which they cannot read (SPEC PR18). */
export const CARRIED_EVENT = LOGGED_EVENT.extend({
  event: z.union([ROOM_EVENT, laterEventBeside(KNOWN_TYPES)]),
});
export type CarriedEvent = z.infer<typeof CARRIED_EVENT>;

const NODE_TELLS: ReadonlySet<RoomEvent['type']> = new Set([
  'peer.left',
  'track.published',
  'track.changed',
  'track.ended',
]);

/**
 * An event that a media node may report: departures, and changes of tracks. A media node cannot add a peer or a chat
 * message (SPEC CL34).
 */
export const LOGGED_NODE_EVENT = LOGGED_EVENT.refine(
  ({ event }) => NODE_TELLS.has(event.type),
  'must be an event that a media node makes',
);

/** An event as a client reads it; its edge may run a later release. */
export const HEARD_EVENT = LOGGED_EVENT.extend({
  event: z.union([
    ROOM_EVENT,
    PEER_LEFT.extend({ reason: openTo(LEAVE_REASON, 'left') }),
    TRACK_ENDED.extend({ reason: openTo(TRACK_END_REASON, 'unpublished') }),
    LATER_EVENT,
  ]),
});
export type HeardEvent = z.infer<typeof HEARD_EVENT>;

/** The room at one moment: it contains everything up to and including `lastEventId`. */
export const ROOM_SNAPSHOT = z.object({
  lastEventId: EVENT_ID,
  /** The number of all peers in the room, even if `peers` lists fewer. */
  peerCount: z.int().min(0),
  /** The first page of the roster, in the order of joins. */
  peers: z.array(ROSTER_PEER).max(ROSTER_PAGE_SIZE),
  /** Where the next page starts; absent if `peers` is complete. */
  nextCursor: CURSOR_TEXT.optional(),
  tracks: z.array(ROOM_TRACK),
  chat: z.array(CHAT_MESSAGE).max(SNAPSHOT_CHAT_LENGTH),
  /** Entries of all kinds; an edge of an earlier release omits them. */
  entries: z.array(ROOM_ENTRY).default([]),
});
export type RoomSnapshot = z.infer<typeof ROOM_SNAPSHOT>;
