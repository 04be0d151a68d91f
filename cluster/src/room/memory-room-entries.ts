import { PlenaryError } from '../errors.ts';
import { MAX_ENTRIES_OF_PEER, MAX_ENTRY_TOMBSTONES, MAX_ROOM_ENTRY_BYTES } from '../limits/store-limits.ts';
import { HIGHEST_EPOCH } from '../protocol/ids.ts';
import type { PeerId, RoomId } from '../protocol/ids.ts';
import { entryField } from '../protocol/room-entry.ts';
import type { EntryChange, EntryKey, EntryValue } from '../protocol/room-entry.ts';
import type { LoggedEvent } from '../protocol/room.ts';
import { jsonBytes } from './memory-room.ts';
import type { MemoryRoom } from './memory-room.ts';
import type { MemoryRooms } from './memory-rooms.ts';
import { checkChange } from './room-entries.ts';
import type {
  EntryChangeRequest,
  EntryChangeResult,
  EntryCondition,
  EntryVerdict,
  EntryState,
  EntryWrite,
  RepublishedEntries,
  RoomEntries,
} from './room-entries.ts';

const keyOf = ({ kind, peerId, name }: EntryKey): EntryKey => ({
  kind,
  ...(peerId === undefined ? {} : { peerId }),
  ...(name === undefined ? {} : { name }),
});

const isLive = (entry: EntryChange | undefined): entry is EntryChange & { readonly value: EntryValue } =>
  entry?.value !== undefined;

/** What an entry counts of a room's bytes. */
const bytesOf = (entry: EntryChange | undefined): number =>
  isLive(entry) ? entryField(entry).length + jsonBytes(entry.value) : 0;

/** The entries of a room, with the bounds that it keeps. */
class BoundedEntries {
  readonly #room: MemoryRoom;

  constructor(room: MemoryRoom) {
    this.#room = room;
  }

  find(key: EntryKey): EntryChange | undefined {
    return this.#room.entries.get(entryField(key));
  }

  /** As conditions and answers tell it. */
  stateOf(key: EntryKey): EntryState {
    return this.find(key) ?? { ...keyOf(key), version: 0 };
  }

  isMet(condition: EntryCondition): boolean {
    const entry = this.find(condition);
    return (isLive(entry) ? entry.version : 0) === (condition.version ?? 0);
  }

  isSoAlready({ value, ...key }: EntryWrite): boolean {
    const entry = this.find(key);
    const before = isLive(entry) ? entry.value : undefined;
    return JSON.stringify(before) === JSON.stringify(value);
  }

  /** @throws PlenaryError `limit_reached` where the room or a peer would have more than it may */
  makeRoomFor(writes: readonly EntryWrite[], named: ReadonlySet<string>): void {
    const room = this.#room;
    const bytes = writes.reduce(
      (sum, write) => sum + bytesOf({ ...write, version: 1 }) - bytesOf(this.find(write)),
      0,
    );
    if (bytes > 0 && this.#bytes() + bytes > MAX_ROOM_ENTRY_BYTES) throw new PlenaryError('limit_reached');
    for (const { kind, most } of writes) {
      const more = writes.filter((write) => write.kind === kind);
      const count = more.reduce(
        (sum, write) => sum + Number(write.value !== undefined) - Number(isLive(this.find(write))),
        0,
      );
      if (count > 0 && this.#liveOf(kind) + count > most) throw new PlenaryError('limit_reached');
    }
    const forgotten = [...new Set(writes.flatMap(({ peerId }) => peerId ?? []))].flatMap((peerId) =>
      this.#toForgetFor(
        peerId,
        writes.filter((write) => write.peerId === peerId && this.find(write) === undefined).length,
        named,
      ),
    );
    for (const entry of forgotten) room.forgetEntry(entry);
  }

  put(entry: EntryChange): void {
    const room = this.#room;
    room.entries.set(entryField(entry), entry);
    room.entryVersion = Math.max(room.entryVersion, entry.version);
  }

  /** Of the deleted entries of the room itself, the older half. */
  forgetOlder(): void {
    const deleted = [...this.#room.entries.values()].filter(
      (entry) => entry.peerId === undefined && !isLive(entry),
    );
    if (deleted.length <= MAX_ENTRY_TOMBSTONES) return;
    deleted.sort((left, right) => left.version - right.version);
    for (const entry of deleted.slice(0, deleted.length - MAX_ENTRY_TOMBSTONES / 2))
      this.#room.forgetEntry(entry);
  }

  /** Why an entry is not published again, though no newer one is known. */
  verdictOf(entry: EntryChange): EntryVerdict | undefined {
    const room = this.#room;
    const before = this.find(entry);
    const { peerId, version } = entry;
    if (peerId === undefined) {
      if (room.placements.size === 0) return 'unplaced';
    } else {
      if (!room.placements.has(peerId)) return 'unplaced';
      // Versions are in µs, and what happened in the millisecond of the leaving happened before it.
      if (((room.gone.get(peerId) ?? -1) + 1) * 1_000 > version) return 'gone';
      if (before === undefined && this.#ofPeer(peerId).length >= MAX_ENTRIES_OF_PEER) return 'full';
    }
    if (before === undefined && version <= room.entryFloor) return 'gone';
    const isTooMuch = this.#bytes() - bytesOf(before) + bytesOf(entry) > MAX_ROOM_ENTRY_BYTES;
    return isLive(entry) && isTooMuch ? 'full' : undefined;
  }

  #bytes(): number {
    return [...this.#room.entries.values()].reduce((sum, entry) => sum + bytesOf(entry), 0);
  }

  #liveOf(kind: string): number {
    return [...this.#room.entries.values()].filter((entry) => entry.kind === kind && isLive(entry)).length;
  }

  #ofPeer(peerId: PeerId): EntryChange[] {
    return [...this.#room.entries.values()].filter((entry) => entry.peerId === peerId);
  }

  /** Where a peer has no place for more, its deleted entries make room. */
  #toForgetFor(peerId: PeerId, more: number, named: ReadonlySet<string>): EntryChange[] {
    const own = this.#ofPeer(peerId);
    if (own.length + more <= MAX_ENTRIES_OF_PEER) return [];
    const toForget = own.filter((entry) => !isLive(entry) && !named.has(entryField(entry)));
    if (own.length - toForget.length + more > MAX_ENTRIES_OF_PEER) throw new PlenaryError('limit_reached');
    return toForget;
  }
}

/** The entries of rooms in this process' memory. */
export class MemoryRoomEntries implements RoomEntries {
  readonly #rooms: MemoryRooms;

