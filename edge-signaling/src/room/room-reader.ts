import { catchUp } from '@plenary/cluster';
import type { CatchUp, RoomLog, RoomStatus, RoomStores, RoomView } from '@plenary/cluster';
import type { EventId, RoomId } from '@plenary/cluster/ids';
import type { CarriedEvent, RoomSnapshot } from '@plenary/cluster/protocol';
import { SharedReads } from './shared-reads.ts';

type ReadStores = Pick<RoomStores, 'placements' | 'roomLog' | 'recovery'>;

/** Reads of rooms, shared by all clients that request the same data (SPEC BU3). */
export class RoomReader {
  readonly #stores: ReadStores;
  readonly #events = new SharedReads<CarriedEvent[] | undefined>();
  readonly #snapshots = new SharedReads<RoomSnapshot | undefined>();
  readonly #pages = new SharedReads<Awaited<ReturnType<RoomLog['rosterPage']>>>();
  readonly #standings = new SharedReads<RoomStatus>();
  readonly #views = new SharedReads<RoomView>(0);

  constructor(stores: ReadStores) {
    this.#stores = stores;
  }

  /** @throws PlenaryError `store_unavailable`, like all methods of this class */
  async catchUp(roomId: RoomId, afterEventId: EventId): Promise<CatchUp> {
    const { roomLog } = this.#stores;
    return catchUp(
      {
        eventsAfter: async () =>
          this.#events.read(`${roomId} ${afterEventId}`, async () =>
            roomLog.eventsAfter(roomId, afterEventId),
          ),
        snapshot: async () => this.#snapshots.read(roomId, async () => roomLog.snapshot(roomId)),
      },
      roomId,
      afterEventId,
    );
  }

  async rosterPage(roomId: RoomId, cursor: string): ReturnType<RoomLog['rosterPage']> {
    return this.#pages.read(`${roomId} ${cursor}`, async () =>
      this.#stores.roomLog.rosterPage(roomId, cursor),
    );
  }

  async view(roomId: RoomId): Promise<RoomView> {
    return this.#views.read(roomId, async () => this.#stores.placements.view(roomId));
  }

  async standing(roomId: RoomId): Promise<RoomStatus> {
    return this.#standings.read(roomId, async () => this.#stores.recovery.statusOf(roomId));
  }
}
