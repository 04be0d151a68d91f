import type { Clock } from '../clock.ts';
import { systemClock } from '../clock.ts';
import { PlenaryError } from '../errors.ts';
import { forgetOldest } from '../forget-oldest.ts';
import { EPOCH } from '../protocol/edge-media.ts';
import type { Epoch } from '../protocol/edge-media.ts';
import { compareEventIds, EVENT_ID, HIGHEST_EPOCH } from '../protocol/ids.ts';
import type { DatacenterId, EdgeId, EventId, MediaNodeId, PeerId, RoomId, TrackId } from '../protocol/ids.ts';
import {
  EVENT_LOG_LENGTH,
  MAX_CATCH_UP_BYTES,
  MAX_CHAT_BYTES,
  MAX_EVENT_LOG_BYTES,
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
import {
  chatMessageId,
  FAREWELL_KEPT_MS,
  MAX_TOMBSTONES,
  ROOM_KEPT_MS,
  ROOM_REBUILD_MS,
  sequenceOfCursor,
} from './room-store.ts';
import type {
  AttachedPeer,
  ChatPost,
  FormerPlacement,
  Gateway,
  GatewayClaim,
  HeldPeer,
  Placement,
  PeerFate,
  PlaceRequest,
  RepublishedPeers,
  RepublishedTracks,
  RoomStanding,
  RoomStore,
  RoomView,
  StoredTrack,
  TrackFate,
} from './room-store.ts';

const START = EVENT_ID.parse('0-0');
const jsonBytes = (value: unknown): number => Buffer.byteLength(JSON.stringify(value));

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
  /** Where peers that are being moved go on until they have moved. */
  readonly formers = new Map<PeerId, FormerPlacement>();
  /** Which generation of a peer's session tokens is in use. */
  readonly tokenGenerations = new Map<PeerId, number>();
  /** When peers left and tracks ended, in milliseconds; the oldest first. */
  readonly gone = new Map<PeerId | TrackId, number>();
  /** Whose a peer is. */
  readonly subjects = new Map<PeerId, string>();
  logBytes = 0;
  chatBytes = 0;
  lastEventId: EventId = START;
  lastEpoch = 0;
  joinSequence = 0;
  rebuildingUntilMs = -Infinity;
  rebuiltEventId: EventId | undefined;
  keptUntilMs = Infinity;

  copy(): MemoryRoom {
    const copy = new MemoryRoom();
    for (const [peerId, placement] of this.placements) copy.placements.set(peerId, placement);
    for (const [peerId, entry] of this.roster) copy.roster.set(peerId, entry);
    for (const [trackId, track] of this.tracks) copy.tracks.set(trackId, track);
    for (const [key, gateway] of this.gateways) copy.gateways.set(key, gateway);
    for (const [peerId, former] of this.formers) copy.formers.set(peerId, former);
    for (const [peerId, generation] of this.tokenGenerations) copy.tokenGenerations.set(peerId, generation);
    for (const [id, atMs] of this.gone) copy.gone.set(id, atMs);
    for (const [peerId, subject] of this.subjects) copy.subjects.set(peerId, subject);
    copy.log.push(...this.log);
    copy.chat.push(...this.chat);
    copy.logBytes = this.logBytes;
    copy.chatBytes = this.chatBytes;
    copy.lastEventId = this.lastEventId;
    copy.lastEpoch = this.lastEpoch;
    copy.joinSequence = this.joinSequence;
    copy.rebuildingUntilMs = this.rebuildingUntilMs;
    copy.rebuiltEventId = this.rebuiltEventId;
    copy.keptUntilMs = this.keptUntilMs;
    return copy;
  }

  /** @throws PlenaryError `joined_too_often` */
  noteSubject(peerId: PeerId, { digest, maxPeers }: NonNullable<PlaceRequest['subject']>): void {
    const others = [...this.subjects].filter(
      ([other, whose]) => whose === digest && this.placements.has(other),
    );
    if (others.length >= maxPeers) throw new PlenaryError('joined_too_often');
    this.subjects.set(peerId, digest);
  }

  /** @param nowUs - the store's clock, in µs */
  nextEpoch(nowUs: number): Epoch {
    const last = this.lastEpoch >= HIGHEST_EPOCH ? 0 : this.lastEpoch;
    const epoch = EPOCH.parse(Math.max(last + 1, nowUs));
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
    this.logBytes += jsonBytes(event);
    while (this.log.length > EVENT_LOG_LENGTH || this.logBytes > MAX_EVENT_LOG_BYTES) {
      const oldest = this.log.shift();
      if (oldest !== undefined) this.logBytes -= jsonBytes(oldest.event);
    }
    this.lastEventId = id;
    return logged;
  }

  noteGone(id: PeerId | TrackId, nowMs: number): void {
    this.gone.delete(id);
    this.gone.set(id, nowMs);
    forgetOldest(this.gone, MAX_TOMBSTONES);
  }

  keep(message: ChatMessage): void {
    this.chat.push(message);
    this.chatBytes += jsonBytes(message);
    while (this.chat.length > SNAPSHOT_CHAT_LENGTH || this.chatBytes > MAX_CHAT_BYTES) {
      const oldest = this.chat.shift();
      if (oldest !== undefined) this.chatBytes -= jsonBytes(oldest);
    }
  }

  /** Whether writes between what somebody knows and now are lost. */
  hasLost(known: EventId): boolean {
    if (known === START || known === this.lastEventId) return false;
    if (compareEventIds(this.lastEventId, known) < 0) return true;
    const [first] = this.log;
    if (first === undefined || this.log.some(({ id }) => id === known)) return false;
    return compareEventIds(first.id, known) < 0 && this.rebuiltEventId !== known;
  }

  /** An end further ahead than a rebuild lasts is by a clock that went back: it is brought to that time from now. */
  isRebuilding(monotonicMs: number): boolean {
    this.rebuildingUntilMs = Math.min(this.rebuildingUntilMs, monotonicMs + ROOM_REBUILD_MS);
    return monotonicMs < this.rebuildingUntilMs;
  }

  beginRebuild(known: EventId, nowMs: number, monotonicMs: number): void {
    const isRebuilding = this.isRebuilding(monotonicMs);
    const isAhead = compareEventIds(this.lastEventId, known) < 0;
    if (isRebuilding && !isAhead) return;
    if (!isRebuilding) this.rebuildingUntilMs = monotonicMs + ROOM_REBUILD_MS;
    const [topMs = '0', topNumber = '0'] = (isAhead ? known : this.lastEventId).split('-');
    const next = nowMs > Number(topMs) ? `${nowMs}-0` : `${topMs}-${Number(topNumber) + 1}`;
    this.lastEventId = EVENT_ID.parse(next);
    this.rebuiltEventId = this.lastEventId;
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

/** Nobody takes the place of somebody else's track; one's own may only be published later than this. */
function withoutForeignReplaces(room: MemoryRoom, track: StoredTrack): StoredTrack {
  const { replaces, ...alone } = track;
  const replaced = replaces === undefined ? undefined : room.tracks.get(replaces);
  const isForeign =
    replaced !== undefined && (replaced.peerId !== track.peerId || replaced.source !== track.source);
  return isForeign ? alone : track;
}

/** Writes what a room lacks of a peer. @returns whether anything was lacking */
function restore(room: MemoryRoom, edgeId: EdgeId, peer: HeldPeer): boolean {
  const { peerId, epoch, holdEpoch, mediaNodeId, requestId, tokenGeneration } = peer;
  const { sequence, joinedAtMs, role, displayName, former } = peer;
  const stored = room.placements.get(peerId);
  const lacksPlacement = stored === undefined || stored.holdEpoch < holdEpoch;
  const lacksEntry = !room.roster.has(peerId);
  if (lacksPlacement) {
    room.placements.set(peerId, { peerId, epoch, holdEpoch, mediaNodeId, edgeId, requestId });
    room.lastEpoch = Math.max(room.lastEpoch, holdEpoch);
    // A track of an older placement is none any more: its end was lost as well. That of the one that goes on is.
    for (const track of room.tracks.values()) {
      const isOlder = track.epoch < epoch && track.epoch !== former?.epoch;
      if (track.peerId === peerId && isOlder) room.tracks.delete(track.trackId);
    }
  }
  // Whose client has moved says so by naming none.
  if (former === undefined) room.formers.delete(peerId);
  else room.formers.set(peerId, former);
  if (lacksEntry) {
    room.roster.set(peerId, { sequence, peer: { peerId, joinedAtMs, role, displayName } });
    room.joinSequence = Math.max(room.joinSequence, sequence);
  }
  const inUse = room.tokenGenerations.get(peerId) ?? 0;
  if (tokenGeneration > inUse) room.tokenGenerations.set(peerId, tokenGeneration);
  return lacksPlacement || lacksEntry;
}

function toRoomTrack({ trackId, peerId, kind, source, paused, replaces }: StoredTrack): RoomTrack {
  return { trackId, peerId, kind, source, paused, ...(replaces === undefined ? {} : { replaces }) };
}

/** The room store in this process' memory: for unit tests, the simulation, and a cluster of one process. */
export class MemoryRoomStore implements RoomStore {
  readonly #clock: Clock;
  readonly #rooms = new Map<RoomId, MemoryRoom>();
  /** Who is gone from rooms whose last peer was put out. */
  readonly #farewells = new Map<RoomId, { readonly gone: MemoryRoom['gone']; readonly untilMs: number }>();
  #lastUs = 0;

  constructor(clock: Clock = systemClock) {
    this.#clock = clock;
  }

  /** Rooms that hold anything; zero when everything was freed. */
  get roomCount(): number {
    for (const roomId of this.#farewells.keys()) this.#farewellOf(roomId);
    return this.#rooms.size + this.#farewells.size;
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
  checkpoint(): () => void {
    const kept = [...this.#rooms].map(([roomId, room]) => [roomId, room.copy()] as const);
    return () => {
      this.clear();
      this.#lastUs = 0;
      for (const [roomId, room] of kept) this.#rooms.set(roomId, room.copy());
    };
  }

  /** Forgets everything, as `FLUSHALL` does. */
  clear(): void {
    this.#farewells.clear();
    this.#rooms.clear();
  }

  async view(roomId: RoomId): Promise<RoomView> {
    const room = this.#find(roomId);
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
    const room = this.#find(request.roomId) ?? this.#anew(request.roomId);
    const existing = room.placements.get(request.peerId);
    if (request.replacesEpoch === undefined) {
      if (existing !== undefined) return existing;
      if (this.#isRebuilding(room)) throw new PlenaryError('store_unavailable');
      if (room.placements.size >= request.maxPeers) throw new PlenaryError('room_full');
      if (request.subject !== undefined) room.noteSubject(request.peerId, request.subject);
    } else {
      if (existing === undefined) throw new PlenaryError('peer_not_found');
      if (existing.epoch !== request.replacesEpoch) return existing;
      if (request.heldUnder !== undefined && existing.holdEpoch > request.heldUnder) return existing;
    }
    const { keepsEpoch } = request;
    const kept = [existing, room.formers.get(request.peerId)].find((known) => known?.epoch === keepsEpoch);
    if (keepsEpoch !== undefined && kept === undefined) throw new PlenaryError('stale_epoch');
    const epoch = room.nextEpoch(this.#nowUs());
    const placement: Placement = {
      peerId: request.peerId,
      mediaNodeId: request.mediaNodeId,
      epoch,
      edgeId: request.edgeId,
      requestId: existing?.requestId ?? request.requestId,
      holdEpoch: epoch,
    };
    room.placements.set(request.peerId, placement);
    if (kept === undefined || keepsEpoch === undefined) room.formers.delete(request.peerId);
    else room.formers.set(request.peerId, { mediaNodeId: kept.mediaNodeId, epoch: kept.epoch });
    this.#rooms.set(request.roomId, room);
    this.#farewells.delete(request.roomId);
    this.#keep(room);
    return Promise.resolve(placement);
  }

  async placementOf(roomId: RoomId, peerId: PeerId): Promise<Placement | undefined> {
    return Promise.resolve(this.#find(roomId)?.placements.get(peerId));
  }

  async formerPlacement(roomId: RoomId, peerId: PeerId): Promise<FormerPlacement | undefined> {
    return Promise.resolve(this.#find(roomId)?.formers.get(peerId));
  }

  async settlePeer(roomId: RoomId, peerId: PeerId, epoch: Epoch): Promise<void> {
    const room = this.#find(roomId);
    if (room?.placements.get(peerId)?.epoch === epoch) room.formers.delete(peerId);
    return Promise.resolve();
  }

  async joinPeer(
    roomId: RoomId,
    peer: { readonly peerId: PeerId; readonly displayName: string; readonly role: Role },
    epoch: Epoch,
  ): ReturnType<RoomStore['joinPeer']> {
    const { room } = this.#placed(roomId, peer.peerId, (live) => live === epoch);
    if (this.#isRebuilding(room)) throw new PlenaryError('store_unavailable');
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
    const { peer: self, sequence } = entry;
    return Promise.resolve({ self, sequence, events, snapshot: room.snapshot(), tokenGeneration });
  }

  async attachPeer(
    roomId: RoomId,
    peerId: PeerId,
    epoch: Epoch,
    edgeId: EdgeId,
    tokenGeneration?: number,
  ): Promise<AttachedPeer> {
    const entry = this.#find(roomId)?.roster.get(peerId);
    if (entry === undefined) throw new PlenaryError('peer_not_found');
    const { room, placement } = this.#placed(roomId, peerId, (live) => live === epoch);
    if (tokenGeneration !== undefined) {
      const inUse = room.tokenGenerations.get(peerId) ?? 0;
      if (tokenGeneration < inUse) throw new PlenaryError('token_replayed');
      room.tokenGenerations.set(peerId, tokenGeneration);
    }
    const holdEpoch = room.nextEpoch(this.#nowUs());
    room.placements.set(peerId, { ...placement, edgeId, holdEpoch });
    const former = room.formers.get(peerId);
    const peerCount = room.roster.size;
    return Promise.resolve({ self: entry.peer, sequence: entry.sequence, holdEpoch, former, peerCount });
  }

  async confirmToken(roomId: RoomId, peerId: PeerId, tokenGeneration: number): Promise<void> {
    const room = this.#find(roomId);
    if (room?.placements.has(peerId) !== true) return;
    room.tokenGenerations.set(peerId, Math.max(tokenGeneration, room.tokenGenerations.get(peerId) ?? 0));
    await Promise.resolve();
  }

  async removePeer(
    roomId: RoomId,
    peerId: PeerId,
    epoch: Epoch,
    reason: LeaveReason,
    heldUnder?: Epoch,
  ): Promise<LoggedEvent[]> {
    const room = this.#find(roomId);
    if (room === undefined) return [];
    const placement = room.placements.get(peerId);
    if (placement !== undefined && placement.epoch > epoch) return [];
    if (placement !== undefined && heldUnder !== undefined && placement.holdEpoch > heldUnder) return [];
    const nowMs = this.#clock.wallMs();
    const own = [...room.tracks.values()].filter((track) => track.peerId === peerId);
    const events = own.map(({ trackId }) => {
      room.tracks.delete(trackId);
      room.noteGone(trackId, nowMs);
      return room.append({ type: 'track.ended', trackId, peerId, reason: 'peer_left' }, nowMs);
    });
    room.placements.delete(peerId);
    room.formers.delete(peerId);
    room.tokenGenerations.delete(peerId);
    room.subjects.delete(peerId);
    if (room.roster.delete(peerId)) {
      room.noteGone(peerId, nowMs);
      events.push(room.append({ type: 'peer.left', peerId, reason }, nowMs));
    }
    if (room.placements.size === 0) {
      this.#rooms.delete(roomId);
      if (reason !== 'left' && reason !== 'connection_lost')
        this.#farewells.set(roomId, {
          gone: room.gone,
          untilMs: this.#clock.monotonicMs() + FAREWELL_KEPT_MS,
        });
    }
    return Promise.resolve(events);
  }

  async publishTrack(roomId: RoomId, track: StoredTrack): Promise<LoggedEvent[]> {
    const former = this.#find(roomId)?.formers.get(track.peerId);
    const isPublisher = (live: Epoch): boolean => live <= track.epoch || former?.epoch === track.epoch;
    const { room } = this.#placed(roomId, track.peerId, isPublisher);
    const before = room.tracks.get(track.trackId);
    const { replaces, ...alone } = track;
    const replaced = replaces === undefined ? undefined : room.tracks.get(replaces);
    const takesPlace = replaced?.peerId === track.peerId && replaced.source === track.source;
    const kept = takesPlace ? track : alone;
    room.tracks.set(track.trackId, kept);
    const nowMs = this.#clock.wallMs();
    if (before === undefined) {
      return Promise.resolve([room.append({ type: 'track.published', track: toRoomTrack(kept) }, nowMs)]);
    }
    if (before.paused === track.paused) return [];
    return [room.append({ type: 'track.changed', trackId: track.trackId, paused: track.paused }, nowMs)];
  }

  async setTrackPaused(roomId: RoomId, trackId: TrackId, paused: boolean): Promise<LoggedEvent[]> {
    const room = this.#find(roomId);
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
    const room = this.#find(roomId);
    if (room === undefined) return [];
    const events: LoggedEvent[] = [];
    for (const trackId of trackIds) {
      const track = room.tracks.get(trackId);
      if (track === undefined) continue;
      room.tracks.delete(trackId);
      const { peerId } = track;
      const nowMs = this.#clock.wallMs();
      room.noteGone(trackId, nowMs);
      events.push(room.append({ type: 'track.ended', trackId, peerId, reason }, nowMs));
    }
    return Promise.resolve(events);
  }

  async tracks(roomId: RoomId, trackIds: readonly TrackId[]): Promise<readonly StoredTrack[]> {
    const room = this.#find(roomId);
    return Promise.resolve(
      trackIds.flatMap((trackId) => {
        const track = room?.tracks.get(trackId);
        return track === undefined ? [] : [track];
      }),
    );
  }

  async postChat(post: ChatPost): ReturnType<RoomStore['postChat']> {
    const room = this.#find(post.roomId);
    const messageId = chatMessageId(post);
    const posted = room?.chat.find((message) => message.messageId === messageId);
    if (posted !== undefined) return { message: posted, events: [] };
    const peer = room?.roster.get(post.peerId)?.peer;
    if (room === undefined || peer === undefined) throw new PlenaryError('peer_not_found');
    const nowMs = this.#clock.wallMs();
    const { peerId, text } = post;
    const message = { messageId, peerId, displayName: peer.displayName, text, sentAtMs: nowMs };
    room.keep(message);
    return Promise.resolve({ message, events: [room.append({ type: 'chat.posted', message }, nowMs)] });
  }

  async rosterPage(roomId: RoomId, cursor: string): ReturnType<RoomStore['rosterPage']> {
    const after = sequenceOfCursor(cursor);
    return Promise.resolve(this.#find(roomId)?.page(after) ?? { peers: [] });
  }

  async eventsAfter(roomId: RoomId, afterEventId: EventId): Promise<LoggedEvent[] | undefined> {
    const room = this.#find(roomId) ?? new MemoryRoom();
    if (room.lastEventId === afterEventId) return [];
    const events = room.log.filter((logged) => compareEventIds(logged.id, afterEventId) > 0);
    const bytes = events.reduce((sum, { event }) => sum + jsonBytes(event), 0);
    const isWhole = events.every(
      (event, index) => event.previousId === (events[index - 1]?.id ?? afterEventId),
    );
    return Promise.resolve(events.length > 0 && isWhole && bytes <= MAX_CATCH_UP_BYTES ? events : undefined);
  }

  async snapshot(roomId: RoomId): Promise<RoomSnapshot | undefined> {
    const room = this.#find(roomId) ?? new MemoryRoom();
    return Promise.resolve(this.#isRebuilding(room) ? undefined : room.snapshot());
  }

  async lastEventId(roomId: RoomId): Promise<EventId> {
    return Promise.resolve(this.#find(roomId)?.lastEventId ?? START);
  }

  async claimGateway(claim: GatewayClaim): Promise<Gateway> {
    const room = this.#find(claim.roomId);
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
    const gateways = this.#find(roomId)?.gateways;
    const key = `${datacenter}|${homeNodeId}`;
    if (gateways?.get(key)?.epoch === epoch) gateways.delete(key);
    return Promise.resolve();
  }

  async republishPeers(
    roomId: RoomId,
    edgeId: EdgeId,
    peers: readonly HeldPeer[],
    knownEventId: EventId,
  ): Promise<RepublishedPeers> {
    const known = this.#find(roomId);
    const room = known ?? this.#anew(roomId);
    const fates: { peerId: PeerId; fate: PeerFate }[] = [];
    let lostPeers = 0;
    for (const peer of peers) {
      const placement = room.placements.get(peer.peerId);
      const isNewer = placement !== undefined && placement.holdEpoch > peer.holdEpoch;
      const leftAtMs = placement === undefined ? room.gone.get(peer.peerId) : undefined;
      const hasLeft = leftAtMs !== undefined && leftAtMs * 1_000 >= peer.holdEpoch;
      if (hasLeft) fates.push({ peerId: peer.peerId, fate: 'gone' });
      else if (isNewer) {
        if (placement.edgeId !== edgeId) fates.push({ peerId: peer.peerId, fate: 'moved' });
      } else if (restore(room, edgeId, peer)) lostPeers += 1;
    }
    const hasLostEvents = known !== undefined && room.hasLost(knownEventId);
    const nowMs = this.#clock.wallMs();
    if (room.placements.size > 0) {
      this.#rooms.set(roomId, room);
      this.#farewells.delete(roomId);
      if (lostPeers > 0 || hasLostEvents) room.beginRebuild(knownEventId, nowMs, this.#clock.monotonicMs());
      this.#keep(room);
    }
    const named = new Set(peers.map(({ peerId }) => peerId));
    return Promise.resolve({
      lastEventId: room.lastEventId,
      isRebuilding: this.#isRebuilding(room),
      lostPeers,
      hasLostEvents,
      peerCount: room.roster.size,
      fates,
      strangers: [...room.placements.values()].filter(
        (placement) => placement.edgeId === edgeId && !named.has(placement.peerId),
      ),
    });
  }

  async republishTracks(
    roomId: RoomId,
    homeNodeId: MediaNodeId,
    tracks: readonly StoredTrack[],
  ): Promise<RepublishedTracks> {
    const room = this.#find(roomId) ?? new MemoryRoom();
    const fates: { trackId: TrackId; fate: TrackFate }[] = [];
    const events: LoggedEvent[] = [];
    const nowMs = this.#clock.wallMs();
    let lostTracks = 0;
    for (const track of tracks) {
      const { trackId, paused } = track;
      const placement = room.placements.get(track.peerId);
      const stored = room.tracks.get(trackId);
      const isFormer = room.formers.get(track.peerId)?.epoch === track.epoch;
      if (placement === undefined) fates.push({ trackId, fate: 'unplaced' });
      else if (placement.epoch > track.epoch && !isFormer) fates.push({ trackId, fate: 'stale' });
      else if (stored === undefined && room.gone.has(trackId)) fates.push({ trackId, fate: 'ended' });
      else if (stored === undefined) {
        room.tracks.set(trackId, withoutForeignReplaces(room, track));
        lostTracks += 1;
      } else if (stored.paused !== paused) {
        room.tracks.set(trackId, withoutForeignReplaces(room, track));
        events.push(room.append({ type: 'track.changed', trackId, paused }, nowMs));
      }
    }
    if (lostTracks > 0) room.beginRebuild(START, nowMs, this.#clock.monotonicMs());
    const named = new Set(tracks.map(({ trackId }) => trackId));
    const strangers = [...room.tracks.values()]
      .filter((track) => track.homeNodeId === homeNodeId && !named.has(track.trackId))
      .map(({ trackId }) => trackId);
    return Promise.resolve({ lostTracks, events, fates, strangers });
  }

  async standing(roomId: RoomId): Promise<RoomStanding> {
    const room = this.#find(roomId);
    if (room === undefined) return 'absent';
    return Promise.resolve(this.#isRebuilding(room) ? 'rebuilding' : 'whole');
  }

  async placements(roomId: RoomId): Promise<readonly Placement[]> {
    return Promise.resolve([...(this.#find(roomId)?.placements.values() ?? [])]);
  }

  /** The room, unless nobody has kept it for so long that its keys are gone. */
  #find(roomId: RoomId): MemoryRoom | undefined {
    const room = this.#rooms.get(roomId);
    if (room === undefined || this.#clock.monotonicMs() < room.keptUntilMs) return room;
    this.#rooms.delete(roomId);
    return undefined;
  }

  #farewellOf(roomId: RoomId): MemoryRoom['gone'] {
    const farewell = this.#farewells.get(roomId);
    if (farewell !== undefined && this.#clock.monotonicMs() < farewell.untilMs) return farewell.gone;
    this.#farewells.delete(roomId);
    return new Map();
  }

  /** A room that begins, with what is left of the one before it. */
  #anew(roomId: RoomId): MemoryRoom {
    const room = new MemoryRoom();
    for (const [id, atMs] of this.#farewellOf(roomId)) room.gone.set(id, atMs);
    return room;
  }

  #keep(room: MemoryRoom): void {
    room.keptUntilMs = this.#clock.monotonicMs() + ROOM_KEPT_MS;
  }

  #isRebuilding(room: MemoryRoom): boolean {
    return room.isRebuilding(this.#clock.monotonicMs());
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
    const room = this.#find(roomId);
    const placement = room?.placements.get(peerId);
    if (room === undefined || placement === undefined) throw new PlenaryError('peer_not_found');
    if (!accepts(placement.epoch)) throw new PlenaryError('stale_epoch');
    return { room, placement };
  }
}
