import { z } from 'zod';
import { EVENT_ID } from '../protocol/ids.ts';
import type { DatacenterId, EdgeId, EventId, MediaNodeId, PeerId, RoomId, TrackId } from '../protocol/ids.ts';
import type { Epoch } from '../protocol/edge-media.ts';
import { ROSTER_PAGE_SIZE, SNAPSHOT_CHAT_LENGTH } from '../protocol/room.ts';
import type { LeaveReason, LoggedEvent, Role, RosterPeer, TrackEndReason } from '../protocol/room.ts';
import type {
  CatchUp,
  ChatPost,
  Gateway,
  GatewayClaim,
  Placement,
  PlaceRequest,
  RoomStore,
  RoomView,
  StoredTrack,
} from '../room/room-store.ts';
import { chatMessageId } from '../room/room-store.ts';
import type { StoreClient } from './client.ts';
import { roomKeys } from './keys.ts';
import {
  readAttached,
  readCatchUp,
  readEvents,
  readGateway,
  readJoined,
  readPlaced,
  readPlacement,
  readPosted,
  readPublished,
  readRosterPeer,
  readTrack,
  sequenceOf,
} from './room-replies.ts';
import { guarded } from './run-script.ts';
import {
  attachPeer,
  catchUp,
  claimGateway,
  confirmToken,
  endTracks,
  joinPeer,
  placePeer,
  postChat,
  publishTrack,
  releaseGateway,
  removePeer,
  setTrackPaused,
} from './scripts.generated.ts';
import type { RunScript } from './scripts.generated.ts';

const STRINGS = z.array(z.string());
const VIEW_REPLY = z.tuple([
  z.tuple([z.null(), z.array(z.string())]),
  z.tuple([z.null(), z.record(z.string(), z.string())]),
]);
const flag = (value: boolean): '0' | '1' => (value ? '1' : '0');

/** The room store in Redis: one script for each change, all keys of a room on one hash tag. */
export class RedisRoomStore implements RoomStore {
  readonly #redis: StoreClient;
  readonly #run: RunScript;

  constructor(redis: StoreClient, run: RunScript) {
    this.#redis = redis;
    this.#run = run;
  }

  async view(roomId: RoomId): Promise<RoomView> {
    const [placements, , , tracks] = roomKeys(roomId);
    const reply = await guarded(this.#redis.multi().hvals(placements).hgetall(tracks).exec());
    const [[, placed], [, tracksById]] = VIEW_REPLY.parse(reply);
    const peersByNode = new Map<MediaNodeId, number>();
    for (const value of placed) {
      const { mediaNodeId } = readPlacement('counted', value);
      peersByNode.set(mediaNodeId, (peersByNode.get(mediaNodeId) ?? 0) + 1);
    }
    return {
      occupancy: { peerCount: placed.length, peersByNode },
      tracks: Object.entries(tracksById).map(([trackId, value]) => readTrack(trackId, value)),
    };
  }

  async placePeer(request: PlaceRequest): Promise<Placement> {
    const reply = await placePeer(this.#run, roomKeys(request.roomId), [
      request.peerId,
      request.requestId,
      request.edgeId,
      request.mediaNodeId,
      request.replacesEpoch === undefined ? '' : String(request.replacesEpoch),
      String(request.maxPeers),
    ]);
    return readPlaced(request.peerId, reply);
  }

  async placementOf(roomId: RoomId, peerId: PeerId): Promise<Placement | undefined> {
    const [placements] = roomKeys(roomId);
    const value = await guarded(this.#redis.hget(placements, peerId));
    return value === null ? undefined : readPlacement(peerId, value);
  }

  async joinPeer(
    roomId: RoomId,
    peer: { readonly peerId: PeerId; readonly displayName: string; readonly role: Role },
    epoch: Epoch,
  ): ReturnType<RoomStore['joinPeer']> {
    const reply = await joinPeer(this.#run, roomKeys(roomId), [
      peer.peerId,
      String(epoch),
      peer.displayName,
      peer.role,
      String(ROSTER_PAGE_SIZE),
    ]);
    return readJoined(peer.peerId, reply);
  }

