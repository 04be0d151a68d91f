import type { Clock } from '../clock.ts';
import { systemClock } from '../clock.ts';
import { PlenaryError } from '../errors.ts';
import { EPOCH } from '../protocol/edge-media.ts';
import type { Epoch } from '../protocol/edge-media.ts';
import { compareEventIds, EVENT_ID } from '../protocol/ids.ts';
import type { DatacenterId, EdgeId, EventId, MediaNodeId, PeerId, RoomId, TrackId } from '../protocol/ids.ts';
import {
  EVENT_LOG_LENGTH,
  MAX_CATCH_UP_BYTES,
  ROSTER_PAGE_SIZE,
  SNAPSHOT_CHAT_LENGTH,
} from '../protocol/room.ts';
import type {
  ChatMessage,
  LeaveReason,
  LoggedEvent,
  Role,
  RoomEvent,
  RoomSnapshot,
  RoomTrack,
  RosterPeer,
  TrackEndReason,
} from '../protocol/room.ts';
import { chatMessageId } from './room-store.ts';
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
} from './room-store.ts';

const START = EVENT_ID.parse('0-0');

interface RosterEntry {
  readonly sequence: number;
  readonly peer: RosterPeer;
}

/** One room, as the Redis version keeps it under one hash tag. */
class MemoryRoom {
  readonly placements = new Map<PeerId, Placement>();
  readonly roster = new Map<PeerId, RosterEntry>();
  readonly tracks = new Map<TrackId, StoredTrack>();
  readonly log: LoggedEvent[] = [];
  readonly chat: ChatMessage[] = [];
  /** By `datacenter|homeNodeId`. */
  readonly gateways = new Map<string, Gateway>();
  /** Which generation of a peer's session tokens is in use. */
  readonly tokenGenerations = new Map<PeerId, number>();
  lastEventId: EventId = START;
  lastEpoch = 0;
  joinSequence = 0;

  copy(): MemoryRoom {
    const copy = new MemoryRoom();
    for (const [peerId, placement] of this.placements) copy.placements.set(peerId, placement);
    for (const [peerId, entry] of this.roster) copy.roster.set(peerId, entry);
    for (const [trackId, track] of this.tracks) copy.tracks.set(trackId, track);
    for (const [key, gateway] of this.gateways) copy.gateways.set(key, gateway);
    for (const [peerId, generation] of this.tokenGenerations) copy.tokenGenerations.set(peerId, generation);
    copy.log.push(...this.log);
    copy.chat.push(...this.chat);
    copy.lastEventId = this.lastEventId;
    copy.lastEpoch = this.lastEpoch;
    copy.joinSequence = this.joinSequence;
    return copy;
  }

  /** @param nowUs - the store's clock, in µs */
  nextEpoch(nowUs: number): Epoch {
    const epoch = EPOCH.parse(Math.max(this.lastEpoch + 1, nowUs));
    this.lastEpoch = epoch;
    return epoch;
  }

  append(event: RoomEvent, nowMs: number): LoggedEvent {
    const [lastMs = '0', lastSequence = '0'] = this.lastEventId.split('-');
    const id = EVENT_ID.parse(
      nowMs > Number(lastMs) ? `${nowMs}-0` : `${lastMs}-${Number(lastSequence) + 1}`,
    );
    const logged = { id, previousId: this.lastEventId, event };
    this.log.push(logged);
    if (this.log.length > EVENT_LOG_LENGTH) this.log.shift();
    this.lastEventId = id;
    return logged;
  }

  page(afterSequence: number): { readonly peers: RosterPeer[]; readonly nextCursor?: string } {
    const rest = [...this.roster.values()]
      .filter((entry) => entry.sequence > afterSequence)
      .sort((left, right) => left.sequence - right.sequence);
    const page = rest.slice(0, ROSTER_PAGE_SIZE);
    const last = page.at(-1);
    return {
      peers: page.map((entry) => entry.peer),
      ...(last !== undefined && rest.length > page.length ? { nextCursor: String(last.sequence) } : {}),
    };
  }

  snapshot(): RoomSnapshot {
    return {
      lastEventId: this.lastEventId,
      peerCount: this.roster.size,
      ...this.page(0),
      tracks: [...this.tracks.values()].map(toRoomTrack),
      chat: [...this.chat],
    };
  }
}

