import { z } from 'zod';
import { EVENT_ID } from '../protocol/ids.ts';
import type { DatacenterId, EdgeId, EventId, MediaNodeId, PeerId, RoomId, TrackId } from '../protocol/ids.ts';
import type { Epoch } from '../protocol/edge-media.ts';
import { ROSTER_PAGE_SIZE } from '../protocol/room.ts';
import type { LeaveReason, LoggedEvent, Role, RoomSnapshot, TrackEndReason } from '../protocol/room.ts';
import type {
  AttachedPeer,
  ChatPost,
  FormerPlacement,
  Gateway,
  GatewayClaim,
  HeldPeer,
  Placement,
  PlaceRequest,
  RepublishedPeers,
  RepublishedTracks,
  RoomStanding,
  RoomStore,
  RoomView,
  StoredTrack,
} from '../room/room-store.ts';
import { chatMessageId, ROOM_REBUILD_MS, sequenceOfCursor } from '../room/room-store.ts';
import type { StoreClient } from './client.ts';
import { CommandGate } from './command-gate.ts';
import type { StoreKeys } from './keys.ts';
import { readable, readableOnes } from './malformed.ts';
import type { ReportMalformed } from './malformed.ts';
import { mendingRoom } from './mend-room.ts';
import {
  heldPeerRecord,
  pairs,
  readAttached,
  readEvents,
  readEventsAfter,
  readFormer,
  readGateway,
  readJoined,
  readPage,
  readPlaced,
  readPlacement,
  readPosted,
  readPublished,
  readRepublishedPeers,
  readRepublishedTracks,
  readRoomReply,
  readStanding,
  readTracks,
  trackValue,
} from './room-replies.ts';
import { OPAQUE_TEXT } from '../protocol/text.ts';
import { guarded } from './run-script.ts';
import {
  attachPeer,
  claimGateway,
  confirmToken,
  endTracks,
  eventsAfter,
  joinPeer,
  placePeer,
  postChat,
  publishTrack,
  readRoom,
  releaseGateway,
  removePeer,
  republishPeers,
  republishTracks,
  roomStanding,
  setTrackPaused,
  settlePeer,
} from './scripts.generated.ts';
import type { RunScript } from './scripts.generated.ts';

const STRINGS = z.array(OPAQUE_TEXT);
const VIEW_REPLY = z.tuple([
  z.tuple([z.null(), z.array(OPAQUE_TEXT)]),
  z.tuple([z.null(), z.record(OPAQUE_TEXT, OPAQUE_TEXT)]),
]);
const START = EVENT_ID.parse('0-0');
/** Parts the records of one argument; no name may hold it. */
const RECORD_SEPARATOR = '\u001e';
const flag = (value: boolean): '0' | '1' => (value ? '1' : '0');

/** The room store in Redis: one script for each change, all keys of a room on one hash tag. */
export class RedisRoomStore implements RoomStore {
  readonly #redis: StoreClient;
  readonly #bare: RunScript;
  readonly #run: RunScript;
  readonly #keys: StoreKeys;
  readonly #report: ReportMalformed;
  readonly #gate: CommandGate;

  /** @param report - told of what does not parse, which is skipped (SPEC ST3) */
  constructor(
    redis: StoreClient,
    run: RunScript,
    keys: StoreKeys,
    report: ReportMalformed = () => undefined,
    gate = new CommandGate(),
  ) {
    this.#gate = gate;
    this.#redis = redis;
    this.#bare = run;
    this.#run = async (name, keys, args) => mendingRoom(run, keys, report, async () => run(name, keys, args));
    this.#keys = keys;
    this.#report = report;
  }

