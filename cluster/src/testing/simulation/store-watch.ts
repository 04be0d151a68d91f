import type { Epoch } from '../../protocol/edge-media.ts';
import { compareEventIds } from '../../protocol/ids.ts';
import type { EdgeId, EventId, PeerId, RoomId } from '../../protocol/ids.ts';
import type { LoggedEvent } from '../../protocol/room.ts';
import type { MemoryRooms } from '../../room/memory-rooms.ts';
import type { RoomStores } from '../../room/room-stores.ts';
import type { PreviousPlacement, Placement, PlaceRequest } from '../../room/placement-store.ts';
import type { Gateway, GatewayClaim } from '../../room/gateway-store.ts';
import { RuleBroken } from './rule-broken.ts';

/** What a room's store has answered so far, as a book of its own beside the store's. */
interface Book {
  /** The live placements by peer. */
  readonly placements: Map<PeerId, Placement>;
  /** Where peers that move go on until they have moved. */
  readonly previousPlacements: Map<PeerId, PreviousPlacement>;
  /** The live gateways by `datacenter|homeNodeId`. */
  readonly gateways: Map<string, Gateway>;
  lastEventId: EventId | undefined;
}

type WatchedStores = Pick<RoomStores, 'placements' | 'roomLog'> & { readonly rooms: MemoryRooms };

/** Looks at what the store answers, and holds it to the rules by its own books. */
export class StoreWatch {
  readonly #stores: WatchedStores;
  readonly #onBroken: (rule: RuleBroken) => void;
  readonly #books = new Map<RoomId, Book>();
  /** The highest epoch that was ever given in a room: never forgotten, whatever the store forgets (EP1). */
  readonly #highest = new Map<RoomId, number>();

  /** @param onBroken - a rule breaks in the middle of a command, where nobody would hear an exception */
  constructor(stores: WatchedStores, onBroken: (rule: RuleBroken) => void) {
    this.#stores = stores;
    this.#onBroken = onBroken;
  }

  /** The live placements of a room, as they were answered. */
  placements(roomId: RoomId): ReadonlyMap<PeerId, Placement> {
    return this.#book(roomId).placements;
  }

  /** The placements of a room that go on beside the live ones. */
  previousPlacements(roomId: RoomId): ReadonlyMap<PeerId, PreviousPlacement> {
    return this.#book(roomId).previousPlacements;
  }

  /** [PL3], [EP1]: a placement changes only for whom replaces it, and under an epoch that was never given before. */
  placed(request: PlaceRequest, placement: Placement): void {
    const { roomId, peerId, replacesEpoch } = request;
    const { placements } = this.#book(roomId);
    const live = placements.get(peerId);
    placements.set(peerId, placement);
    if (live?.epoch === placement.epoch) {
      if (live.mediaNodeId !== placement.mediaNodeId)
        this.#break(`EP1: ${peerId} of ${roomId} is on two nodes under one epoch ${live.epoch}`);
      return;
    }
    if (live !== undefined && live.epoch !== replacesEpoch)
      this.#break(`PL3: ${peerId} of ${roomId} was placed anew over the live epoch ${live.epoch}`);
    this.#grows(roomId, placement.epoch);
    this.#keeps(request, live);
  }

