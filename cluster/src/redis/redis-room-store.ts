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
import { chatMessageId, sequenceOfCursor } from '../room/room-store.ts';
import type { StoreClient } from './client.ts';
import { CommandGate } from './command-gate.ts';
import type { RoomKeys, StoreKeys } from './keys.ts';
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
    this.#run = run;
    this.#keys = keys;
    this.#report = report;
  }

  async view(roomId: RoomId): Promise<RoomView> {
    const { placements: placementsKey, tracks } = this.#keys.room(roomId);
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
    const reply = await placePeer(...this.#room(request.roomId), {
      peerId: request.peerId,
      requestId: request.requestId,
      edgeId: request.edgeId,
      mediaNodeId: request.mediaNodeId,
      replacesEpoch: String(request.replacesEpoch ?? ''),
      maxPeers: String(request.maxPeers),
      keepsEpoch: String(request.keepsEpoch ?? ''),
      heldUnder: String(request.heldUnder ?? ''),
      subject: request.subject?.digest ?? '',
      maxPeersOfSubject: String(request.subject?.maxPeers ?? ''),
    });
    return readPlaced(request.peerId, reply);
  }

  async placementOf(roomId: RoomId, peerId: PeerId): Promise<Placement | undefined> {
    const { placements } = this.#keys.room(roomId);
    const value = await this.#ask(roomId, placements, async () => this.#redis.hget(placements, peerId));
    return value === null ? undefined : this.#readPlacements([[peerId, value]])[0];
  }

  async formerPlacement(roomId: RoomId, peerId: PeerId): Promise<FormerPlacement | undefined> {
    const { meta } = this.#keys.room(roomId);
    const value = await this.#ask(roomId, meta, async () => this.#redis.hget(meta, `former|${peerId}`));
    return value === null ? undefined : readFormer(value, this.#report);
  }

  async settlePeer(roomId: RoomId, peerId: PeerId, epoch: Epoch): Promise<void> {
    await settlePeer(...this.#room(roomId), { peerId, epoch: String(epoch) });
  }

  async joinPeer(
    roomId: RoomId,
    peer: { readonly peerId: PeerId; readonly displayName: string; readonly role: Role },
    epoch: Epoch,
  ): ReturnType<RoomStore['joinPeer']> {
    const reply = await joinPeer(...this.#room(roomId), {
      peerId: peer.peerId,
      epoch: String(epoch),
      displayName: peer.displayName,
      role: peer.role,
      pageSize: String(ROSTER_PAGE_SIZE),
    });
    return readJoined(peer.peerId, reply, this.#report);
  }

  async attachPeer(
    roomId: RoomId,
    peerId: PeerId,
    epoch: Epoch,
    edgeId: EdgeId,
    tokenGeneration?: number,
  ): Promise<AttachedPeer> {
    const reply = await attachPeer(...this.#room(roomId), {
      peerId,
      epoch: String(epoch),
      edgeId,
      tokenGeneration: String(tokenGeneration ?? ''),
    });
    return readAttached(peerId, reply, this.#report);
  }

  async confirmToken(roomId: RoomId, peerId: PeerId, tokenGeneration: number): Promise<void> {
    await confirmToken(...this.#room(roomId), { peerId, tokenGeneration: String(tokenGeneration) });
  }

  async removePeer(
    roomId: RoomId,
    peerId: PeerId,
    epoch: Epoch,
    reason: LeaveReason,
    heldUnder?: Epoch,
  ): Promise<LoggedEvent[]> {
    const reply = await removePeer(...this.#room(roomId), {
      peerId,
      epoch: String(epoch),
      reason,
      heldUnder: String(heldUnder ?? ''),
    });
    return readEvents(reply);
  }

  async publishTrack(roomId: RoomId, track: StoredTrack): Promise<LoggedEvent[]> {
    const reply = await publishTrack(...this.#room(roomId), {
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
    return readEvents(await setTrackPaused(...this.#room(roomId), { trackId, paused: flag(paused) }));
  }

  async endTracks(
    roomId: RoomId,
    trackIds: readonly TrackId[],
    reason: TrackEndReason,
  ): Promise<LoggedEvent[]> {
    return readEvents(await endTracks(...this.#room(roomId), { reason, trackIds: trackIds.join(',') }));
  }

  async tracks(roomId: RoomId, trackIds: readonly TrackId[]): Promise<readonly StoredTrack[]> {
    if (trackIds.length === 0) return [];
    const { tracks } = this.#keys.room(roomId);
    const values = await this.#ask(roomId, tracks, async () => this.#redis.hmget(tracks, ...trackIds));
    const found = trackIds.flatMap((trackId, index): [string, string][] => {
      const value = values[index];
      return value === null || value === undefined ? [] : [[trackId, value]];
    });
    return readTracks(found, this.#report);
  }

  async postChat(post: ChatPost): ReturnType<RoomStore['postChat']> {
    const reply = await postChat(...this.#room(post.roomId), {
      messageId: chatMessageId(post),
      peerId: post.peerId,
      text: post.text,
    });
    return readPosted(reply);
  }

  async rosterPage(roomId: RoomId, cursor: string): ReturnType<RoomStore['rosterPage']> {
    const { roster, rosterOrder } = this.#keys.room(roomId);
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
    const reply = await eventsAfter(...this.#room(roomId), { afterEventId });
    return readEventsAfter(afterEventId, reply, this.#report);
  }

  async snapshot(roomId: RoomId): Promise<RoomSnapshot | undefined> {
    return readRoomReply(
      await readRoom(...this.#room(roomId), { pageSize: String(ROSTER_PAGE_SIZE) }),
      this.#report,
    );
  }

  async lastEventId(roomId: RoomId): Promise<EventId> {
    const { meta } = this.#keys.room(roomId);
    const noted = (await this.#ask(roomId, meta, async () => this.#redis.hget(meta, 'lastEventId'))) ?? START;
    // A client that is told of the beginning only learns nothing new; the next event sets it right.
    return readable(this.#report, 'meta', () => EVENT_ID.parse(noted)) ?? START;
  }

  async claimGateway(claim: GatewayClaim): Promise<Gateway> {
    const { roomId, datacenter, homeNodeId, mediaNodeId, replacesEpoch } = claim;
    const reply = await claimGateway(...this.#room(roomId), {
      datacenter,
      homeNodeId,
      mediaNodeId,
      replacesEpoch: String(replacesEpoch ?? ''),
    });
    return readGateway(reply);
  }

  async releaseGateway(
    roomId: RoomId,
    datacenter: DatacenterId,
    homeNodeId: MediaNodeId,
    epoch: Epoch,
  ): Promise<void> {
    await releaseGateway(...this.#room(roomId), { datacenter, homeNodeId, epoch: String(epoch) });
  }

  async republishPeers(
    roomId: RoomId,
    edgeId: EdgeId,
    peers: readonly HeldPeer[],
    knownEventId: EventId,
  ): Promise<RepublishedPeers> {
    const reply = await republishPeers(...this.#room(roomId), {
      edgeId,
      knownEventId,
      peers: peers.map(heldPeerRecord).join(RECORD_SEPARATOR),
    });
    return readRepublishedPeers(reply, this.#report);
  }

  async republishTracks(
    roomId: RoomId,
    homeNodeId: MediaNodeId,
    tracks: readonly StoredTrack[],
  ): Promise<RepublishedTracks> {
    const reply = await republishTracks(...this.#room(roomId), {
      homeNodeId,
      tracks: tracks.map((track) => `${track.trackId}|${trackValue(track)}`).join(RECORD_SEPARATOR),
    });
    return readRepublishedTracks(reply, this.#report);
  }

  async standing(roomId: RoomId): Promise<RoomStanding> {
    return readStanding(await roomStanding(...this.#room(roomId)));
  }

  async placements(roomId: RoomId): Promise<readonly Placement[]> {
    const { placements } = this.#keys.room(roomId);
    const all = await this.#ask(roomId, placements, async () => this.#redis.hgetall(placements));
    return this.#readPlacements(Object.entries(all));
  }

  /** What a script of a room begins with: how it is run, and the keys from which it takes its own. */
  #room(roomId: RoomId): [run: RunScript, keys: RoomKeys] {
    const keys = this.#keys.room(roomId);
    const run: RunScript = async (...script) =>
      mendingRoom(this.#run, keys, this.#report, async () => this.#run(...script));
    return [run, keys];
  }

  /** Gives a command that is about a key of a room. */
  async #ask<Reply>(roomId: RoomId, key: string, command: () => Promise<Reply>): Promise<Reply> {
    return mendingRoom(this.#run, this.#keys.room(roomId), this.#report, async () =>
      guarded(this.#gate, key, command),
    );
  }

  #readPlacements(values: readonly (readonly [peerId: string, value: string])[]): Placement[] {
    return readableOnes(this.#report, 'placement', values, ([peerId, value]) => readPlacement(peerId, value));
  }
}