  async view(roomId: RoomId): Promise<RoomView> {
    const [placementsKey, , , tracks] = this.#keys.room(roomId);
    const reply = await this.#ask(roomId, placementsKey, async () => {
      const replies = await this.#redis.multi().hvals(placementsKey).hgetall(tracks).exec();
      const refused = replies?.find(([error]) => error !== null)?.[0];
      if (refused) throw refused;
      return replies;
    });
    const [[, placed], [, tracksById]] = VIEW_REPLY.parse(reply);
    const peersByNode = new Map<MediaNodeId, number>();
    const placements = this.#readPlacements(placed.map((value) => ['counted', value]));
    for (const { mediaNodeId } of placements)
      peersByNode.set(mediaNodeId, (peersByNode.get(mediaNodeId) ?? 0) + 1);
    return {
      occupancy: { peerCount: placements.length, peersByNode },
      tracks: readTracks(Object.entries(tracksById), this.#report),
    };
  }

  async placePeer(request: PlaceRequest): Promise<Placement> {
    const reply = await placePeer(this.#run, this.#keys.room(request.roomId), [
      request.peerId,
      request.requestId,
      request.edgeId,
      request.mediaNodeId,
      request.replacesEpoch === undefined ? '' : String(request.replacesEpoch),
      String(request.maxPeers),
      request.keepsEpoch === undefined ? '' : String(request.keepsEpoch),
      request.heldUnder === undefined ? '' : String(request.heldUnder),
      request.subject?.digest ?? '',
      String(request.subject?.maxPeers ?? ''),
    ]);
    return readPlaced(request.peerId, reply);
  }

  async placementOf(roomId: RoomId, peerId: PeerId): Promise<Placement | undefined> {
    const [placements] = this.#keys.room(roomId);
    const value = await this.#ask(roomId, placements, async () => this.#redis.hget(placements, peerId));
    return value === null ? undefined : this.#readPlacements([[peerId, value]])[0];
  }

  async formerPlacement(roomId: RoomId, peerId: PeerId): Promise<FormerPlacement | undefined> {
    const [, , , , , , meta] = this.#keys.room(roomId);
    const value = await this.#ask(roomId, meta, async () => this.#redis.hget(meta, `former|${peerId}`));
    return value === null ? undefined : readFormer(value, this.#report);
  }

  async settlePeer(roomId: RoomId, peerId: PeerId, epoch: Epoch): Promise<void> {
    await settlePeer(this.#run, this.#keys.room(roomId), [peerId, String(epoch)]);
  }

  async joinPeer(
    roomId: RoomId,
    peer: { readonly peerId: PeerId; readonly displayName: string; readonly role: Role },
    epoch: Epoch,
  ): ReturnType<RoomStore['joinPeer']> {
    const reply = await joinPeer(this.#run, this.#keys.room(roomId), [
      peer.peerId,
      String(epoch),
      peer.displayName,
      peer.role,
      String(ROSTER_PAGE_SIZE),
    ]);
    return readJoined(peer.peerId, reply, this.#report);
  }

  async attachPeer(
    roomId: RoomId,
    peerId: PeerId,
    epoch: Epoch,
    edgeId: EdgeId,
    tokenGeneration?: number,
  ): Promise<AttachedPeer> {
    const generation = tokenGeneration === undefined ? '' : String(tokenGeneration);
    const args = [peerId, String(epoch), edgeId, generation] as const;
    return readAttached(peerId, await attachPeer(this.#run, this.#keys.room(roomId), args), this.#report);
  }

  async confirmToken(roomId: RoomId, peerId: PeerId, tokenGeneration: number): Promise<void> {
    await confirmToken(this.#run, this.#keys.room(roomId), [peerId, String(tokenGeneration)]);
  }

  async removePeer(
    roomId: RoomId,
    peerId: PeerId,
    epoch: Epoch,
    reason: LeaveReason,
    heldUnder?: Epoch,
  ): Promise<LoggedEvent[]> {
    const change = [peerId, String(epoch), reason, heldUnder === undefined ? '' : String(heldUnder)] as const;
    return readEvents(await removePeer(this.#run, this.#keys.room(roomId), change));
  }

  async publishTrack(roomId: RoomId, track: StoredTrack): Promise<LoggedEvent[]> {
    const reply = await publishTrack(this.#run, this.#keys.room(roomId), [
      track.trackId,
      String(track.epoch),
      track.homeNodeId,
      track.peerId,
      track.kind,
      track.source,
      flag(track.paused),
      track.replaces ?? '',
    ]);
    return readPublished(reply);
  }

  async setTrackPaused(roomId: RoomId, trackId: TrackId, paused: boolean): Promise<LoggedEvent[]> {
    return readEvents(await setTrackPaused(this.#run, this.#keys.room(roomId), [trackId, flag(paused)]));
  }

  async endTracks(
    roomId: RoomId,
    trackIds: readonly TrackId[],
    reason: TrackEndReason,
  ): Promise<LoggedEvent[]> {
    return readEvents(await endTracks(this.#run, this.#keys.room(roomId), [reason, trackIds.join(',')]));
  }

  async tracks(roomId: RoomId, trackIds: readonly TrackId[]): Promise<readonly StoredTrack[]> {
    if (trackIds.length === 0) return [];
    const [, , , tracks] = this.#keys.room(roomId);
    const values = await this.#ask(roomId, tracks, async () => this.#redis.hmget(tracks, ...trackIds));
    const found = trackIds.flatMap((trackId, index): [string, string][] => {
      const value = values[index];
      return value === null || value === undefined ? [] : [[trackId, value]];
    });
    return readTracks(found, this.#report);
  }

  async postChat(post: ChatPost): ReturnType<RoomStore['postChat']> {
    const reply = await postChat(this.#run, this.#keys.room(post.roomId), [
      chatMessageId(post),
      post.peerId,
      post.text,
    ]);
    return readPosted(reply);
  }

  async rosterPage(roomId: RoomId, cursor: string): ReturnType<RoomStore['rosterPage']> {
    const [, roster, rosterOrder] = this.#keys.room(roomId);
    const after = `(${sequenceOfCursor(cursor)}`;
    const limit = ROSTER_PAGE_SIZE + 1;
    const found = await this.#ask(roomId, rosterOrder, async () =>
      this.#redis.zrangebyscore(rosterOrder, after, '+inf', 'WITHSCORES', 'LIMIT', 0, limit),
    );
    const ordered = pairs(STRINGS.parse(found));
    const page = ordered.slice(0, ROSTER_PAGE_SIZE);
    if (page.length === 0) return { peers: [] };
    const values = await this.#ask(roomId, roster, async () =>
      this.#redis.hmget(roster, ...page.map(([peerId]) => peerId)),
    );
    // Who left between the two commands has no value any more.
    const entries = page.flatMap(([peerId, sequence], index) => {
      const value = values[index];
      return value === null || value === undefined ? [] : [{ peerId, sequence, value }];
    });
    return readPage(entries, ordered.length > page.length, this.#report);
  }

  async eventsAfter(roomId: RoomId, afterEventId: EventId): Promise<LoggedEvent[] | undefined> {
    const reply = await eventsAfter(this.#run, this.#keys.room(roomId), [afterEventId]);
    return readEventsAfter(afterEventId, reply, this.#report);
  }

  async snapshot(roomId: RoomId): Promise<RoomSnapshot | undefined> {
    return readRoomReply(
      await readRoom(this.#run, this.#keys.room(roomId), [String(ROSTER_PAGE_SIZE)]),
      this.#report,
    );
  }

  async lastEventId(roomId: RoomId): Promise<EventId> {
    const [, , , , , , meta] = this.#keys.room(roomId);
    const noted = (await this.#ask(roomId, meta, async () => this.#redis.hget(meta, 'lastEventId'))) ?? START;
    // A client that is told of the beginning only learns nothing new; the next event sets it right.
    return readable(this.#report, 'meta', () => EVENT_ID.parse(noted)) ?? START;
  }

  async claimGateway(claim: GatewayClaim): Promise<Gateway> {
    const { roomId, datacenter, homeNodeId, mediaNodeId, replacesEpoch } = claim;
    const replaces = replacesEpoch === undefined ? '' : String(replacesEpoch);
    return readGateway(
      await claimGateway(this.#run, this.#keys.room(roomId), [datacenter, homeNodeId, mediaNodeId, replaces]),
    );
  }

  async releaseGateway(
    roomId: RoomId,
    datacenter: DatacenterId,
    homeNodeId: MediaNodeId,
    epoch: Epoch,
  ): Promise<void> {
    await releaseGateway(this.#run, this.#keys.room(roomId), [datacenter, homeNodeId, String(epoch)]);
  }

  async republishPeers(
    roomId: RoomId,
    edgeId: EdgeId,
    peers: readonly HeldPeer[],
    knownEventId: EventId,
  ): Promise<RepublishedPeers> {
    const records = peers.map(heldPeerRecord).join(RECORD_SEPARATOR);
    const args = [edgeId, knownEventId, String(ROOM_REBUILD_MS), records] as const;
    return readRepublishedPeers(await republishPeers(this.#run, this.#keys.room(roomId), args), this.#report);
  }

  async republishTracks(
    roomId: RoomId,
    homeNodeId: MediaNodeId,
    tracks: readonly StoredTrack[],
  ): Promise<RepublishedTracks> {
    const records = tracks.map((track) => `${track.trackId}|${trackValue(track)}`).join(RECORD_SEPARATOR);
    const args = [homeNodeId, String(ROOM_REBUILD_MS), records] as const;
    return readRepublishedTracks(
      await republishTracks(this.#run, this.#keys.room(roomId), args),
      this.#report,
    );
  }

  async standing(roomId: RoomId): Promise<RoomStanding> {
    return readStanding(await roomStanding(this.#run, this.#keys.room(roomId), []));
  }

  async placements(roomId: RoomId): Promise<readonly Placement[]> {
    const [placements] = this.#keys.room(roomId);
    const all = await this.#ask(roomId, placements, async () => this.#redis.hgetall(placements));
    return this.#readPlacements(Object.entries(all));
  }

  /** Gives a command that is about a key of a room. */
  async #ask<Reply>(roomId: RoomId, key: string, command: () => Promise<Reply>): Promise<Reply> {
    return mendingRoom(this.#bare, this.#keys.room(roomId), this.#report, async () =>
      guarded(this.#gate, key, command),
    );
  }

  #readPlacements(values: readonly (readonly [peerId: string, value: string])[]): Placement[] {
    return readableOnes(this.#report, 'placement', values, ([peerId, value]) => readPlacement(peerId, value));
  }
}