  constructor(rooms: MemoryRooms) {
    this.#rooms = rooms;
  }

  async change(request: EntryChangeRequest): Promise<EntryChangeResult> {
    checkChange(request);
    const { roomId, actor, edgeId, conditions = [], writes } = request;
    const { room, placement } = this.#rooms.placed(roomId, actor, () => true);
    // Another edge took the session up: what its client asked of this one comes late.
    if (placement.edgeId !== edgeId) throw new PlenaryError('replaced');
    const entries = new BoundedEntries(room);
    if (!conditions.every((condition) => entries.isMet(condition)))
      return { type: 'unmet', current: conditions.map((condition) => entries.stateOf(condition)) };
    const due = writes.filter((write) => !entries.isSoAlready(write));
    for (const { peerId, value } of due) {
      if (peerId !== undefined && value !== undefined) this.#rooms.placed(roomId, peerId, () => true);
    }
    entries.makeRoomFor(due, new Set(writes.map(entryField)));
    const changes = due.map(({ value, ...key }): EntryChange => {
      const last = room.entryVersion >= HIGHEST_EPOCH ? 0 : room.entryVersion;
      if (last === 0) room.entryVersion = 0;
      const version = Math.max(last + 1, this.#rooms.nowUs());
      const change = { ...keyOf(key), version, ...(value === undefined ? {} : { value }) };
      entries.put(change);
      return change;
    });
    if (changes.length > 0) entries.forgetOlder();
    const events = this.#tell(room, changes);
    return Promise.resolve({
      type: 'changed',
      entries: writes.map((write) => entries.stateOf(write)),
      events,
    });
  }

  async republish(roomId: RoomId, told: readonly EntryChange[]): Promise<RepublishedEntries> {
    const room = this.#rooms.find(roomId);
    if (room === undefined)
      return { verdicts: told.map((entry) => ({ entry: keyOf(entry), verdict: 'unplaced' })), events: [] };
    const entries = new BoundedEntries(room);
    const verdicts: { entry: EntryKey; verdict: EntryVerdict }[] = [];
    const seen: EntryChange[] = [];
    for (const entry of told) {
      const before = entries.find(entry);
      if (before !== undefined && before.version >= entry.version) continue;
      const verdict = entries.verdictOf(entry);
      if (verdict !== undefined) verdicts.push({ entry: keyOf(entry), verdict });
      else {
        entries.put(entry);
        // What nobody sees nobody is told of.
        if (isLive(entry) || isLive(before)) seen.push(entry);
      }
    }
    entries.forgetOlder();
    return Promise.resolve({ verdicts, events: this.#tell(room, seen) });
  }

  async all(roomId: RoomId): Promise<readonly EntryChange[]> {
    return Promise.resolve([...(this.#rooms.find(roomId)?.entries.values() ?? [])]);
  }

  #tell(room: MemoryRoom, changes: EntryChange[]): LoggedEvent[] {
    return changes.length === 0
      ? []
      : [room.append({ type: 'entries.changed', changes }, this.#rooms.wallMs())];
  }
}
