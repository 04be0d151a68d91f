import { z } from 'zod';
import type { Epoch } from '../protocol/edge-media.ts';
import { EVENT_ID } from '../protocol/ids.ts';
import type { EventId, PeerId, RoomId, TrackId } from '../protocol/ids.ts';
import { ROSTER_PAGE_SIZE } from '../protocol/room.ts';
import type {
  CarriedEvent,
  LeaveReason,
  LoggedEvent,
  Role,
  RoomSnapshot,
  TrackEndReason,
} from '../protocol/room.ts';
import { OPAQUE_TEXT } from '../protocol/text.ts';
import { chatMessageId, sequenceOfCursor } from '../room/room-log.ts';
import type { ChatPost, RoomLog, StoredTrack } from '../room/room-log.ts';
import { readable } from './malformed.ts';
import type { RedisRooms } from './redis-rooms.ts';
import {
  pairs,
  readEvents,
  readEventsAfter,
  readJoined,
  readPage,
  readPosted,
  readPublished,
  readRoomReply,
  readTracks,
} from './room-replies.ts';
import {
  endTracks,
  eventsAfter,
  joinPeer,
  postChat,
  publishTrack,
  readRoom,
  removePeer,
  setTrackPaused,
} from './scripts.generated.ts';

const STRINGS = z.array(OPAQUE_TEXT);
const START = EVENT_ID.parse('0-0');
const flag = (value: boolean): '0' | '1' => (value ? '1' : '0');

/** The room log in Redis. */
export class RedisRoomLog implements RoomLog {
  readonly #rooms: RedisRooms;

  constructor(rooms: RedisRooms) {
    this.#rooms = rooms;
  }

  async joinPeer(
    roomId: RoomId,
    peer: { readonly peerId: PeerId; readonly displayName: string; readonly role: Role },
    epoch: Epoch,
  ): ReturnType<RoomLog['joinPeer']> {
    const reply = await joinPeer(...this.#rooms.script(roomId), {
      peerId: peer.peerId,
      epoch: String(epoch),
      displayName: peer.displayName,
      role: peer.role,
      pageSize: String(ROSTER_PAGE_SIZE),
    });
    return readJoined(peer.peerId, reply, this.#rooms.report);
  }

  async removePeer(
    roomId: RoomId,
    peerId: PeerId,
    epoch: Epoch,
    reason: LeaveReason,
    knownHoldEpoch?: Epoch,
  ): Promise<LoggedEvent[]> {
    const reply = await removePeer(...this.#rooms.script(roomId), {
      peerId,
      epoch: String(epoch),
      reason,
      knownHoldEpoch: String(knownHoldEpoch ?? ''),
    });
    return readEvents(reply);
  }

  async publishTrack(roomId: RoomId, track: StoredTrack): Promise<LoggedEvent[]> {
    const reply = await publishTrack(...this.#rooms.script(roomId), {
      trackId: track.trackId,
      epoch: String(track.epoch),
      homeNodeId: track.homeNodeId,
      peerId: track.peerId,
      kind: track.kind,
      source: track.source,
      paused: flag(track.paused),
      replaces: track.replaces ?? '',
    });
    return readPublished(reply);
  }

  async setTrackPaused(roomId: RoomId, trackId: TrackId, paused: boolean): Promise<LoggedEvent[]> {
    return readEvents(await setTrackPaused(...this.#rooms.script(roomId), { trackId, paused: flag(paused) }));
  }

  async endTracks(
    roomId: RoomId,
    trackIds: readonly TrackId[],
    reason: TrackEndReason,
  ): Promise<LoggedEvent[]> {
    return readEvents(
      await endTracks(...this.#rooms.script(roomId), { reason, trackIds: trackIds.join(',') }),
    );
  }

  async tracks(roomId: RoomId, trackIds: readonly TrackId[]): Promise<readonly StoredTrack[]> {
    if (trackIds.length === 0) return [];
    const { tracks } = this.#rooms.keys(roomId);
    const values = await this.#rooms.ask(roomId, tracks, async () =>
      this.#rooms.redis.hmget(tracks, ...trackIds),
    );
    const found = trackIds.flatMap((trackId, index): [string, string][] => {
      const value = values[index];
      return value === null || value === undefined ? [] : [[trackId, value]];
    });
    return readTracks(found, this.#rooms.report);
  }

  async postChat(post: ChatPost): ReturnType<RoomLog['postChat']> {
    const reply = await postChat(...this.#rooms.script(post.roomId), {
      messageId: chatMessageId(post),
      peerId: post.peerId,
      text: post.text,
    });
    return readPosted(reply);
  }

  async rosterPage(roomId: RoomId, cursor: string): ReturnType<RoomLog['rosterPage']> {
    const { roster, rosterOrder } = this.#rooms.keys(roomId);
    const after = `(${sequenceOfCursor(cursor)}`;
    const limit = ROSTER_PAGE_SIZE + 1;
    const found = await this.#rooms.ask(roomId, rosterOrder, async () =>
      this.#rooms.redis.zrangebyscore(rosterOrder, after, '+inf', 'WITHSCORES', 'LIMIT', 0, limit),
    );
    const ordered = pairs(STRINGS.parse(found));
    const page = ordered.slice(0, ROSTER_PAGE_SIZE);
    if (page.length === 0) return { peers: [] };
    const values = await this.#rooms.ask(roomId, roster, async () =>
      this.#rooms.redis.hmget(roster, ...page.map(([peerId]) => peerId)),
    );
    // A peer that left between the two commands has no value any more.
    const entries = page.flatMap(([peerId, sequence], index) => {
      const value = values[index];
      return value === null || value === undefined ? [] : [{ peerId, sequence, value }];
    });
    return readPage(entries, ordered.length > page.length, this.#rooms.report);
  }

  async eventsAfter(roomId: RoomId, afterEventId: EventId): Promise<CarriedEvent[] | undefined> {
    const reply = await eventsAfter(...this.#rooms.script(roomId), { afterEventId });
    return readEventsAfter(afterEventId, reply, this.#rooms.report);
  }

  async snapshot(roomId: RoomId): Promise<RoomSnapshot | undefined> {
    return readRoomReply(
      await readRoom(...this.#rooms.script(roomId), { pageSize: String(ROSTER_PAGE_SIZE) }),
      this.#rooms.report,
    );
  }

  async lastEventId(roomId: RoomId): Promise<EventId> {
    const { meta } = this.#rooms.keys(roomId);
    const noted =
      (await this.#rooms.ask(roomId, meta, async () => this.#rooms.redis.hget(meta, 'lastEventId'))) ?? START;
    // An unreadable id counts as the log's beginning: the client learns nothing new from it, and the next event
    // corrects that.
    return readable(this.#rooms.report, 'meta', () => EVENT_ID.parse(noted)) ?? START;
  }
}
