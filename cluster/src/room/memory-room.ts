import {
  EVENT_LOG_LENGTH,
  MAX_CHAT_BYTES,
  MAX_EVENT_LOG_BYTES,
  MAX_TOMBSTONES,
  ROOM_REBUILD_MS,
  SNAPSHOT_CHAT_LENGTH,
} from '../limits/store-limits.ts';
import { PlenaryError } from '../errors.ts';
import { forgetOldest } from '../forget-oldest.ts';
import { EPOCH } from '../protocol/edge-media.ts';
import type { Epoch } from '../protocol/edge-media.ts';
import { EVENT_ID, HIGHEST_EPOCH, compareEventIds } from '../protocol/ids.ts';
import type { EventId, PeerId, TrackId } from '../protocol/ids.ts';
import { ROSTER_PAGE_SIZE } from '../protocol/room.ts';
import { ROOM_ENTRY, entryField } from '../protocol/room-entry.ts';
import type { EntryChange } from '../protocol/room-entry.ts';
import type {
  ChatMessage,
  LoggedEvent,
  RoomEvent,
  RoomSnapshot,
  RoomTrack,
  RosterPeer,
} from '../protocol/room.ts';
import type { Gateway } from './gateway-store.ts';
import type { PreviousPlacement, PlaceRequest, Placement } from './placement-store.ts';
import type { StoredTrack } from './room-log.ts';

export const START = EVENT_ID.parse('0-0');
export const jsonBytes = (value: unknown): number => Buffer.byteLength(JSON.stringify(value));

interface RosterEntry {
  readonly sequence: number;
  readonly peer: RosterPeer;
}

/** One room, as the Redis version keeps it under one hash tag. */
export class MemoryRoom {
  readonly placements = new Map<PeerId, Placement>();
  readonly roster = new Map<PeerId, RosterEntry>();
  readonly tracks = new Map<TrackId, StoredTrack>();
  readonly log: LoggedEvent[] = [];
  readonly chat: ChatMessage[] = [];
  /** By `datacenter|homeNodeId`. */
  readonly gateways = new Map<string, Gateway>();
  /** Where peers that are being moved go on until they have moved. */
  readonly previousPlacements = new Map<PeerId, PreviousPlacement>();
  /** Which generation of a peer's session tokens is in use. */
  readonly tokenGenerations = new Map<PeerId, number>();
  /** When peers left and tracks ended, in milliseconds; the oldest first. */
  readonly gone = new Map<PeerId | TrackId, number>();
  /** By kind, owner and name; deleted ones among them. */
  readonly entries = new Map<string, EntryChange>();
  /** Whose a peer is. */
  readonly subjects = new Map<PeerId, string>();
  logBytes = 0;
  chatBytes = 0;
  lastEventId: EventId = START;
  lastEpoch = 0;
  joinSequence = 0;
  /** The highest that an entry was written under. */
  entryVersion = 0;
  /** The highest of a deleted entry that was forgotten. */
  entryFloor = 0;
  rebuildingUntilMs = -Infinity;
  rebuiltEventId: EventId | undefined;
  keptUntilMs = Infinity;

  copy(): MemoryRoom {
    const copy = new MemoryRoom();
    for (const [peerId, placement] of this.placements) copy.placements.set(peerId, placement);
    for (const [peerId, entry] of this.roster) copy.roster.set(peerId, entry);
    for (const [trackId, track] of this.tracks) copy.tracks.set(trackId, track);
    for (const [key, gateway] of this.gateways) copy.gateways.set(key, gateway);
    for (const [peerId, previous] of this.previousPlacements) copy.previousPlacements.set(peerId, previous);
    for (const [peerId, generation] of this.tokenGenerations) copy.tokenGenerations.set(peerId, generation);
    for (const [id, atMs] of this.gone) copy.gone.set(id, atMs);
    for (const [peerId, subject] of this.subjects) copy.subjects.set(peerId, subject);
    for (const [field, entry] of this.entries) copy.entries.set(field, entry);
    copy.log.push(...this.log);
    copy.chat.push(...this.chat);
    copy.logBytes = this.logBytes;
    copy.chatBytes = this.chatBytes;
    copy.lastEventId = this.lastEventId;
    copy.lastEpoch = this.lastEpoch;
    copy.joinSequence = this.joinSequence;
    copy.entryVersion = this.entryVersion;
    copy.entryFloor = this.entryFloor;
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

  /** Forgets a deleted entry: whoever has it from before does not bring it back. */
  forgetEntry(entry: EntryChange): void {
    this.entries.delete(entryField(entry));
    this.entryFloor = Math.max(this.entryFloor, entry.version);
  }

  /** A peer's entries go with it, also deleted ones. */
  removeEntriesOf(peerId: PeerId): void {
    for (const [field, entry] of this.entries) if (entry.peerId === peerId) this.entries.delete(field);
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
      entries: [...this.entries.values()].flatMap((entry) => ROOM_ENTRY.safeParse(entry).data ?? []),
    };
  }
}

export function toRoomTrack({ trackId, peerId, kind, source, paused, replaces }: StoredTrack): RoomTrack {
  return { trackId, peerId, kind, source, paused, ...(replaces === undefined ? {} : { replaces }) };
}
