import { catchUp } from '@plenary/cluster';
import type { CatchUp, RoomStanding, RoomStore, RoomView } from '@plenary/cluster';
import type { EventId, RoomId } from '@plenary/cluster/ids';
import type { LoggedEvent, RoomSnapshot } from '@plenary/cluster/protocol';
import { SharedReads } from './shared-reads.ts';

/** Reads of rooms that clients ask for, shared by all who ask for the same (SPEC BU3). */
export class RoomReader {
  readonly #rooms: RoomStore;
  readonly #events = new SharedReads<LoggedEvent[] | undefined>();
  readonly #snapshots = new SharedReads<RoomSnapshot | undefined>();
  readonly #pages = new SharedReads<Awaited<ReturnType<RoomStore['rosterPage']>>>();
  readonly #standings = new SharedReads<RoomStanding>();
  readonly #views = new SharedReads<RoomView>(0);

  constructor(rooms: RoomStore) {
    this.#rooms = rooms;
  }

  /** @throws PlenaryError `store_unavailable`, as all of these do */
  async catchUp(roomId: RoomId, afterEventId: EventId): Promise<CatchUp> {
    const rooms = this.#rooms;
    return catchUp(
      {
        eventsAfter: async () =>
          this.#events.read(`${roomId} ${afterEventId}`, async () => rooms.eventsAfter(roomId, afterEventId)),
        snapshot: async () => this.#snapshots.read(roomId, async () => rooms.snapshot(roomId)),
      },
      roomId,
      afterEventId,
    );
  }

  async rosterPage(roomId: RoomId, cursor: string): ReturnType<RoomStore['rosterPage']> {
    return this.#pages.read(`${roomId} ${cursor}`, async () => this.#rooms.rosterPage(roomId, cursor));
  }

  async view(roomId: RoomId): Promise<RoomView> {
    return this.#views.read(roomId, async () => this.#rooms.view(roomId));
  }

  async standing(roomId: RoomId): Promise<RoomStanding> {
    return this.#standings.read(roomId, async () => this.#rooms.standing(roomId));
  }
}