  /** [EP7]: what goes on beside a new placement is what was live, or what went on beside that. */
  #keeps({ roomId, peerId, keepsEpoch }: PlaceRequest, live: Placement | undefined): void {
    const { previousPlacements } = this.#book(roomId);
    if (keepsEpoch === undefined) {
      previousPlacements.delete(peerId);
      return;
    }
    const kept = [live, previousPlacements.get(peerId)].find((known) => known?.epoch === keepsEpoch);
    if (kept === undefined)
      this.#break(`EP7: ${peerId} of ${roomId} keeps ${keepsEpoch}, which is not alive`);
    else previousPlacements.set(peerId, { mediaNodeId: kept.mediaNodeId, epoch: kept.epoch });
  }

  /** [EP7]: a move ends by the epoch that it began. */
  async settled(roomId: RoomId, peerId: PeerId, epoch: Epoch): Promise<void> {
    const { placements, previousPlacements } = this.#book(roomId);
    if (placements.get(peerId)?.epoch === epoch) previousPlacements.delete(peerId);
    const stored = await this.#stores.placements.previousPlacement(roomId, peerId);
    if (stored?.epoch !== previousPlacements.get(peerId)?.epoch)
      this.#break(
        `EP7: ${peerId} of ${roomId} goes on under ${stored?.epoch ?? 'none'} after settling ${epoch}`,
      );
  }

  /** [GW1]: a claim yields to the live one, unless it names it as the one that failed. */
  claimed(claim: GatewayClaim, gateway: Gateway): void {
    const { gateways } = this.#book(claim.roomId);
    const key = `${claim.datacenter}|${claim.homeNodeId}`;
    const live = gateways.get(key);
    gateways.set(key, gateway);
    if (live?.epoch === gateway.epoch) return;
    if (live !== undefined && live.epoch !== claim.replacesEpoch)
      this.#break(`GW1: ${claim.roomId} ${key} was claimed over the live epoch ${live.epoch}`);
    this.#grows(claim.roomId, gateway.epoch);
  }

  released(roomId: RoomId, key: string, epoch: Epoch): void {
    const { gateways } = this.#book(roomId);
    if (gateways.get(key)?.epoch === epoch) gateways.delete(key);
  }

  /** [EP2]: nothing is done under an epoch that is older than the live one; [EP7]: but what goes on is published. */
  obeyed(roomId: RoomId, peerId: PeerId, epoch: Epoch, what: string): void {
    const { placements, previousPlacements } = this.#book(roomId);
    const live = placements.get(peerId);
    if (what === 'publishTrack' && live !== undefined && previousPlacements.get(peerId)?.epoch === epoch)
      return;
    if (live === undefined || live.epoch > epoch)
      this.#break(`EP2: ${what} of ${peerId} under ${epoch}, the live epoch is ${live?.epoch ?? 'none'}`);
  }

  attached(roomId: RoomId, peerId: PeerId, edgeId: EdgeId): void {
    const { placements } = this.#book(roomId);
    const live = placements.get(peerId);
    if (live !== undefined) placements.set(peerId, { ...live, edgeId });
  }

  /** [EP2]: a removal under an older epoch leaves the live placement; [LG4]: the last one takes the room along. */
  async removed(roomId: RoomId, peerId: PeerId, epoch: Epoch): Promise<void> {
    const book = this.#book(roomId);
    const live = book.placements.get(peerId);
    if ((await this.#stores.placements.placementOf(roomId, peerId)) !== undefined) return;
    if (live !== undefined && live.epoch > epoch)
      this.#break(`EP2: ${peerId} of ${roomId} was removed under ${epoch}, the live epoch was ${live.epoch}`);
    book.placements.delete(peerId);
    book.previousPlacements.delete(peerId);
    if (book.placements.size === 0) this.#books.delete(roomId);
  }

  /** [LG1]: the log of a room is one chain. */
  logged(roomId: RoomId, events: readonly LoggedEvent[]): void {
    const book = this.#book(roomId);
    for (const { id, previousId } of events) {
      if (book.lastEventId !== undefined && book.lastEventId !== previousId)
        this.#break(`LG1: ${id} of ${roomId} follows ${previousId}, the last one was ${book.lastEventId}`);
      if (compareEventIds(id, previousId) <= 0)
        this.#break(`LG1: ${id} of ${roomId} comes after ${previousId}`);
      book.lastEventId = id;
    }
  }

  /** The store forgot, and is what it is now. Which epochs were given is not forgotten. */
  async readAnew(): Promise<void> {
    this.#books.clear();
    for (const roomId of this.#stores.rooms.roomIds()) {
      const book = this.#book(roomId);
      await this.#readPlacements(roomId, book);
      for (const [key, gateway] of this.#stores.rooms.gateways(roomId)) book.gateways.set(key, gateway);
      book.lastEventId = await this.#stores.roomLog.lastEventId(roomId);
    }
  }

  /** Owners published again what was forgotten of a room, and its order went on above what anybody knew. */
  async repaired(roomId: RoomId): Promise<void> {
    const book = this.#book(roomId);
    await this.#readPlacements(roomId, book);
    book.lastEventId = await this.#stores.roomLog.lastEventId(roomId);
  }

  /** An edge published what it holds: what goes on beside a placement is as it says. */
  async republished(roomId: RoomId): Promise<void> {
    await this.#readPreviousPlacements(roomId, this.#book(roomId));
  }

  async #readPlacements(roomId: RoomId, book: Book): Promise<void> {
    for (const placement of await this.#stores.placements.all(roomId))
      book.placements.set(placement.peerId, placement);
    await this.#readPreviousPlacements(roomId, book);
  }

  async #readPreviousPlacements(roomId: RoomId, { placements, previousPlacements }: Book): Promise<void> {
    for (const peerId of placements.keys()) {
      const previous = await this.#stores.placements.previousPlacement(roomId, peerId);
      if (previous === undefined) previousPlacements.delete(peerId);
      else previousPlacements.set(peerId, previous);
    }
  }

  #book(roomId: RoomId): Book {
    const known = this.#books.get(roomId);
    if (known !== undefined) return known;
    const book: Book = {
      placements: new Map(),
      previousPlacements: new Map(),
      gateways: new Map(),
      lastEventId: undefined,
    };
    this.#books.set(roomId, book);
    return book;
  }

  #grows(roomId: RoomId, epoch: Epoch): void {
    const highest = this.#highest.get(roomId) ?? 0;
    if (epoch <= highest) this.#break(`EP1: epoch ${epoch} of ${roomId} after ${highest}`);
    this.#highest.set(roomId, Math.max(epoch, highest));
  }

  #break(what: string): void {
    this.#onBroken(new RuleBroken(what));
  }
}