  async attachPeer(
    roomId: RoomId,
    peerId: PeerId,
    epoch: Epoch,
    edgeId: EdgeId,
    tokenGeneration?: number,
  ): Promise<RosterPeer> {
    const generation = tokenGeneration === undefined ? '' : String(tokenGeneration);
    const args = [peerId, String(epoch), edgeId, generation] as const;
    return readAttached(peerId, await attachPeer(this.#run, roomKeys(roomId), args));
  }

  async confirmToken(roomId: RoomId, peerId: PeerId, tokenGeneration: number): Promise<void> {
    await confirmToken(this.#run, roomKeys(roomId), [peerId, String(tokenGeneration)]);
  }

  async removePeer(
    roomId: RoomId,
    peerId: PeerId,
    epoch: Epoch,
    reason: LeaveReason,
    heldBy?: EdgeId,
  ): Promise<LoggedEvent[]> {
    const change = [peerId, String(epoch), reason, heldBy ?? ''] as const;
    return readEvents(await removePeer(this.#run, roomKeys(roomId), change));
  }

  async publishTrack(roomId: RoomId, track: StoredTrack): Promise<LoggedEvent[]> {
    const reply = await publishTrack(this.#run, roomKeys(roomId), [
      track.trackId,
      String(track.epoch),
      track.homeNodeId,
      track.peerId,
      track.kind,
      track.source,
      flag(track.paused),
    ]);
    return readPublished(reply);
  }

  async setTrackPaused(roomId: RoomId, trackId: TrackId, paused: boolean): Promise<LoggedEvent[]> {
    return readEvents(await setTrackPaused(this.#run, roomKeys(roomId), [trackId, flag(paused)]));
  }

  async endTracks(
    roomId: RoomId,
    trackIds: readonly TrackId[],
    reason: TrackEndReason,
  ): Promise<LoggedEvent[]> {
    return readEvents(await endTracks(this.#run, roomKeys(roomId), [reason, trackIds.join(',')]));
  }

  async tracks(roomId: RoomId, trackIds: readonly TrackId[]): Promise<readonly StoredTrack[]> {
    if (trackIds.length === 0) return [];
    const [, , , tracks] = roomKeys(roomId);
    const values = await guarded(this.#redis.hmget(tracks, ...trackIds));
    return trackIds.flatMap((trackId, index) => {
      const value = values[index];
      return value === null || value === undefined ? [] : [readTrack(trackId, value)];
    });
  }

  async postChat(post: ChatPost): ReturnType<RoomStore['postChat']> {
    const reply = await postChat(this.#run, roomKeys(post.roomId), [
      chatMessageId(post),
      post.peerId,
      post.text,
      String(SNAPSHOT_CHAT_LENGTH),
    ]);
    return readPosted(reply);
  }

  async rosterPage(roomId: RoomId, cursor: string): ReturnType<RoomStore['rosterPage']> {
    const [, roster, rosterOrder] = roomKeys(roomId);
    const after = /^\d+$/.test(cursor) ? `(${cursor}` : '-inf';
    const found = await guarded(
      this.#redis.zrangebyscore(rosterOrder, after, '+inf', 'LIMIT', 0, ROSTER_PAGE_SIZE + 1),
    );
    const peerIds = STRINGS.parse(found);
    const values = peerIds.length === 0 ? [] : await guarded(this.#redis.hmget(roster, ...peerIds));
    const entries = peerIds.flatMap((peerId, index): [string, string][] => {
      const value = values[index];
      return value === null || value === undefined ? [] : [[peerId, value]];
    });
    const page = entries.slice(0, ROSTER_PAGE_SIZE);
    const last = page.at(-1);
    return {
      peers: page.map(([peerId, value]) => readRosterPeer(peerId, value)),
      ...(last !== undefined && peerIds.length > ROSTER_PAGE_SIZE ? { nextCursor: sequenceOf(last[1]) } : {}),
    };
  }

  async catchUp(roomId: RoomId, afterEventId: EventId): Promise<CatchUp> {
    return readCatchUp(await catchUp(this.#run, roomKeys(roomId), [afterEventId, String(ROSTER_PAGE_SIZE)]));
  }

  async lastEventId(roomId: RoomId): Promise<EventId> {
    const [, , , , , , meta] = roomKeys(roomId);
    return EVENT_ID.parse((await guarded(this.#redis.hget(meta, 'lastEventId'))) ?? '0-0');
  }

  async claimGateway(claim: GatewayClaim): Promise<Gateway> {
    const { roomId, datacenter, homeNodeId, mediaNodeId, replacesEpoch } = claim;
    const replaces = replacesEpoch === undefined ? '' : String(replacesEpoch);
    return readGateway(
      await claimGateway(this.#run, roomKeys(roomId), [datacenter, homeNodeId, mediaNodeId, replaces]),
    );
  }

  async releaseGateway(
    roomId: RoomId,
    datacenter: DatacenterId,
    homeNodeId: MediaNodeId,
    epoch: Epoch,
  ): Promise<void> {
    await releaseGateway(this.#run, roomKeys(roomId), [datacenter, homeNodeId, String(epoch)]);
  }

  async placements(roomId: RoomId): Promise<readonly Placement[]> {
    const [placements] = roomKeys(roomId);
    const all = await guarded(this.#redis.hgetall(placements));
    return Object.entries(all).map(([peerId, value]) => readPlacement(peerId, value));
  }
}