function toRoomTrack({ trackId, peerId, kind, source, paused }: StoredTrack): RoomTrack {
  return { trackId, peerId, kind, source, paused };
}

/** The room store in this process' memory: for unit tests, the simulation, and a cluster of one process. */
export class MemoryRoomStore implements RoomStore {
  readonly #clock: Clock;
  readonly #rooms = new Map<RoomId, MemoryRoom>();
  #lastUs = 0;

  constructor(clock: Clock = systemClock) {
    this.#clock = clock;
  }

  /** Rooms that hold anything; zero when everything was freed. */
  get roomCount(): number {
    return this.#rooms.size;
  }

  /** The rooms that hold anything. */
  roomIds(): RoomId[] {
    return [...this.#rooms.keys()];
  }

  /** The gateway claims of a room, by `datacenter|homeNodeId`. */
  gateways(roomId: RoomId): ReadonlyMap<string, Gateway> {
    return this.#rooms.get(roomId)?.gateways ?? new Map<string, Gateway>();
  }

  /** Keeps what is here now. @returns brings it back, as a failover does that forgets what was written since */
  snapshot(): () => void {
    const kept = [...this.#rooms].map(([roomId, room]) => [roomId, room.copy()] as const);
    return () => {
      this.clear();
      this.#lastUs = 0;
      for (const [roomId, room] of kept) this.#rooms.set(roomId, room.copy());
    };
  }

  /** Forgets everything, as `FLUSHALL` does. */
  clear(): void {
    this.#rooms.clear();
  }

  async view(roomId: RoomId): Promise<RoomView> {
    const room = this.#rooms.get(roomId);
    const peersByNode = new Map<MediaNodeId, number>();
    for (const { mediaNodeId } of room?.placements.values() ?? []) {
      peersByNode.set(mediaNodeId, (peersByNode.get(mediaNodeId) ?? 0) + 1);
    }
    return Promise.resolve({
      occupancy: { peerCount: room?.placements.size ?? 0, peersByNode },
      tracks: [...(room?.tracks.values() ?? [])],
    });
  }

  async placePeer(request: PlaceRequest): Promise<Placement> {
    const room = this.#rooms.get(request.roomId) ?? new MemoryRoom();
    const existing = room.placements.get(request.peerId);
    if (request.replacesEpoch === undefined) {
      if (existing !== undefined) return existing;
      if (room.placements.size >= request.maxPeers) throw new PlenaryError('room_full');
    } else {
      if (existing === undefined) throw new PlenaryError('peer_not_found');
      if (existing.epoch !== request.replacesEpoch) return existing;
    }
    const epoch = room.nextEpoch(this.#nowUs());
    const placement: Placement = {
      peerId: request.peerId,
      mediaNodeId: request.mediaNodeId,
      epoch,
      edgeId: request.edgeId,
      requestId: existing?.requestId ?? request.requestId,
    };
    room.placements.set(request.peerId, placement);
    this.#rooms.set(request.roomId, room);
    return Promise.resolve(placement);
  }

  async placementOf(roomId: RoomId, peerId: PeerId): Promise<Placement | undefined> {
    return Promise.resolve(this.#rooms.get(roomId)?.placements.get(peerId));
  }

  async joinPeer(
    roomId: RoomId,
    peer: { readonly peerId: PeerId; readonly displayName: string; readonly role: Role },
    epoch: Epoch,
  ): ReturnType<RoomStore['joinPeer']> {
    const { room } = this.#placed(roomId, peer.peerId, (live) => live === epoch);
    const nowMs = this.#clock.wallMs();
    const events: LoggedEvent[] = [];
    let entry = room.roster.get(peer.peerId);
    if (entry === undefined) {
      room.joinSequence += 1;
      entry = { sequence: room.joinSequence, peer: { ...peer, joinedAtMs: nowMs } };
      room.roster.set(peer.peerId, entry);
      events.push(room.append({ type: 'peer.joined', peer: entry.peer }, nowMs));
    }
    const tokenGeneration = room.tokenGenerations.get(peer.peerId) ?? 0;
    return Promise.resolve({ self: entry.peer, events, snapshot: room.snapshot(), tokenGeneration });
  }

  async attachPeer(
    roomId: RoomId,
    peerId: PeerId,
    epoch: Epoch,
    edgeId: EdgeId,
    tokenGeneration?: number,
  ): Promise<RosterPeer> {
    const entry = this.#rooms.get(roomId)?.roster.get(peerId);
    if (entry === undefined) throw new PlenaryError('peer_not_found');
    const { room, placement } = this.#placed(roomId, peerId, (live) => live === epoch);
    if (tokenGeneration !== undefined) {
      const inUse = room.tokenGenerations.get(peerId) ?? 0;
      if (tokenGeneration < inUse) throw new PlenaryError('token_replayed');
      room.tokenGenerations.set(peerId, tokenGeneration);
    }
    room.placements.set(peerId, { ...placement, edgeId });
    return Promise.resolve(entry.peer);
  }

  async confirmToken(roomId: RoomId, peerId: PeerId, tokenGeneration: number): Promise<void> {
    const room = this.#rooms.get(roomId);
    if (room?.placements.has(peerId) !== true) return;
    room.tokenGenerations.set(peerId, Math.max(tokenGeneration, room.tokenGenerations.get(peerId) ?? 0));
    await Promise.resolve();
  }

  async removePeer(
    roomId: RoomId,
    peerId: PeerId,
    epoch: Epoch,
    reason: LeaveReason,
    heldBy?: EdgeId,
  ): Promise<LoggedEvent[]> {
    const room = this.#rooms.get(roomId);
    if (room === undefined) return [];
    const placement = room.placements.get(peerId);
    if (placement !== undefined && placement.epoch > epoch) return [];
    if (placement !== undefined && heldBy !== undefined && placement.edgeId !== heldBy) return [];
    const nowMs = this.#clock.wallMs();
    const own = [...room.tracks.values()].filter((track) => track.peerId === peerId);
    const events = own.map(({ trackId }) => {
      room.tracks.delete(trackId);
      return room.append({ type: 'track.ended', trackId, peerId, reason: 'peer_left' }, nowMs);
    });
    room.placements.delete(peerId);
    room.tokenGenerations.delete(peerId);
    if (room.roster.delete(peerId)) events.push(room.append({ type: 'peer.left', peerId, reason }, nowMs));
    if (room.placements.size === 0) this.#rooms.delete(roomId);
    return Promise.resolve(events);
  }

  async publishTrack(roomId: RoomId, track: StoredTrack): Promise<LoggedEvent[]> {
    const { room } = this.#placed(roomId, track.peerId, (live) => live <= track.epoch);
    const before = room.tracks.get(track.trackId);
    room.tracks.set(track.trackId, track);
    const nowMs = this.#clock.wallMs();
    if (before === undefined) {
      return Promise.resolve([room.append({ type: 'track.published', track: toRoomTrack(track) }, nowMs)]);
    }
    if (before.paused === track.paused) return [];
    return [room.append({ type: 'track.changed', trackId: track.trackId, paused: track.paused }, nowMs)];
  }

  async setTrackPaused(roomId: RoomId, trackId: TrackId, paused: boolean): Promise<LoggedEvent[]> {
    const room = this.#rooms.get(roomId);
    const track = room?.tracks.get(trackId);
    if (room === undefined || track === undefined || track.paused === paused) return [];
    room.tracks.set(trackId, { ...track, paused });
    return Promise.resolve([room.append({ type: 'track.changed', trackId, paused }, this.#clock.wallMs())]);
  }

  async endTracks(
    roomId: RoomId,
    trackIds: readonly TrackId[],
    reason: TrackEndReason,
  ): Promise<LoggedEvent[]> {
    const room = this.#rooms.get(roomId);
    if (room === undefined) return [];
    const events: LoggedEvent[] = [];
    for (const trackId of trackIds) {
      const track = room.tracks.get(trackId);
      if (track === undefined) continue;
      room.tracks.delete(trackId);
      const { peerId } = track;
      events.push(room.append({ type: 'track.ended', trackId, peerId, reason }, this.#clock.wallMs()));
    }
    return Promise.resolve(events);
  }

  async tracks(roomId: RoomId, trackIds: readonly TrackId[]): Promise<readonly StoredTrack[]> {
    const room = this.#rooms.get(roomId);
    return Promise.resolve(
      trackIds.flatMap((trackId) => {
        const track = room?.tracks.get(trackId);
        return track === undefined ? [] : [track];
      }),
    );
  }

  async postChat(post: ChatPost): ReturnType<RoomStore['postChat']> {
    const room = this.#rooms.get(post.roomId);
    const messageId = chatMessageId(post);
    const posted = room?.chat.find((message) => message.messageId === messageId);
    if (posted !== undefined) return { message: posted, events: [] };
    const peer = room?.roster.get(post.peerId)?.peer;
    if (room === undefined || peer === undefined) throw new PlenaryError('peer_not_found');
    const nowMs = this.#clock.wallMs();
    const { peerId, text } = post;
    const message = { messageId, peerId, displayName: peer.displayName, text, sentAtMs: nowMs };
    room.chat.push(message);
    if (room.chat.length > SNAPSHOT_CHAT_LENGTH) room.chat.shift();
    return Promise.resolve({ message, events: [room.append({ type: 'chat.posted', message }, nowMs)] });
  }

  async rosterPage(roomId: RoomId, cursor: string): ReturnType<RoomStore['rosterPage']> {
    const after = /^\d+$/.test(cursor) ? Number(cursor) : 0;
    return Promise.resolve(this.#rooms.get(roomId)?.page(after) ?? { peers: [] });
  }

  async catchUp(roomId: RoomId, afterEventId: EventId): Promise<CatchUp> {
    const room = this.#rooms.get(roomId) ?? new MemoryRoom();
    if (room.lastEventId === afterEventId) return { type: 'events', events: [] };
    const events = room.log.filter((logged) => compareEventIds(logged.id, afterEventId) > 0);
    const bytes = events.reduce((sum, { event }) => sum + Buffer.byteLength(JSON.stringify(event)), 0);
    if (events[0]?.previousId === afterEventId && bytes <= MAX_CATCH_UP_BYTES)
      return { type: 'events', events };
    return Promise.resolve({ type: 'snapshot', room: room.snapshot() });
  }

  async lastEventId(roomId: RoomId): Promise<EventId> {
    return Promise.resolve(this.#rooms.get(roomId)?.lastEventId ?? START);
  }

  async claimGateway(claim: GatewayClaim): Promise<Gateway> {
    const room = this.#rooms.get(claim.roomId);
    if (room === undefined) throw new PlenaryError('peer_not_found');
    const key = `${claim.datacenter}|${claim.homeNodeId}`;
    const existing = room.gateways.get(key);
    if (existing !== undefined && existing.epoch !== claim.replacesEpoch) return existing;
    const gateway = { mediaNodeId: claim.mediaNodeId, epoch: room.nextEpoch(this.#nowUs()) };
    room.gateways.set(key, gateway);
    return Promise.resolve(gateway);
  }

  async releaseGateway(
    roomId: RoomId,
    datacenter: DatacenterId,
    homeNodeId: MediaNodeId,
    epoch: Epoch,
  ): Promise<void> {
    const gateways = this.#rooms.get(roomId)?.gateways;
    const key = `${datacenter}|${homeNodeId}`;
    if (gateways?.get(key)?.epoch === epoch) gateways.delete(key);
    return Promise.resolve();
  }

  async placements(roomId: RoomId): Promise<readonly Placement[]> {
    return Promise.resolve([...(this.#rooms.get(roomId)?.placements.values() ?? [])]);
  }

  /** As Redis TIME: no two changes share a microsecond. */
  #nowUs(): number {
    this.#lastUs = Math.max(this.#lastUs + 1, this.#clock.wallMs() * 1_000);
    return this.#lastUs;
  }

  #placed(
    roomId: RoomId,
    peerId: PeerId,
    accepts: (live: Epoch) => boolean,
  ): { readonly room: MemoryRoom; readonly placement: Placement } {
    const room = this.#rooms.get(roomId);
    const placement = room?.placements.get(peerId);
    if (room === undefined || placement === undefined) throw new PlenaryError('peer_not_found');
    if (!accepts(placement.epoch)) throw new PlenaryError('stale_epoch');
    return { room, placement };
  }
}
