import { ROOM_KEPT_MS } from '../limits/store-limits.ts';
import { systemClock } from '../clock.ts';
import type { Clock } from '../clock.ts';
import { PlenaryError } from '../errors.ts';
import type { Epoch } from '../protocol/edge-media.ts';
import type { PeerId, RoomId } from '../protocol/ids.ts';
import type { Gateway } from './gateway-store.ts';
import { MemoryRoom } from './memory-room.ts';
import type { Placement } from './placement-store.ts';

/** The rooms of a cluster in this process' memory. The memory stores share them as the Redis stores share keys. */
export class MemoryRooms {
  readonly #clock: Clock;
  readonly #rooms = new Map<RoomId, MemoryRoom>();
  /** The tombstones of rooms whose last peer was removed by somebody else. */
  readonly #farewells = new Map<RoomId, { readonly gone: MemoryRoom['gone']; readonly untilMs: number }>();
  #lastUs = 0;

  constructor(clock: Clock = systemClock) {
    this.#clock = clock;
  }

  /** The number of rooms that hold anything; zero when everything was freed. */
  get roomCount(): number {
    for (const roomId of this.#farewells.keys()) this.#farewellOf(roomId);
    return this.#rooms.size + this.#farewells.size;
  }

  /** The rooms that hold anything. */
  roomIds(): RoomId[] {
    return [...this.#rooms.keys()];
  }

  /** The gateway claims of a room, with the key `datacenter|homeNodeId`. */
  gateways(roomId: RoomId): ReadonlyMap<string, Gateway> {
    return this.#rooms.get(roomId)?.gateways ?? new Map<string, Gateway>();
  }

  /** Remembers the present state. @returns a function that restores it, as a failover does that loses later writes */
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

  /** The room, unless no edge has renewed it for so long that its keys expired. */
  find(roomId: RoomId): MemoryRoom | undefined {
    const room = this.#rooms.get(roomId);
    if (room === undefined || this.#clock.monotonicMs() < room.keptUntilMs) return room;
    this.#rooms.delete(roomId);
    return undefined;
  }

  /** A new room with the tombstones of the one before it; it exists once {@link keep} was called. */
  create(roomId: RoomId): MemoryRoom {
    const room = new MemoryRoom();
    for (const [id, atMs] of this.#farewellOf(roomId)) room.gone.set(id, atMs);
    return room;
  }

  /** Stores the room, and lets its keys last as long as those that an edge has just renewed. */
  keep(roomId: RoomId, room: MemoryRoom): void {
    this.#rooms.set(roomId, room);
    this.#farewells.delete(roomId);
    room.keptUntilMs = this.#clock.monotonicMs() + ROOM_KEPT_MS;
  }

  /** Removes the room. @param farewellMs - how long its tombstones are remembered, in milliseconds */
  remove(roomId: RoomId, farewellMs: number): void {
    const gone = this.#rooms.get(roomId)?.gone;
    this.#rooms.delete(roomId);
    if (gone !== undefined && farewellMs > 0)
      this.#farewells.set(roomId, { gone, untilMs: this.#clock.monotonicMs() + farewellMs });
  }

  /** @throws PlenaryError `peer_not_found`; `stale_epoch` if the live epoch is not accepted */
  requirePlaced(
    roomId: RoomId,
    peerId: PeerId,
    accepts: (live: Epoch) => boolean,
  ): { readonly room: MemoryRoom; readonly placement: Placement } {
    const room = this.find(roomId);
    const placement = room?.placements.get(peerId);
    if (room === undefined || placement === undefined) throw new PlenaryError('peer_not_found');
    if (!accepts(placement.epoch)) throw new PlenaryError('stale_epoch');
    return { room, placement };
  }

  isRebuilding(room: MemoryRoom): boolean {
    return room.isRebuilding(this.#clock.monotonicMs());
  }

  wallMs(): number {
    return this.#clock.wallMs();
  }

  monotonicMs(): number {
    return this.#clock.monotonicMs();
  }

  /** The time as Redis TIME gives it: no two changes share a microsecond. */
  nowUs(): number {
    this.#lastUs = Math.max(this.#lastUs + 1, this.#clock.wallMs() * 1_000);
    return this.#lastUs;
  }

  #farewellOf(roomId: RoomId): MemoryRoom['gone'] {
    const farewell = this.#farewells.get(roomId);
    if (farewell !== undefined && this.#clock.monotonicMs() < farewell.untilMs) return farewell.gone;
    this.#farewells.delete(roomId);
    return new Map();
  }
}
